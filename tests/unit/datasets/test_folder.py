"""The files of the datasets folder that can be named."""

import os
from pathlib import Path

from shared.datasets.folder import MOST_DEPTH, files_of
from shared.datasets.resolve import locate


def test_every_listed_file_can_be_named(tmp_path: Path) -> None:
    """Files and those of folders are listed by the names under which a chat finds them, the newest first."""
    folder = tmp_path / "datasets"
    (folder / "2026").mkdir(parents=True)
    for seconds, name in enumerate(["a.csv", "2026/march.csv", "b.csv"]):
        (folder / name).write_text("a,b\n")
        os.utime(folder / name, (seconds, seconds))
    listed = files_of(folder)
    assert [(file.name, file.size_bytes) for file in listed] == [("b.csv", 4), ("2026/march.csv", 4), ("a.csv", 4)]
    assert all(locate(file.name, folder=folder, confined=True).is_file() for file in listed)


def test_what_cannot_be_named_is_not_listed(tmp_path: Path) -> None:
    """Hidden files, links out of the folder, pipes and what lies too deep are not listed; no folder has no files."""
    folder = tmp_path / "datasets"
    deep = folder.joinpath(*"abcdefg"[: MOST_DEPTH + 1])
    deep.mkdir(parents=True)
    (deep / "deep.csv").write_text("a,b\n")
    (folder / ".hidden.csv").write_text("a,b\n")
    (tmp_path / "secret.csv").write_text("secret\n")
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "away").symlink_to(tmp_path)
    (folder / "nowhere.csv").symlink_to(folder / "none.csv")
    os.mkfifo(folder / "pipe.csv")
    (folder / "inside.csv").symlink_to(deep / "deep.csv")
    assert [file.name for file in files_of(folder)] == ["inside.csv"]
    assert files_of(tmp_path / "none") == []

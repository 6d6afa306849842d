"""A dataset's name becomes a file, safely: what is not known is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.datasets.resolve import locate
from shared.errors import RunFailed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A datasets folder with a file, a folder, and a secret beside it."""
    folder = tmp_path / "datasets"
    (folder / "2026").mkdir(parents=True)
    (folder / "churn.csv").write_text("a,b\n")
    (folder / "2026" / "march.csv").write_text("a,b\n")
    (tmp_path / "secret.csv").write_text("secret\n")
    return folder


def refusal(name: str, folder: Path, *, confined: bool, base: Path | None = None) -> RunFailed:
    """How a name is refused."""
    with pytest.raises(RunFailed) as met:
        locate(name, folder=folder, confined=confined, base=base)
    return met.value


@pytest.mark.parametrize("name", ["churn.csv", "2026/march.csv", "./churn.csv", "2026/../churn.csv"])
def test_a_chat_names_files_of_the_folder(folder: Path, name: str) -> None:
    """From a chat, a path below the datasets folder is found."""
    assert locate(name, folder=folder, confined=True).samefile(folder / name)


OUTSIDE = [
    "../secret.csv",
    "2026/../../secret.csv",
    "/etc/passwd",
    "~/secret.csv",
    "~root/.bashrc",
    "\\\\server\\share\\a.csv",
    "churn.csv\0.png",
    "\0",
    "x" * 5_000,
    "..",
    "../datasets-of-others/a.csv",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_chat_reaches_nothing_outside(folder: Path, name: str) -> None:
    """From a chat, a name that leads out of the datasets folder is refused in the same words, there or not."""
    (folder.parent / "datasets-of-others").mkdir()
    (folder.parent / "datasets-of-others" / "a.csv").write_text("secret\n")
    error = refusal(name, folder, confined=True)
    assert error.code in ("dataset_outside", "dataset_missing" if len(name) > 4_000 else "dataset_outside")
    if error.code == "dataset_outside":
        assert error.problems[0].message == (
            f"From a chat, a dataset is a file of the datasets folder or of this channel; `{name}` is outside of them."
        )
        assert error.problems[0].hint.startswith("Share the file in this channel")
    assert "secret.csv" not in error.problems[0].hint


def test_an_absolute_path_into_the_folder_is_refused_from_a_chat(folder: Path) -> None:
    """From a chat, nobody learns where the folder lies: its own absolute path is refused like any other."""
    assert refusal(str(folder / "churn.csv"), folder, confined=True).code == "dataset_outside"


def test_links_are_followed_to_where_they_lead(folder: Path) -> None:
    """A link is what it leads to: one out of the folder is refused from a chat, one inside of it is a file."""
    (folder / "out.csv").symlink_to(folder.parent / "secret.csv")
    (folder / "away").symlink_to(folder.parent)
    (folder / "in.csv").symlink_to(folder / "churn.csv")
    assert refusal("out.csv", folder, confined=True).code == "dataset_outside"
    assert refusal("away/secret.csv", folder, confined=True).code == "dataset_outside"
    assert locate("in.csv", folder=folder, confined=True).samefile(folder / "churn.csv")
    assert locate("out.csv", folder=folder, confined=False, base=folder).read_text() == "secret\n"


def test_a_folder_that_is_a_link_itself(folder: Path) -> None:
    """The datasets folder may be a link: its files are inside of it."""
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert locate("churn.csv", folder=link, confined=True).samefile(folder / "churn.csv")


def test_links_in_a_circle_lead_nowhere(folder: Path) -> None:
    """Links that lead to each other are no dataset."""
    (folder / "a.csv").symlink_to(folder / "b.csv")
    (folder / "b.csv").symlink_to(folder / "a.csv")
    assert refusal("a.csv", folder, confined=True).code in ("dataset_missing", "dataset_outside")


@pytest.mark.parametrize("confined", [True, False])
def test_a_name_that_is_nearly_right(folder: Path, confined: bool) -> None:
    """A name that is not there is refused with the nearest one that is."""
    error = refusal("chrun.csv", folder, confined=confined, base=folder.parent)
    assert error.code == "dataset_missing"
    assert str(error) == "There is no dataset `chrun.csv`. Did you mean `churn.csv`?"


@pytest.mark.parametrize("confined", [True, False])
def test_a_name_that_is_like_none(folder: Path, confined: bool) -> None:
    """A name that is like no other is refused with what can be tried, also when there is no datasets folder."""
    expected = "There is no dataset `zzz.parquet`. Check its name, and the folder it lies in."
    assert str(refusal("zzz.parquet", folder, confined=confined, base=folder)) == expected
    assert str(refusal("zzz.parquet", folder / "no", confined=confined, base=folder / "no")) == expected


@pytest.mark.parametrize("confined", [True, False])
@pytest.mark.parametrize("name", ["2026", "."])
def test_a_folder_is_no_dataset(folder: Path, confined: bool, name: str) -> None:
    """A folder is refused with what to do instead."""
    error = refusal(name, folder, confined=confined, base=folder)
    assert error.code == "dataset_is_folder"
    assert str(error) == f"A dataset is a file; `{name}` is a folder. Name one of the files in it."


def test_a_shell_names_any_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shell, a path means what it means there, and then a file of the datasets folder."""
    secret = folder.parent / "secret.csv"
    assert locate(str(secret), folder=folder, confined=False) == secret
    assert locate("../secret.csv", folder=folder, confined=False, base=folder).samefile(secret)
    assert locate("churn.csv", folder=folder, confined=False, base=folder.parent) == folder / "churn.csv"
    monkeypatch.setenv("HOME", str(folder.parent))
    assert locate("~/secret.csv", folder=folder, confined=False) == secret
    monkeypatch.chdir(folder.parent)
    assert locate("secret.csv", folder=folder, confined=False).samefile(secret)


def test_the_near_file_comes_before_the_one_of_the_folder(folder: Path) -> None:
    """In a shell, a file at hand wins over one of the same name in the datasets folder."""
    (folder.parent / "churn.csv").write_text("near\n")
    assert locate("churn.csv", folder=folder, confined=False, base=folder.parent).read_text() == "near\n"


def test_a_device_or_a_pipe_is_no_dataset(folder: Path) -> None:
    """What is no plain file is never opened, so that nothing waits for a pipe."""
    os.mkfifo(folder / "pipe.csv")
    assert refusal("pipe.csv", folder, confined=True).code == "dataset_missing"
    assert refusal("/dev/zero", folder, confined=False).code == "dataset_missing"


def test_a_nul_byte_in_a_shell(folder: Path) -> None:
    """A name with a NUL byte is no file."""
    assert refusal("a\0.csv", folder, confined=False, base=folder).code == "dataset_missing"


@pytest.mark.parametrize("name", ["x" * 5_000, "~nosuchuser/a.csv"])
def test_names_that_the_system_refuses_are_missing(folder: Path, name: str) -> None:
    """In a shell, a name too long for any file, or of a home that nobody has, is no file."""
    assert refusal(name, folder, confined=False, base=folder).code == "dataset_missing"


AS_NOBODY = """
import os, sys
from pathlib import Path
from shared.datasets.resolve import locate
from shared.errors import RunFailed
if os.getuid() == 0:  # root may read everything, so this process becomes nobody
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for name in sys.argv[1:]:
    try:
        print(locate(name, folder=Path("."), confined=False, base=Path(".")))
    except (RunFailed, OSError) as error:
        print(getattr(error, "code", type(error).__name__), error)
"""


def as_somebody_else(folder: Path, *names: str) -> list[str]:
    """What a user who is not root is told in this folder."""
    folder.chmod(0o755)
    run = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *names], capture_output=True, text=True, check=False, cwd=folder
    )
    if "in <module>\n    os.set" in run.stderr or "Operation not permitted" in run.stderr:
        pytest.skip(f"this test cannot become another user here: {run.stderr.splitlines()[-1]}")
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_a_file_that_may_not_be_read(folder: Path) -> None:
    """A file without permission to read is refused with what to do."""
    (folder / "churn.csv").chmod(0)
    assert as_somebody_else(folder, "churn.csv") == [
        "dataset_unreadable The file `churn.csv` may not be read. Change its permissions, or copy it."
    ]


def test_a_folder_that_may_not_be_entered(folder: Path) -> None:
    """A file in a folder without permission to enter is refused like one that may not be read."""
    (folder / "2026").chmod(0)
    try:
        shown = as_somebody_else(folder, "2026/march.csv")
    finally:
        (folder / "2026").chmod(0o755)
    assert [line.split()[0] for line in shown] == ["dataset_unreadable"], shown

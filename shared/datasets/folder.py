"""The files of the datasets folder, for a list of what can be named."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST_FILES = 2_000
MOST_DEPTH = 4
_MOST_SEEN = 20_000


@dataclass(frozen=True)
class FolderFile:
    """A file that can be named."""

    name: str
    """As it is typed: relative to the folder."""
    size_bytes: int
    changed_s: float
    """When, in seconds since 1970."""


def files_of(folder: Path) -> list[FolderFile]:
    """The files of a folder and of those in it, the newest first; hidden ones and links out of it are left out."""
    root = os.path.realpath(folder)
    found = []
    for seen, file in enumerate(_files(folder, "", MOST_DEPTH)):
        if os.path.realpath(folder / file.name).startswith(root + os.sep):
            found.append(file)
        if len(found) >= MOST_FILES or seen >= _MOST_SEEN:
            break
    return sorted(found, key=lambda file: (-file.changed_s, file.name))


def _files(folder: Path, above: str, depth: int) -> Iterator[FolderFile]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # a folder that is not there or may not be listed holds nothing to name
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            if entry.is_file():
                facts = entry.stat()
                yield FolderFile(above + entry.name, facts.st_size, facts.st_mtime)
            elif depth > 1 and entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), f"{above}{entry.name}/", depth - 1)
        except OSError:
            continue

"""A dataset's name as typed -> a file, safely. What it does not know it refuses."""

from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from shared.errors import RunFailed, failed


def locate(name: str, *, folder: Path, confined: bool, base: Path | None = None) -> Path:
    """The file that a name means; raises `RunFailed` when there is none.

    Confined (a name from a chat): only files of the datasets folder, by a path relative to it. Else: a path as the
    shell means it, relative to `base`, and then a file of the datasets folder.
    """
    if confined:
        return _checked(_inside(name, folder), name, [folder])
    path = _at_home(name)
    places = [path] if path.is_absolute() else [(base or Path.cwd()) / path, folder / path]
    found = next((place for place in places if _is_there(place)), places[0])
    return _checked(found, name, [place.parent for place in places])


def _at_home(name: str) -> Path:
    """The path with ~ resolved; as it is where the system knows no such home."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def _is_there(place: Path) -> bool:
    """Whether something has this name; also what may not be looked at, which `_checked` then says."""
    try:
        return place.exists()
    except PermissionError:
        return True
    except (OSError, ValueError):  # a name that is too long for any file, or a NUL byte
        return False


def _inside(name: str, folder: Path) -> Path:
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder.resolve())
    except RuntimeError:  # links in a circle, before Python 3.13
        raise _missing(name, [folder]) from None
    except (OSError, ValueError):  # a NUL byte, or a name that is too long for any file
        inside = False
    if not inside or name.startswith(("~", "/", "\\")):
        raise failed(
            "dataset_outside",
            f"From a chat, a dataset is a file of the datasets folder or of this channel; `{name}` is outside of them.",
            "Share the file in this channel, or have it put into the datasets folder, and name it without a path.",
        )
    return path


def _checked(path: Path, name: str, searched: list[Path]) -> Path:
    try:
        if path.is_file():
            with path.open("rb"):
                return path
        if path.is_dir():
            raise failed(
                "dataset_is_folder", f"A dataset is a file; `{name}` is a folder.", "Name one of the files in it."
            )
    except PermissionError:
        raise failed(
            "dataset_unreadable", f"The file `{name}` may not be read.", "Change its permissions, or copy it."
        ) from None
    except (OSError, ValueError):
        pass
    raise _missing(name, searched)


def _missing(name: str, searched: list[Path]) -> RunFailed:
    known = set[str]()
    for place in searched:
        with suppress(OSError):  # a folder that may not be listed knows no names
            known |= {file.name for file in place.iterdir() if file.is_file()}
    near = get_close_matches(Path(name).name[:255], sorted(known), n=1)
    hint = f"Did you mean `{near[0]}`?" if near else "Check its name, and the folder it lies in."
    return failed("dataset_missing", f"There is no dataset `{name}`.", hint)

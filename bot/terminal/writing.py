"""The file that `write=` asks for in a shell: refused early where it cannot be, copied once its run has succeeded."""

import os
import shutil
from pathlib import Path
from typing import Any

from bot.desk import Answer
from shared.errors import failed, refused
from shared.log.runs import Run, RunState


def require_free_place(request: Any) -> None:
    """Raise `RefusedWords` when the file that the words ask for cannot be a new one; what is there stays untouched."""
    place = _place(request)
    if place is None:
        return
    if os.path.lexists(place):
        raise refused(
            "write_exists",
            f"write= makes a new file; `{place}` is there already.",
            "Name another file, or move that one away.",
        )
    if not os.access(place.parent, os.W_OK) or not place.parent.is_dir():
        raise refused(
            "write_folder_unusable",
            f"The file of write= goes into a folder that is there and may be written; `{place.parent}` is none.",
            "Make the folder, or name another one.",
        )


def hand_over(run: Run, answer: Answer) -> list[str]:
    """Copy the table of a run that succeeded to where its words asked for it; the path of the copy, if there is one.

    Raises `RunFailed`: `write_failed`.
    """
    place = _place(run.spec)
    if place is None or run.state is not RunState.SUCCEEDED:
        return []
    source = next(file["path"] for file in answer.envelope["artifacts"] if file["name"] == place.name)
    try:
        with Path(source).open("rb") as table, place.open("xb") as copy:
            shutil.copyfileobj(table, copy, 1024 * 1024)
    except OSError as error:
        if not isinstance(error, FileExistsError):
            place.unlink(missing_ok=True)
        raise failed(
            "write_failed",
            f"Run {run.id} succeeded, but its table could not be copied to `{place}`: {error.strerror}.",
            f"`lml show {run.id}` names the file that holds it.",
        ) from error
    answer.envelope["written"] = str(place)
    return [str(place)]


def _place(request: Any) -> Path | None:
    """The absolute path of the file that a request asks for; None when it asks for none."""
    asked: str | None = getattr(request, "write", None)
    if asked is None:
        return None
    try:
        return Path.cwd() / Path(asked).expanduser()
    except RuntimeError:  # a ~ of nobody
        return Path.cwd() / asked

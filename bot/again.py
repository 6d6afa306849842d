"""A run that is done again, or goes on: what `retry`, `resume` and `replay` ask, and the submission that follows."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from bot.desk import Desk
from shared.access import authorize
from shared.errors import RunFailed, refused
from shared.log import forgotten, runs
from shared.log.runs import Run, RunState
from shared.submission import Submission


class How(StrEnum):
    """How a run is done again; the verb that asks it."""

    RETRY = "retry"  # one that ended badly, from its beginning
    RESUME = "resume"  # one that ended badly, from its last checkpoint
    REPLAY = "replay"  # a train run that succeeded, as its log says


@dataclass(frozen=True)
class Again:
    """Which run, and how."""

    run: int
    how: How


def submission_of(connection: Connection, desk: Desk, asked: Again) -> Submission:
    """A new run with the spec and the dataset of the old one; refused when that cannot be done again."""
    old = runs.find(connection, desk.principal, asked.run)
    authorize(desk.principal, asked.how, owner=old.requested_by)
    forgotten.require_there(connection, old.dataset_sha256)
    if asked.how is How.REPLAY:
        _require_replayable(desk, old)
    else:
        _require_ended(old, asked)
    if asked.how is How.RESUME:
        _require_checkpoint(desk, old)
    return Submission(
        spec=old.spec,
        principal=desk.principal,
        words=f"{asked.how} {old.id}",
        tags=() if asked.how is How.REPLAY else old.tags or (),
        resumes=old.id if asked.how is How.RESUME else None,
        retries=old.id if asked.how is How.RETRY else None,
        # A replay that ended badly is still one when it is done again.
        replays=old.id if asked.how is How.REPLAY else old.replays,
        dataset_source=source_of(old),
    )


def source_of(old: Run) -> dict[str, Any] | None:
    """Where a run that reads what another one read finds its dataset."""
    if old.dataset_sha256 is None:
        return old.dataset_source  # its dataset never came into the store: it is looked for again
    return {**(old.dataset_source or {}), "sha256": old.dataset_sha256}


def bytes_of(desk: Desk, run: Run) -> Path | None:
    """Where the store holds what a run read; None where it does not."""
    try:
        return desk.store.path_of(run.dataset_sha256) if run.dataset_sha256 else None
    except RunFailed:
        return None


def _require_replayable(desk: Desk, old: Run) -> None:
    """It is a train run with a plan to follow, and the bytes that it was trained on are in the store."""
    if old.kind != "train" or old.state is not RunState.SUCCEEDED or "plan" not in (old.result or {}):
        met = f"run {old.id} is {old.kind}" if old.kind != "train" else f"run {old.id} is {old.state.value}"
        if old.kind == "train" and old.state is RunState.SUCCEEDED:
            met = f"run {old.id} of an earlier version left no plan"
        again = old.state in (RunState.FAILED, RunState.CANCELLED)
        hint = f"`retry {old.id}` does it again." if again else "`log kind=train` lists the train runs."
        raise refused("not_replayable", f"`replay` takes a train run that succeeded; {met}.", hint)
    if bytes_of(desk, old) is None:
        raise refused(
            "dataset_gone",
            f"`replay` reads the data of a run by its hash; the store holds the bytes of run {old.id} no longer "
            f"(sha256 {old.dataset_sha256}).",
            "They were removed, or this home is another one; `train` on a copy of the file is a new run.",
        )


def _require_ended(old: Run, asked: Again) -> None:
    if old.state in (RunState.FAILED, RunState.CANCELLED):
        return
    hint = f"`cancel {old.id}` stops it." if not old.state.ended else f"`show {old.id}` shows what it reached."
    raise refused(
        "run_not_stopped",
        f"`{asked.how}` takes a run that failed or was cancelled; run {old.id} is {old.state.value}.",
        hint,
    )


def _require_checkpoint(desk: Desk, old: Run) -> None:
    if old.seeds is not None:
        raise refused(
            "seeds_not_resumed",
            f"`resume` goes on with one training; run {old.id} has a run for each of its {len(old.seeds)} seeds.",
            f"`log parent:{old.id}` lists them, to resume one by itself; `retry {old.id}` does all of them again.",
        )
    folder = desk.settings.checkpoints_folder / str(old.id)
    if old.resumes is not None or any(folder.glob("*/*")):
        return
    raise refused(
        "no_checkpoint",
        f"Run {old.id} left no checkpoint: it had not trained for long enough, or is no train run.",
        f"`retry {old.id}` does it again from its beginning.",
    )

"""A run that is done again, or goes on: what `retry` and `resume` ask, and the submission that follows."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from bot.desk import Desk
from shared.access import authorize
from shared.errors import refused
from shared.log import runs
from shared.log.runs import Run, RunState
from shared.submission import Submission


@dataclass(frozen=True)
class Again:
    """Which run, and whether from its checkpoint."""

    run: int
    resumes: bool

    @property
    def verb(self) -> str:
        """The verb that asks it."""
        return "resume" if self.resumes else "retry"


def submission_of(connection: Connection, desk: Desk, asked: Again) -> Submission:
    """A new run with the spec and the dataset of the old one; refused when that cannot be done again."""
    old = runs.find(connection, desk.principal, asked.run)
    authorize(desk.principal, asked.verb, owner=old.requested_by)
    _require_ended(old, asked)
    if asked.resumes:
        _require_checkpoint(desk, old)
    return Submission(
        spec=old.spec,
        principal=desk.principal,
        words=f"{asked.verb} {old.id}",
        tags=old.tags or (),
        resumes=old.id if asked.resumes else None,
        retries=None if asked.resumes else old.id,
        dataset_source=_source_of(old),
    )


def _source_of(old: Run) -> dict[str, Any] | None:
    if old.dataset_sha256 is None:
        return old.dataset_source  # its dataset never came into the store: it is looked for again
    return {**(old.dataset_source or {}), "sha256": old.dataset_sha256}


def _require_ended(old: Run, asked: Again) -> None:
    if old.state in (RunState.FAILED, RunState.CANCELLED):
        return
    hint = f"`cancel {old.id}` stops it." if not old.state.ended else f"`show {old.id}` shows what it reached."
    raise refused(
        "run_not_stopped",
        f"`{asked.verb}` takes a run that failed or was cancelled; run {old.id} is {old.state.value}.",
        hint,
    )


def _require_checkpoint(desk: Desk, old: Run) -> None:
    folder = desk.settings.checkpoints_folder / str(old.id)
    if old.resumes is not None or any(folder.glob("*/*")):
        return
    raise refused(
        "no_checkpoint",
        f"Run {old.id} left no checkpoint: it had not trained for long enough, or is no train run.",
        f"`retry {old.id}` does it again from its beginning.",
    )

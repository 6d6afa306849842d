"""A command becomes a run: `shared.submission` with what a desk knows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from bot.again import Again, submission_of
from bot.desk import Desk
from bot.grammar import Command
from shared import submission
from shared.access import Visibility
from shared.errors import LmlError
from shared.ingest import Fetch
from shared.log import repeats
from shared.submission import Submission


def write(  # noqa: PLR0913 - a command, and how its run is written
    desk: Desk,
    command: Command,
    *,
    visibility: Visibility = Visibility.TEAM,
    trigger_id: str | None = None,
    dataset_source: dict[str, Any] | None = None,
    card_channel: str | None = None,
    unrepeated: bool = False,
) -> tuple[int, bool]:
    """Write the run of a command as preparing; returns its number, and False when this trigger had written it before.

    With `unrepeated`, also when the same person asked for the same here a moment ago (`shared.log.repeats`). Raises
    `RefusedWords` when the principal may not, or names a run that it cannot use.
    """
    with desk.log.write() as connection:
        if isinstance(command.request, Again):
            asked = submission_of(connection, desk, command.request)
        else:
            asked = Submission(spec=command.request, principal=desk.principal, words="", dataset_source=dataset_source)
        asked = replace(asked, words=command.words, visibility=visibility, key=trigger_id, card_channel=card_channel)
        same = _just_asked(connection, desk, asked) if unrepeated else None
        return (same, False) if same is not None else submission.write(connection, desk.settings, asked)


def prepare(desk: Desk, number: int, *, base: Path | None = None, fetch: Fetch | None = None) -> bool:
    """Bring a run's dataset into the store and let the run wait for a worker; False when it cannot go on."""
    return submission.prepare(desk.log, desk.store, desk.settings, number, base=base, fetch=fetch)


def fail(desk: Desk, number: int, error: LmlError) -> None:
    """End a run that no worker has as failed."""
    submission.fail(desk.log, number, error)


def _just_asked(connection: Connection, desk: Desk, asked: Submission) -> int | None:
    return repeats.just_asked(connection, desk.principal, words=asked.words, dataset_source=asked.dataset_source)

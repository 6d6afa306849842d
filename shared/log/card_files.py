"""The files of a card's thread: each has a row, in which Slack's id stands before anybody sees the file there.

The life of a file: Slack gave it an id; its bytes are there (`+` before the id); it is about to be shown (`?` before
it: whoever meets that asks Slack about the file, for nobody heard what came of it); it was sent, or cannot be had
there. Every note is fenced by the lease of the card: who has lost it writes nothing more.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from shared.log import tables
from shared.log.chat_tables import card_files
from shared.log.engine import now

_THERE, _SHOWING = "+", "?"


@dataclass(frozen=True)
class CardFile:
    """How far a file is."""

    name: str
    file_id: str | None
    """Slack's id, once it was given one."""
    uploaded: bool
    """Whether Slack has its bytes, which nobody sees yet."""
    showing: bool
    """Whether it is about to be shown, or was."""
    begun_s: float
    """How long ago its latest step began."""
    sent: bool
    problem: str | None
    """Why it cannot be had there."""

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        return self.sent or self.problem is not None


def of_run(connection: Connection, run: int) -> dict[str, CardFile]:
    """The files of a run's card that were begun, by name."""
    moment = now(connection)
    rows = connection.execute(select(card_files).where(card_files.c.run_id == run))
    return {row.name: _card_file(row, moment) for row in rows}


def _card_file(row: Any, moment: datetime) -> CardFile:
    begun_at: datetime = row.begun_at
    return CardFile(
        name=row.name,
        file_id=row.file_id.lstrip(_THERE + _SHOWING) if row.file_id else None,
        uploaded=row.file_id is not None and row.file_id.startswith(_THERE),
        showing=row.file_id is not None and row.file_id.startswith(_SHOWING),
        begun_s=max((moment - begun_at).total_seconds(), 0.0),
        sent=row.sent_at is not None,
        problem=row.problem,
    )


def note_file(connection: Connection, run: int, name: str, *, owner: str, file_id: str | None) -> bool:
    """Write Slack's id of a file that is not shown yet, before its bytes are sent; None when it has none any more.

    False when the card is not this owner's any more; so do the others.
    """
    return _write(connection, run, [name], owner=owner, file_id=file_id)


def note_uploaded(connection: Connection, run: int, name: str, *, owner: str, file_id: str) -> bool:
    """Write that Slack has the bytes of a file, and nobody sees it yet."""
    return _write(connection, run, [name], owner=owner, file_id=_THERE + file_id)


def note_showing(connection: Connection, run: int, files: Mapping[str, str], *, owner: str) -> bool:
    """Write that these files, each with its id, are about to be shown in the thread, before they are."""
    return all(
        _write(connection, run, [name], owner=owner, file_id=_SHOWING + file_id) for name, file_id in files.items()
    )


def note_sent(connection: Connection, run: int, names: Collection[str], *, owner: str) -> bool:
    """Write that these files are in the thread."""
    return _write(connection, run, names, owner=owner, sent_at=now(connection))


def note_problem(connection: Connection, run: int, name: str, *, owner: str, problem: str) -> bool:
    """Write why a file cannot be had in the thread; it is not tried again."""
    return _write(connection, run, [name], owner=owner, problem=problem)


def _write(
    connection: Connection, run: int, names: Collection[str], *, owner: str, **values: str | datetime | None
) -> bool:
    cards, files = tables.cards.c, card_files.c
    mine = select(cards.run_id).where(cards.run_id == run, cards.lease_owner == owner).with_for_update()
    if connection.execute(mine).first() is None:
        return False
    moment = now(connection)
    for name in names:
        row = {"begun_at": moment, **values}
        known = connection.execute(update(card_files).where(files.run_id == run, files.name == name).values(row))
        if known.rowcount == 0:
            connection.execute(insert(card_files).values(run_id=run, name=name, **row))
    return True

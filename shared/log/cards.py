"""Cards: where a run's message stands in a chat, and the last event that it shows.

Whoever sends takes a card under a short lease, so that two bot processes share the work and neither posts twice.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, and_, insert, or_, select, update

from shared.log import tables
from shared.log.engine import lapsed, now

LONGEST_WAIT_S = 1800.0
"""How long a card is put off at most."""


@dataclass(frozen=True)
class CardPlace:
    """A card that is behind its run, and where it stands; `message_ts` is None before it was posted."""

    run: int
    channel_id: str
    message_ts: str | None
    shown_event: int
    files_sent: bool


def place(connection: Connection, run: int, *, channel_id: str) -> None:
    """Note that a run wants a card in a channel."""
    connection.execute(insert(tables.cards).values(run_id=run, channel_id=channel_id, shown_event=-1, files_sent=False))


def take_behind(connection: Connection, *, owner: str, lease_s: float = 30.0) -> CardPlace | None:
    """Take a card that is behind its run, or has files to send, under a lease; None when all are up to date."""
    moment = now(connection)
    cards, runs = tables.cards.c, tables.runs.c
    row = connection.execute(
        select(tables.cards)
        .join(tables.runs, runs.id == cards.run_id)
        .where(
            or_(cards.shown_event < runs.last_event, and_(runs.state == "succeeded", cards.files_sent.is_(False))),
            cards.problem.is_(None),
            or_(cards.lease_until.is_(None), lapsed(cards.lease_until, moment, at_most_s=2 * lease_s)),
            or_(cards.due_at.is_(None), lapsed(cards.due_at, moment, at_most_s=LONGEST_WAIT_S)),
        )
        .order_by(cards.due_at.is_not(None), cards.due_at, cards.run_id)
        .limit(1)
        .with_for_update(skip_locked=True, of=tables.cards)
    ).one_or_none()
    if row is None:
        return None
    connection.execute(
        update(tables.cards)
        .where(cards.run_id == row.run_id)
        .values(lease_owner=owner, lease_until=moment + timedelta(seconds=lease_s))
    )
    return CardPlace(
        run=row.run_id,
        channel_id=row.channel_id,
        message_ts=row.message_ts,
        shown_event=row.shown_event,
        files_sent=row.files_sent,
    )


def note_posting(connection: Connection, run: int, *, owner: str, mark: str | None) -> bool:
    """Write that the run's card is about to be posted, before it is; None takes that back, as it surely was not.

    The mark stands where the message's ts will stand: whoever finds it there knows that the message may exist. False
    when the card is not this owner's any more.
    """
    noted = connection.execute(
        update(tables.cards)
        .where(tables.cards.c.run_id == run, tables.cards.c.lease_owner == owner)
        .values(message_ts=mark)
    )
    return noted.rowcount > 0


def shown(connection: Connection, run: int, *, owner: str, message_ts: str, event: int, again_in_s: float) -> None:
    """Store that the card shows an event now, and give it back; it is not taken again before `again_in_s` seconds."""
    _give_back(connection, run, owner=owner, again_in_s=again_in_s, message_ts=message_ts, shown_event=event)


def files_sent(connection: Connection, run: int, *, owner: str) -> None:
    """Store that the run's files are in the card's thread, and give the card back."""
    _give_back(connection, run, owner=owner, again_in_s=0.0, files_sent=True)


def put_off(connection: Connection, run: int, *, owner: str, seconds: float) -> None:
    """Give the card back unshown; it is tried again after so many seconds."""
    _give_back(connection, run, owner=owner, again_in_s=seconds)


def give_up(connection: Connection, run: int, *, owner: str, problem: str) -> None:
    """Store why this card cannot be shown; it is not tried again."""
    _give_back(connection, run, owner=owner, again_in_s=0.0, problem=problem)


def _give_back(connection: Connection, run: int, *, owner: str, again_in_s: float, **values: str | int | bool) -> None:
    connection.execute(
        update(tables.cards)
        .where(tables.cards.c.run_id == run, tables.cards.c.lease_owner == owner)
        .values(lease_owner=None, lease_until=None, due_at=now(connection) + timedelta(seconds=again_in_s), **values)
    )

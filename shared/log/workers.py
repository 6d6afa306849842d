"""The workers that live, and what their slots take; and locks that one of them has."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from shared.log import tables
from shared.log.engine import lapsed, now
from shared.work import Slot

LIVES_FOR_S = 30.0
"""How long a worker that says nothing is taken for alive."""
_LONGEST_LOCK_S = 60.0


def seen(connection: Connection, worker: str, slots: Sequence[Slot]) -> None:
    """A worker lives; those that have been gone for long are forgotten."""
    moment, workers = now(connection), tables.workers.c
    values = {"slots": [slot.plain() for slot in slots], "seen_at": moment}
    known = connection.execute(update(tables.workers).where(workers.name == worker).values(values))
    if known.rowcount == 0:
        connection.execute(insert(tables.workers).values(name=worker, started_at=moment, **values))
    connection.execute(delete(tables.workers).where(workers.seen_at < moment - timedelta(hours=1)))


def gone(connection: Connection, worker: str) -> None:
    """A worker has stopped."""
    connection.execute(delete(tables.workers).where(tables.workers.c.name == worker))


def live_slots(connection: Connection, moment: datetime) -> list[Slot]:
    """The slots of every worker that lives."""
    workers = tables.workers.c
    rows = connection.execute(select(workers.slots).where(workers.seen_at > moment - timedelta(seconds=LIVES_FOR_S)))
    return [Slot.of_plain(slot) for row in rows for slot in row.slots]


def take_lock(connection: Connection, name: str, *, owner: str, seconds: float) -> bool:
    """Have a lock, or keep it, for some seconds; False while someone else has it."""
    moment, locks = now(connection), tables.locks.c
    until = moment + timedelta(seconds=seconds)
    mine = or_(locks.owner == owner, lapsed(locks.until, moment, at_most_s=_LONGEST_LOCK_S))
    if connection.execute(
        update(tables.locks).where(locks.name == name, mine).values(owner=owner, until=until)
    ).rowcount:
        return True
    if connection.execute(select(locks.name).where(locks.name == name)).one_or_none() is not None:
        return False
    try:
        with connection.begin_nested():
            connection.execute(insert(tables.locks).values(name=name, owner=owner, until=until))
    except IntegrityError:
        return False
    return True

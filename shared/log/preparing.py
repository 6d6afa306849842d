"""Runs from a chat or a service whose dataset is on the way: which process brings it.

A note in the log, so that a process that dies in between loses nothing and two of them double nothing.
"""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Connection, or_, select, update

from shared.access import Source
from shared.log import tables
from shared.log.engine import lapsed, now
from shared.log.runs import Run, RunState, get

PREPARING_LEASE_S = 60.0
"""For how long a process that brings a dataset is taken to be at it, unless it says so again."""


def take_preparing(
    connection: Connection, *, owner: str, lease_s: float, sources: Collection[Source] = (Source.SLACK,)
) -> Run | None:
    """Take the oldest run from these sources whose dataset nobody fetches, under a lease; None when there is none.

    The lease spares double work only: a run leaves `preparing` once, whoever tries.
    """
    moment, runs = now(connection), tables.runs.c
    waiting = (
        select(runs.id)
        .where(
            runs.source.in_([source.value for source in sources]),
            runs.state == RunState.PREPARING.value,
            or_(runs.lease_until.is_(None), lapsed(runs.lease_until, moment, at_most_s=2 * PREPARING_LEASE_S)),
        )
        .order_by(runs.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    number: int | None = connection.execute(waiting).scalar_one_or_none()
    if number is None:
        return None
    connection.execute(
        update(tables.runs)
        .where(runs.id == number)
        .values(worker=owner, lease_until=moment + timedelta(seconds=lease_s))
    )
    return get(connection, number)


def begin_preparing(connection: Connection, run: int, *, owner: str) -> None:
    """Say who brings the dataset of a run that nobody else would take, such as that of a command in a shell."""
    connection.execute(
        update(tables.runs)
        .where(tables.runs.c.id == run, tables.runs.c.state == RunState.PREPARING.value)
        .values(worker=owner, lease_until=now(connection) + timedelta(seconds=PREPARING_LEASE_S))
    )


def keep_preparing(connection: Connection, run: int, *, owner: str, lease_s: float) -> bool:
    """Keep the run for another lease; False when it is not this owner's any more (it was cancelled, for example)."""
    kept = connection.execute(
        update(tables.runs)
        .where(
            tables.runs.c.id == run,
            tables.runs.c.worker == owner,
            tables.runs.c.state == RunState.PREPARING.value,
        )
        .values(lease_until=now(connection) + timedelta(seconds=lease_s))
    )
    return kept.rowcount > 0

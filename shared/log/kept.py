"""What on the disk belongs to a run that may still need it."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from shared.log import tables
from shared.log.engine import now
from shared.log.states import ENDED

LEFT_ALONE = timedelta(hours=1)
"""How long after its end what an attempt worked on is left alone: its process may still be about to end."""


def needless_checkpoints(connection: Connection, numbers: Iterable[int], *, days: float) -> list[int]:
    """Those of these runs whose checkpoints nobody needs: they ended long ago, were never promoted, and no run that
    has still to end goes on from them.
    """
    runs, before = tables.runs.c, now(connection) - timedelta(days=days)
    old = connection.execute(
        select(runs.id).where(
            runs.id.in_(list(numbers)), runs.state.in_([state.value for state in ENDED]), runs.ended_at < before
        )
    )
    found = set(old.scalars())
    if not found:
        return []
    promoted = connection.execute(select(tables.promotions.c.run_id).where(tables.promotions.c.run_id.in_(found)))
    return sorted(found - set(promoted.scalars()) - _origins(connection))


def needless_work(connection: Connection, attempts: Mapping[str, tuple[int, int]]) -> list[str]:
    """Those of these folders, each with its run and its attempt, whose attempt ended a while ago."""
    runs, before = tables.runs.c, now(connection) - LEFT_ALONE
    asked = select(runs.id, runs.state, runs.attempts, runs.started_at, runs.ended_at)
    rows = connection.execute(asked.where(runs.id.in_({run for run, _ in attempts.values()})))
    known = {row.id: row for row in rows}

    def is_over(run: int, fence: int) -> bool:
        row = known.get(run)
        if row is None:
            return False
        ended: datetime | None = row.ended_at if row.ended_at is not None else None
        if ended is not None:
            return ended < before
        return bool(row.attempts > fence and row.started_at is not None and row.started_at < before)

    return [name for name, (run, fence) in attempts.items() if is_over(run, fence)]


def unknown(connection: Connection, numbers: Iterable[int]) -> list[int]:
    """Those of these numbers that are no run of this log."""
    asked = set(numbers)
    known = connection.execute(select(tables.runs.c.id).where(tables.runs.c.id.in_(asked))).scalars()
    return sorted(asked - set(known))


def _origins(connection: Connection) -> set[int]:
    """The runs from whose checkpoints a run that has still to end may go on, at any remove."""
    runs = tables.runs.c
    met: set[int] = set()
    ended = [state.value for state in ENDED]
    asked = select(runs.resumes).where(runs.resumes.is_not(None), runs.state.not_in(ended))
    waiting = set(connection.execute(asked).scalars())
    while waiting:
        met |= waiting
        before = select(runs.resumes).where(runs.id.in_(waiting), runs.resumes.is_not(None))
        waiting = set(connection.execute(before).scalars()) - met
    return met

"""What a monitoring system asks of the log: how much waits, how long runs take, how attempts ended, what was used."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, case, cast, func, select

from shared.log import tables
from shared.log.engine import now
from shared.log.quotas import SERVICE
from shared.log.states import RunState
from shared.log.workers import live_slots
from shared.work import Priority, Slot

DURATION_BOUNDS_S = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0)


@dataclass(frozen=True)
class Waiting:
    """What waits in one class of work and priority."""

    device: str
    length: str
    priority: str
    runs: int
    oldest_s: float


@dataclass(frozen=True)
class Histogram:
    """How long something took for the runs of one class."""

    of: tuple[str, ...]
    """The class: a value for each label."""
    counts: Sequence[int]
    """How many took at most each of `DURATION_BOUNDS_S`, and in the end those that took longer; not cumulated."""
    sum_s: float


@dataclass(frozen=True)
class Figures:
    """One look at the log."""

    waiting: Sequence[Waiting]
    states: dict[str, int]
    durations: Sequence[Histogram]
    """From the start of the last attempt to the end, by kind and state."""
    waits: Sequence[Histogram]
    """From the moment in which a worker could have taken a run to its last start, by device, length and priority."""
    attempts: dict[str, int]
    """How many ended with each outcome."""
    gpu_s: dict[str, float]
    """GPU-seconds by the class of whoever asked: person or service."""
    webhooks: int
    """How many ends services have not been told of."""
    slots: Sequence[Slot]


def figures(connection: Connection) -> Figures:
    """Everything at one moment."""
    moment = now(connection)
    return Figures(
        waiting=_waiting(connection, moment),
        states=_states(connection),
        durations=_durations(connection),
        waits=_waits(connection),
        attempts=_attempts(connection),
        gpu_s=_gpu_s(connection, moment),
        webhooks=_webhooks(connection),
        slots=live_slots(connection, moment),
    )


def _waiting(connection: Connection, moment: datetime) -> list[Waiting]:
    runs = tables.runs.c
    classes = (runs.device, runs.length, runs.priority)
    rows = connection.execute(
        select(*classes, func.count().label("waiting"), func.min(runs.queued_at).label("since"))
        .where(runs.state == RunState.QUEUED.value)
        .group_by(*classes)
    )
    return [
        Waiting(row.device, row.length, Priority(row.priority).word, row.waiting, (moment - row.since).total_seconds())
        for row in rows
    ]


def _states(connection: Connection) -> dict[str, int]:
    runs = tables.runs.c
    counted = connection.execute(select(runs.state, func.count()).group_by(runs.state))
    return {state.value: 0 for state in RunState} | dict(tuple(row) for row in counted)


def _durations(connection: Connection) -> list[Histogram]:
    runs = tables.runs.c
    return _histograms(connection, (runs.kind, runs.state), runs.started_at, runs.ended_at)


def _waits(connection: Connection) -> list[Histogram]:
    runs = tables.runs.c
    found = _histograms(connection, (runs.device, runs.length, runs.priority), runs.queued_at, runs.started_at)
    return [replace(one, of=(*one.of[:2], Priority(int(one.of[2])).word)) for one in found]


def _histograms(connection: Connection, of: Sequence[Any], start: Any, end: Any) -> list[Histogram]:
    took_s = _seconds(connection, start, end)
    bucket = case(
        *((took_s <= bound, index) for index, bound in enumerate(DURATION_BOUNDS_S)), else_=len(DURATION_BOUNDS_S)
    ).label("bucket")
    rows = connection.execute(
        select(*of, bucket, func.count(), func.sum(took_s))
        .where(start.is_not(None), end.is_not(None))
        .group_by(*of, bucket)
    )
    counts: dict[tuple[str, ...], list[int]] = {}
    sums: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for *labels, index, count, seconds in rows:
        key = tuple(map(str, labels))
        counts.setdefault(key, [0] * (len(DURATION_BOUNDS_S) + 1))[index] += count
        sums[key] += float(seconds)
    return [Histogram(key, counted, sums[key]) for key, counted in counts.items()]


def _attempts(connection: Connection) -> dict[str, int]:
    attempts = tables.attempts.c
    rows = connection.execute(
        select(attempts.outcome, func.count()).where(attempts.outcome.is_not(None)).group_by(attempts.outcome)
    )
    return dict(tuple(row) for row in rows)


def _gpu_s(connection: Connection, moment: datetime) -> dict[str, float]:
    attempts = tables.attempts.c
    asker = case((attempts.requested_by.startswith(SERVICE, autoescape=True), "service"), else_="person").label("asker")
    seconds = func.sum(_seconds(connection, attempts.started_at, func.coalesce(attempts.ended_at, moment)))
    rows = connection.execute(select(asker, seconds).where(attempts.device == "gpu").group_by(asker))
    return {"person": 0.0, "service": 0.0} | {who: float(used) for who, used in rows}


def _webhooks(connection: Connection) -> int:
    count: int = connection.execute(
        select(func.count()).where(tables.webhooks.c.done_at.is_(None), tables.webhooks.c.tries > 0)
    ).scalar_one()
    return count


def _seconds(connection: Connection, start: Any, end: Any) -> ColumnElement[float]:
    """The seconds from one moment to another, in the words of the engine."""
    if connection.dialect.name == "sqlite":
        return (func.julianday(end) - func.julianday(start)) * 86_400.0
    return cast(func.extract("epoch", end - start), Float)

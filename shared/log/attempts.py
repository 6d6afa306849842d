"""Attempts: how a worker takes a run, keeps it, and ends it.

Each write of an attempt carries its fence, the attempt's number: a worker that lost its lease and wakes up again
changes nothing. `FenceLost` tells it so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from shared.errors import Problem
from shared.events import AnyEvent, Cancelled, EpochDone, Failed, Released, Started, Succeeded
from shared.log import tables
from shared.log.engine import now
from shared.log.runs import Artifact, Run, RunState, append_event, get


class FenceLost(Exception):
    """This attempt no longer has its run: its lease passed, or the run was taken or ended by someone else."""


@dataclass(frozen=True)
class Attempt:
    """One execution of a run: the run's number and the fence."""

    run: int
    fence: int


@dataclass(frozen=True)
class Outcome:
    """What a successful attempt leaves: the result, the last metric values by part, and the artifacts."""

    result: dict[str, Any]
    metrics: Mapping[str, Mapping[str, float | None]]
    artifacts: Sequence[Artifact]


def claim(connection: Connection, *, worker: str, lease_s: float) -> tuple[Attempt, Run] | None:
    """Take the best waiting run, the oldest, under a lease; None when nothing waits."""
    waiting = (
        select(tables.runs.c.id)
        .where(tables.runs.c.state == RunState.QUEUED.value)
        .order_by(tables.runs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    number: int | None = connection.execute(waiting).scalar_one_or_none()
    if number is None:
        return None
    moment = now(connection)
    fence: int = connection.execute(
        update(tables.runs)
        .where(tables.runs.c.id == number)
        .values(
            state=RunState.RUNNING.value,
            attempts=tables.runs.c.attempts + 1,
            worker=worker,
            lease_until=moment + timedelta(seconds=lease_s),
            started_at=moment,
        )
        .returning(tables.runs.c.attempts)
    ).scalar_one()
    append_event(connection, number, Started(attempt=fence, worker=worker))
    return Attempt(run=number, fence=fence), get(connection, number)


def renew(connection: Connection, attempt: Attempt, *, lease_s: float) -> None:
    """Keep the run for another lease."""
    _change(connection, attempt, lease_until=now(connection) + timedelta(seconds=lease_s))


def cancel_requested(connection: Connection, attempt: Attempt) -> bool:
    """Whether someone asked for this run to stop."""
    asked: bool | None = connection.execute(
        select(tables.runs.c.cancel_requested).where(_mine(attempt))
    ).scalar_one_or_none()
    if asked is None:
        raise FenceLost
    return asked


def record(connection: Connection, attempt: Attempt, event: AnyEvent) -> None:
    """Write an event of this attempt, and the points of its curves."""
    _change(connection, attempt, worker=tables.runs.c.worker)
    append_event(connection, attempt.run, event)
    if isinstance(event, EpochDone):
        points = {"train_loss": event.train_loss, "validation_loss": event.validation_loss}
        for series, value in points.items():
            if value is not None:
                _put_point(connection, attempt, series=f"{event.model}.{series}", step=event.epoch, value=value)


def _put_point(connection: Connection, attempt: Attempt, *, series: str, step: int, value: float) -> None:
    point = tables.metric_points
    key = and_(
        point.c.run_id == attempt.run, point.c.attempt == attempt.fence, point.c.series == series, point.c.step == step
    )
    if connection.execute(update(point).where(key).values(value=value)).rowcount == 0:
        connection.execute(
            insert(point).values(run_id=attempt.run, attempt=attempt.fence, series=series, step=step, value=value)
        )


def succeed(connection: Connection, attempt: Attempt, outcome: Outcome) -> None:
    """End the run well: result, metrics and artifacts become visible in one transaction, or not at all."""
    _end(connection, attempt, RunState.SUCCEEDED, Succeeded(), result=outcome.result)
    for part, values in outcome.metrics.items():
        for name, value in values.items():
            if value is not None:
                connection.execute(insert(tables.metrics).values(run_id=attempt.run, part=part, name=name, value=value))
    for artifact in outcome.artifacts:
        connection.execute(insert(tables.artifacts).values(run_id=attempt.run, **artifact.model_dump()))


def fail(connection: Connection, attempt: Attempt, problem: Problem) -> None:
    """End the run badly, with what to tell people."""
    _end(connection, attempt, RunState.FAILED, Failed(problem=problem), problem=asdict(problem))


def cancelled(connection: Connection, attempt: Attempt) -> None:
    """End the run as cancelled."""
    _end(connection, attempt, RunState.CANCELLED, Cancelled())


def release(connection: Connection, attempt: Attempt, *, reason: str) -> None:
    """Give the run back: it waits for another worker."""
    _change(connection, attempt, state=RunState.QUEUED.value, lease_until=None, worker=None)
    append_event(connection, attempt.run, Released(reason=reason))


def release_lapsed(connection: Connection) -> list[int]:
    """Let every run wait again whose lease has passed; returns their numbers."""
    runs = tables.runs.c
    lapsed = connection.execute(
        select(runs.id, runs.attempts)
        .where(runs.state == RunState.RUNNING.value, runs.lease_until < now(connection))
        .with_for_update(skip_locked=True)  # another sweep has it, or its worker is just ending it
    ).all()
    for row in lapsed:
        release(connection, Attempt(run=row.id, fence=row.attempts), reason="its worker was lost")
    return [row.id for row in lapsed]


def waiting_longer_than(connection: Connection, *, seconds: float) -> list[int]:
    """The queued runs that have waited for so long that their doorbell may be lost."""
    before = now(connection) - timedelta(seconds=seconds)
    rows = connection.execute(
        select(tables.runs.c.id).where(tables.runs.c.state == RunState.QUEUED.value, tables.runs.c.queued_at < before)
    )
    return list(rows.scalars())


def _end(connection: Connection, attempt: Attempt, state: RunState, event: AnyEvent, **values: Any) -> None:
    _change(connection, attempt, state=state.value, ended_at=now(connection), lease_until=None, **values)
    append_event(connection, attempt.run, event)


def _change(connection: Connection, attempt: Attempt, **values: Any) -> None:
    changed = connection.execute(update(tables.runs).where(_mine(attempt)).values(**values))
    if changed.rowcount == 0:
        raise FenceLost


def _mine(attempt: Attempt) -> ColumnElement[bool]:
    return and_(
        tables.runs.c.id == attempt.run,
        tables.runs.c.attempts == attempt.fence,
        tables.runs.c.state == RunState.RUNNING.value,
    )

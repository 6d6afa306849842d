"""Attempts: how a worker takes a run, keeps it, and ends it.

Each write of an attempt carries its fence, the attempt's number: a worker that lost its lease and wakes up again
changes nothing. `FenceLost` tells it so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, insert, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from shared.errors import Problem
from shared.events import AnyEvent, Cancelled, CheckpointSaved, EpochDone, Failed, Released, Started, Succeeded
from shared.log import seeds, tables
from shared.log.engine import now, one_at_a_time
from shared.log.order import Group, count_slot_seconds, ranked, waits
from shared.log.quotas import Limits
from shared.log.runs import Artifact, Run, RunState, append_event, run_of, write_event
from shared.specs import Device
from shared.work import Slot

ANY_SLOT, NO_LIMITS = Slot(), Limits()
MOST_LOSSES = 10
"""How many workers in a row a run may lose without a checkpoint in between before it is taken for the cause."""

MOST_TARGET = 100
"""The characters of a target's name by which runs are found: an index holds no column name of any length."""


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


def claim(
    connection: Connection, *, worker: str, lease_s: float, slot: Slot = ANY_SLOT, limits: Limits = NO_LIMITS
) -> tuple[Attempt, Run] | None:
    """Take the best waiting run for a slot under a lease (`order`); None when nothing waits that may have it.

    One claim at a time, so that none decides by what another is just changing.
    """
    moment, lease = one_at_a_time(connection, "claim"), timedelta(seconds=lease_s)
    for group in ranked(connection, slot, moment, limits):
        run = _take(connection, slot, group, worker=worker, started_at=moment, lease_until=moment + lease)
        if run is None:
            continue  # somebody is just changing all of them
        connection.execute(
            insert(tables.attempts).values(
                run_id=run.id,
                number=run.attempts,
                team_id=run.team_id,
                requested_by=run.requested_by,
                worker=worker,
                device=Device.CPU.value if group.on_cpu else slot.device.value,
                started_at=moment,
            )
        )
        write_event(connection, run.id, run.last_event, Started(attempt=run.attempts, worker=worker), at=moment)
        return Attempt(run=run.id, fence=run.attempts), run
    return None


def _take(connection: Connection, slot: Slot, group: Group, **values: Any) -> Run | None:
    """Let the run of a group that waits longest, of those that nobody holds, go on with its next attempt."""
    row: Any = connection.execute(_taking_first(), {"number": group.first, **values}).one_or_none()
    if row is None:  # somebody is just changing that one
        row = connection.execute(_taking(waits(slot), *_of_group(group)), values).one_or_none()
    return None if row is None else run_of(row)


@cache
def _taking_first() -> ReturningUpdate[Any]:
    runs = tables.runs.c
    return _taking(runs.id == bindparam("number"), runs.state == RunState.QUEUED.value)


def _taking(*which: ColumnElement[bool]) -> ReturningUpdate[Any]:
    runs = tables.runs.c
    free = select(runs.id).where(*which).order_by(runs.queued_at, runs.id).limit(1).with_for_update(skip_locked=True)
    return (
        update(tables.runs)
        .where(runs.id == free.correlate(None).scalar_subquery())
        .values(state=RunState.RUNNING.value, attempts=runs.attempts + 1, last_event=runs.last_event + 1, notice=None)
        .returning(*runs)
    )


def _of_group(group: Group) -> tuple[ColumnElement[bool], ...]:
    runs = tables.runs.c
    team_id, requested_by = group.requester
    on_cpu = runs.device == Device.CPU.value
    return (
        runs.team_id == team_id,
        runs.requested_by == requested_by,
        runs.priority == group.given,
        on_cpu if group.on_cpu else ~on_cpu,
    )


def renew(connection: Connection, attempt: Attempt, *, lease_s: float) -> None:
    """Keep the run for another lease."""
    _change(connection, attempt, lease_until=now(connection) + timedelta(seconds=lease_s))


def cancel_requested(connection: Connection, attempt: Attempt, *, holding: bool = False) -> bool:
    """Whether someone asked for this run to stop; `holding` it, nobody can until the block ends."""
    wish = select(tables.runs.c.cancel_requested).where(_mine(attempt))
    asked: bool | None = connection.execute(wish.with_for_update() if holding else wish).scalar_one_or_none()
    if asked is None:
        raise FenceLost
    return asked


def record(connection: Connection, attempt: Attempt, event: AnyEvent) -> None:
    """Write an event of this attempt, and the points of its curves."""
    _change(connection, attempt, worker=tables.runs.c.worker)
    append_event(connection, attempt.run, event)
    if isinstance(event, CheckpointSaved):
        _change(connection, attempt, losses=0)
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
    _end(connection, attempt, RunState.SUCCEEDED, Succeeded(), result=outcome.result, **_found_out(outcome.result))
    for part, values in outcome.metrics.items():
        for name, value in values.items():
            if value is not None:
                connection.execute(insert(tables.metrics).values(run_id=attempt.run, part=part, name=name, value=value))
    for artifact in outcome.artifacts:
        connection.execute(insert(tables.artifacts).values(run_id=attempt.run, **artifact.model_dump()))


def _found_out(result: Mapping[str, Any]) -> dict[str, Any]:
    """What of a result is searched by, and has a column of its own."""
    dataset, headline, target = result.get("dataset") or {}, result.get("headline"), result.get("target")
    return {
        **{name: result.get(name) for name in ("task", "split_sha256", "model", "headline")},
        "target": None if target is None else str(target)[:MOST_TARGET],
        "content_sha256": dataset.get("content_sha256"),
        "score": ((result.get("metrics") or {}).get("test") or {}).get(headline),
    }


def fail(connection: Connection, attempt: Attempt, problem: Problem) -> None:
    """End the run badly, with what to tell people."""
    _end(connection, attempt, RunState.FAILED, Failed(problem=problem), problem=asdict(problem))


def cancelled(connection: Connection, attempt: Attempt) -> None:
    """End the run as cancelled."""
    _end(connection, attempt, RunState.CANCELLED, Cancelled())


def release(connection: Connection, attempt: Attempt, *, reason: str, outcome: str = "released", **values: Any) -> None:
    """Give the run back: it waits for another worker, unless someone has asked for its end. Raises `FenceLost`."""
    if cancel_requested(connection, attempt, holding=True):
        cancelled(connection, attempt)
        return
    _change(connection, attempt, state=RunState.QUEUED.value, lease_until=None, worker=None, **values)
    _close(connection, attempt, outcome)
    append_event(connection, attempt.run, Released(reason=reason))


def crash(connection: Connection, attempt: Attempt, problem: Problem, *, most: int) -> None:
    """End an attempt whose process died; its run waits again, or fails when that has happened `most` times before."""
    crashes: int | None = connection.execute(
        select(tables.runs.c.crashes).where(_mine(attempt)).with_for_update()
    ).scalar_one_or_none()
    if crashes is None:
        raise FenceLost
    if crashes >= most:
        fail(connection, attempt, problem)
    else:
        release(connection, attempt, reason=problem.message, outcome="crashed", crashes=crashes + 1)


def release_lapsed(connection: Connection, *, lease_s: float | None = None, most: int = 25) -> list[int]:
    """Let runs wait again whose lease has passed, at most so many in one block; returns their numbers.

    With `lease_s`, a lease that ends later than any can, because the clock was set back, is cut to a whole one. A run
    that lost too many workers in a row fails: it is probably what ended them.
    """
    runs, moment = tables.runs.c, now(connection)
    if lease_s is not None:
        lease = timedelta(seconds=lease_s)
        connection.execute(
            update(tables.runs)
            .where(runs.state == RunState.RUNNING.value, runs.lease_until > moment + 2 * lease)
            .values(lease_until=moment + lease)
        )
    lapsed = connection.execute(
        select(runs.id, runs.attempts, runs.losses)
        .where(runs.state == RunState.RUNNING.value, runs.lease_until < moment)
        .limit(most)
        .with_for_update(skip_locked=True)  # another sweep has it, or its worker is just ending it
    ).all()
    for row in lapsed:
        attempt = Attempt(run=row.id, fence=row.attempts)
        if row.losses + 1 >= MOST_LOSSES:
            fail(connection, attempt, _lost_often())
        else:
            release(connection, attempt, reason="its worker was lost", outcome="lost", losses=row.losses + 1)
    return [row.id for row in lapsed]


def _lost_often() -> Problem:
    return Problem(
        code="worker_lost_often",
        message=f"The run lost its worker {MOST_LOSSES} times in a row, without a checkpoint in between.",
        hint="It probably takes more memory than its machines have: train on a sample, or give workers more memory.",
    )


def _end(connection: Connection, attempt: Attempt, state: RunState, event: AnyEvent, **values: Any) -> None:
    _change(connection, attempt, state=state.value, ended_at=now(connection), lease_until=None, **values)
    _close(connection, attempt, state.value)
    append_event(connection, attempt.run, event)
    reached = values.get("headline"), values.get("score")
    seeds.tell_of_end(connection, attempt.run, state, reached=reached)


def _close(connection: Connection, attempt: Attempt, outcome: str) -> None:
    """Write that an attempt is over, and count what it has used."""
    attempts, moment = tables.attempts.c, now(connection)
    row: Any = connection.execute(
        update(tables.attempts)
        .where(attempts.run_id == attempt.run, attempts.number == attempt.fence, attempts.ended_at.is_(None))
        .values(ended_at=moment, outcome=outcome)
        .returning(attempts.team_id, attempts.requested_by, attempts.started_at)
    ).one_or_none()
    if row is not None:  # None: it began before attempts were written down
        seconds = max((moment - row.started_at).total_seconds(), 0.0)
        count_slot_seconds(connection, row.team_id, row.requested_by, seconds=seconds, moment=moment)


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

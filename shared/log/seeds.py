"""Seeds of a run: a run for each of them, and one that gathers what they reach.

1. The dataset of a run with `seeds` comes into the store: in that transaction a run for each seed is written as queued,
   and the run itself begins to gather (`sow`).
2. A seed ends, however it does: in that transaction its run is told, and waits for a worker once it was the last
   (`tell_of_end`). That run's row is locked for it, so that of two that end at once the second one sees the first.
3. From then on the run is one like any other: claimed, done, tried again when its worker is lost.

Whoever changes seeds and their run locks the seeds first, then the run (`hold`): a seed that ends does so too, and with
another order two of them could wait for each other.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, insert, select, update

from shared.errors import Problem
from shared.events import Queued, SeedEnded, SeedsQueued
from shared.log import tables
from shared.log.engine import now
from shared.log.happened import append_event, write_event
from shared.log.states import ENDED, RunState
from shared.spec_words import words_of
from shared.specs import AnySpec, Device, TrainSpec, seeds_of
from shared.work import Length

_ENDED = [state.value for state in ENDED]
_COPIED = (
    "team_id",
    "channel_id",
    "visibility",
    "requested_by",
    "source",
    "kind",
    "name",
    "dataset_source",
    "dataset_name",
    "dataset_sha256",
    "dataset_size_bytes",
    "device",
    "length",
    "priority",
    "deadline_at",
)


@dataclass(frozen=True)
class Seed:
    """The run of a seed as it stands."""

    run: int
    seed: int
    state: RunState
    model: str | None = None
    metric: str | None = None
    """The score that stands for it, and what it reached on the test rows."""
    score: float | None = None
    problem: Problem | None = None


def sow(connection: Connection, run: int, spec: AnySpec) -> None:
    """Write a run for each seed of one that begins to gather."""
    assert isinstance(spec, TrainSpec)  # noqa: S101 - no other kind has seeds
    row: Any = connection.execute(select(tables.runs).where(tables.runs.c.id == run)).one()
    moment, earlier = now(connection), _replayed(connection, row.replays)
    wanted, numbers = seeds_of(spec) or range(0), list[int]()
    for seed in wanted:
        one = spec.model_copy(update={"seed": seed, "seeds": None})
        values = {
            **{name: getattr(row, name) for name in _COPIED},
            "spec": one.model_dump(mode="json"),
            "words": words_of(one, always=("seed",)),
            "state": RunState.QUEUED.value,
            "replays": earlier.get(seed),
            "seed_of": run,
            "last_event": 1,
            "created_at": moment,
            "queued_at": moment,
        }
        number: int = connection.execute(insert(tables.runs).values(values).returning(tables.runs.c.id)).scalar_one()
        connection.execute(insert(tables.run_parents).values(run_id=number, parent_id=run))
        write_event(connection, number, 1, Queued(), at=moment)
        numbers.append(number)
    append_event(connection, run, SeedsQueued(seeds=tuple(wanted), runs=tuple(numbers)))


def tell_of_end(
    connection: Connection, run: int, state: RunState, *, reached: tuple[str | None, float | None] = (None, None)
) -> None:
    """Tell the run of which this one is a seed, if it is one, that it has ended; with the last one it waits no more."""
    runs = tables.runs.c
    row: Any = connection.execute(select(runs.seed_of, runs.spec).where(runs.id == run)).one()
    if row.seed_of is None:
        return
    mine = runs.id == row.seed_of
    stands: str = connection.execute(select(runs.state).where(mine).with_for_update()).scalar_one()
    if stands != RunState.GATHERING.value:
        return  # it was stopped, and has stopped its seeds
    counted = select(func.count(), func.sum(case((runs.state.in_(_ENDED), 1), else_=0)))
    total, ended = connection.execute(counted.where(runs.seed_of == row.seed_of)).one()
    seed, (metric, score) = row.spec["seed"], reached
    append_event(
        connection,
        row.seed_of,
        SeedEnded(run=run, seed=seed, state=state.value, ended=ended, of=total, metric=metric, score=score),
    )
    if ended == total:
        values = {
            "state": RunState.QUEUED.value,
            "device": Device.AUTO.value,
            "length": Length.SHORT.value,
            "queued_at": now(connection),
            "notice": None,
        }
        connection.execute(update(tables.runs).where(mine).values(values))
        append_event(connection, row.seed_of, Queued())


def hold(connection: Connection, run: int) -> list[int]:
    """Lock a run, and before it those of its seeds that have not ended; returns these.

    A run that begins to gather meanwhile has seeds only once it is locked: then the locks are let go, and taken anew.
    """
    runs = tables.runs.c
    itself = select(runs.id).where(runs.id == run).with_for_update()
    stored: Any = connection.execute(select(runs.spec).where(runs.id == run)).scalar_one_or_none()
    if not (stored or {}).get("seeds"):
        connection.execute(itself)
        return []
    left = select(runs.id).where(runs.seed_of == run, runs.state.not_in(_ENDED)).order_by(runs.id)
    while True:
        savepoint = connection.begin_nested()
        held = list(connection.execute(left.with_for_update()).scalars())
        connection.execute(itself)
        if list(connection.execute(left).scalars()) == held:
            savepoint.commit()
            return held
        savepoint.rollback()


def of_run(connection: Connection, run: int) -> list[Seed]:
    """The seeds of a run, by seed."""
    runs = tables.runs.c
    columns = (runs.id, runs.spec, runs.state, runs.model, runs.headline, runs.score, runs.problem)
    rows = connection.execute(select(*columns).where(runs.seed_of == run).order_by(runs.id))
    return [
        Seed(
            run=row.id,
            seed=row.spec["seed"],
            state=RunState(row.state),
            model=row.model,
            metric=row.headline,
            score=row.score,
            problem=Problem(**row.problem) if row.problem else None,
        )
        for row in rows
    ]


def next_waiting(connection: Connection, run: int) -> int | None:
    """A seed of this run that waits and was never taken; None when there is none."""
    runs = tables.runs.c
    waits = (runs.seed_of == run, runs.state == RunState.QUEUED.value, runs.attempts == 0)
    number: int | None = connection.execute(
        select(runs.id).where(*waits).order_by(runs.id).limit(1)
    ).scalar_one_or_none()
    return number


def _replayed(connection: Connection, run: int | None) -> dict[int, int]:
    """The seeds of an earlier run that succeeded, each with its run."""
    if run is None:
        return {}
    return {seed.seed: seed.run for seed in of_run(connection, run) if seed.state is RunState.SUCCEEDED}

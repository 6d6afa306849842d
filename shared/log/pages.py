"""What the run pages read of the log: never more of it than they show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from shared.access import Principal
from shared.events import EVENT, AnyEvent
from shared.log import search, tables
from shared.log.boards import OfDataset
from shared.log.runs import Run, run_of, visible_to
from shared.log.states import RunState
from shared.search import Query

_LAST_EPOCHS = 20
_MOST_POINTS = 200
"""Of a curve: more than a phone has room for."""
_MOST_RELATED = 50
_COMPARISONS_LOOKED_AT = 100


@dataclass(frozen=True)
class ListedRun:
    """A line of the log."""

    number: int
    kind: str
    state: RunState
    name: str | None
    dataset_name: str | None
    of_runs: tuple[int, ...]
    """The runs that it is about."""
    requested_by: str
    headline: str | None
    score: float | None
    seeds: int | None
    """How many seeds the score is the mean of."""
    seed: int | None
    seed_of: int | None
    """Its seed, and the run that it is a seed of."""
    sd: float | None
    """The standard deviation of the score over the seeds."""
    problem: str | None
    """The code of what went wrong."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class Related:
    """A run that this one was made from, or the other way round."""

    number: int
    kind: str
    state: RunState


def listed(connection: Connection, principal: Principal, query: Query) -> list[ListedRun]:
    """The runs that fit a query, without their results, which are many kilobytes each."""
    numbers = search.numbers_of(connection, principal, query)
    return _lines(connection, numbers)


def _lines(connection: Connection, numbers: Sequence[int]) -> list[ListedRun]:
    runs = tables.runs.c
    columns = (runs.id, runs.kind, runs.state, runs.name, runs.dataset_name, runs.spec, runs.requested_by)
    rest = (runs.headline, runs.score, runs.problem, runs.created_at, runs.started_at, runs.ended_at, runs.seed_of)
    rows = {row.id: row for row in connection.execute(select(*columns, *rest).where(runs.id.in_(numbers)))}
    over_seeds = [row.id for row in rows.values() if row.spec.get("seeds") and row.score is not None]
    spreads = select(runs.id, runs.result[("sd", "test")].label("sd")).where(runs.id.in_(over_seeds))
    sds = {row.id: row.sd or {} for row in connection.execute(spreads)} if over_seeds else {}
    return [_line(rows[number], sds.get(number, {})) for number in numbers]


def _line(row: Any, sds: Mapping[str, float | None]) -> ListedRun:
    spec = row.spec
    about = spec.get("runs") or ([spec["run"]] if isinstance(spec.get("run"), int) else [])
    return ListedRun(
        number=row.id,
        kind=row.kind,
        state=RunState(row.state),
        name=row.name,
        dataset_name=row.dataset_name,
        of_runs=tuple(about),
        requested_by=row.requested_by,
        headline=row.headline,
        score=row.score,
        seeds=spec.get("seeds"),
        seed=None if row.seed_of is None else spec.get("seed"),
        seed_of=row.seed_of,
        sd=sds.get(row.headline),
        problem=(row.problem or {}).get("code"),
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def told_events(connection: Connection, run: int) -> list[AnyEvent]:
    """A run's events in their order, and of its epochs the last ones only."""
    events = tables.events.c
    epochs = (
        select(events.number)
        .where(events.run_id == run, events.kind == "epoch_done")
        .order_by(events.number.desc())
        .limit(_LAST_EPOCHS)
    )
    some = or_(events.kind != "epoch_done", events.number.in_(epochs))
    rows = connection.execute(select(events.body).where(events.run_id == run, some).order_by(events.number))
    return [EVENT.validate_python(row.body) for row in rows]


def curves(connection: Connection, run: int) -> Mapping[str, list[tuple[int, float]]]:
    """The points of each series by step, at most some hundred of each; what a later attempt did again counts."""
    points = tables.metric_points.c
    ends = connection.execute(
        select(points.series, func.max(points.step).label("last"))
        .where(points.run_id == run)
        .group_by(points.series)
        .order_by(points.series)
    )
    found: dict[str, list[tuple[int, float]]] = {}
    for series, last in ends.all():
        every = -(-last // _MOST_POINTS) or 1
        rows = connection.execute(
            select(points.step, points.value)
            .where(points.run_id == run, points.series == series)
            .where(or_(points.step % every == 0, points.step == last, points.step == 1))
            .order_by(points.attempt, points.step)
        )
        found[series] = sorted({row.step: row.value for row in rows}.items())
    return found


def related(connection: Connection, principal: Principal, run: Run) -> tuple[list[Related], list[Related]]:
    """The runs that a run was made from, and the newest that were made from it, as far as they are seen; its seeds, and
    the run that it is a seed of, are not among them.
    """
    runs, links = tables.runs.c, tables.run_parents.c
    columns = (runs.id, runs.kind, runs.state)
    before = [number for number in (run.resumes, run.retries, run.replays) if number is not None]
    parents = select(links.parent_id).where(links.run_id == run.id, links.parent_id != (run.seed_of or 0))
    above = select(*columns).where(or_(runs.id.in_(parents), runs.id.in_(before)), visible_to(principal))
    children = select(links.run_id).where(links.parent_id == run.id)
    seed = runs.seed_of == run.id
    below = select(*columns).where(runs.id.in_(children), or_(runs.seed_of.is_(None), ~seed), visible_to(principal))
    return _related(connection, above), _related(connection, below)


def _related(connection: Connection, asked: Any) -> list[Related]:
    newest = asked.order_by(tables.runs.c.id.desc()).limit(_MOST_RELATED)
    return [Related(row.id, row.kind, RunState(row.state)) for row in connection.execute(newest)]


def comparison_of(connection: Connection, principal: Principal, numbers: Sequence[int]) -> Run | None:
    """The newest comparison of exactly these runs that succeeded; None when there is none."""
    runs, links = tables.runs.c, tables.run_parents.c
    newest = (
        select(runs.id, runs.spec)
        .join(tables.run_parents, links.run_id == runs.id)
        .where(links.parent_id == numbers[0])
        .where(runs.kind == "compare", runs.state == RunState.SUCCEEDED.value, visible_to(principal))
        .order_by(runs.id.desc())
        .limit(_COMPARISONS_LOOKED_AT)
    )
    for row in connection.execute(newest):
        if set(row.spec.get("runs") or ()) == set(numbers):
            return run_of(connection.execute(select(tables.runs).where(runs.id == row.id)).one())
    return None


def newest_with_columns(connection: Connection, principal: Principal, dataset: OfDataset) -> Run | None:
    """The newest run that read a dataset's columns and told what they are."""
    runs = tables.runs.c
    told = and_(runs.kind.in_(("describe", "train")), runs.state == RunState.SUCCEEDED.value)
    newest = select(runs.id).where(dataset.condition, told, visible_to(principal)).order_by(runs.id.desc()).limit(1)
    number = connection.execute(dataset.hinted(newest)).scalar_one_or_none()
    return None if number is None else run_of(connection.execute(select(tables.runs).where(runs.id == number)).one())


def lines_of_dataset(
    connection: Connection, principal: Principal, dataset: OfDataset, *, limit: int
) -> list[ListedRun]:
    """The newest runs on a dataset, newest first."""
    runs = tables.runs.c
    alone = runs.seed_of.is_(None)
    newest = (
        select(runs.id).where(dataset.condition, alone, visible_to(principal)).order_by(runs.id.desc()).limit(limit)
    )
    return _lines(connection, list(connection.execute(dataset.hinted(newest)).scalars()))


def count_of_dataset(connection: Connection, principal: Principal, dataset: OfDataset) -> int:
    """How many runs on a dataset are seen, seeds not counted."""
    alone = tables.runs.c.seed_of.is_(None)
    counted = select(func.count()).select_from(tables.runs).where(dataset.condition, alone, visible_to(principal))
    number: int = connection.execute(dataset.hinted(counted)).scalar_one()
    return number

"""Runs that fit a `Query`, by bound parameters, in a few quick steps on both engines.

First the numbers, from indexes alone, then the rows: a row holds some kilobytes, and whatever is asked, at most
`limit` of them are read.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    any_,
    exists,
    func,
    literal,
    or_,
    select,
    union,
)
from sqlalchemy.dialects.postgresql import ARRAY

from shared.access import Principal
from shared.log import tables
from shared.log.attempts import MOST_TARGET
from shared.log.engine import now
from shared.log.runs import MOST_NUMBER, Run, run_of, visible_to
from shared.log.states import RunState
from shared.search import ME, Bound, Order, Query

_FEW = 5_000
"""So many runs are taken as a list of numbers; more are looked through in the order of an index until enough fit."""
_MOST_NAMES = 1_000
_TEST = "test"


def numbers_of(connection: Connection, principal: Principal, query: Query) -> list[int]:
    """The numbers of the runs that fit and that this principal may see, in the order that is asked."""
    if query.metrics and query.states and RunState.SUCCEEDED not in query.states:
        return []  # only a run that succeeded has metrics
    few, conditions = _narrowed(connection, principal, query)
    if few is not None:
        conditions.insert(0, _among(connection, tables.runs.c.id, few))
    if few is not None and not few:
        return []
    return _numbers(connection, query, [*conditions, visible_to(principal)])  # what most fulfil is asked last


def find(connection: Connection, principal: Principal, query: Query) -> list[Run]:
    """The runs that fit and that this principal may see, in the order that is asked."""
    numbers = numbers_of(connection, principal, query)
    rows = connection.execute(select(tables.runs).where(tables.runs.c.id.in_(numbers)))
    found = {row.id: row for row in rows}
    return [run_of(found[number]) for number in numbers]


def metrics_of(connection: Connection, numbers: Sequence[int], names: Sequence[str]) -> dict[int, dict[str, float]]:
    """What runs reached on their test rows."""
    metrics = tables.metrics.c
    found: dict[int, dict[str, float]] = {number: {} for number in numbers}
    asked = and_(metrics.run_id.in_(numbers), metrics.part == _TEST, metrics.name.in_(names))
    for row in connection.execute(select(metrics.run_id, metrics.name, metrics.value).where(asked)):
        found[row.run_id][row.name] = row.value
    return found


def _numbers(connection: Connection, query: Query, conditions: Sequence[ColumnElement[bool]]) -> list[int]:
    order = query.order
    if order.by in ("run", "started", "time"):
        key = _run_order(connection, order.by)
        some = [key.is_not(None)] if order.by != "run" else []
        return _ids(connection, [*conditions, *some], [_towards(key, order)], limit=query.limit)
    metrics = tables.metrics.c
    ranked = (
        select(metrics.run_id)
        .order_by(_towards(metrics.value, order), _towards(metrics.run_id, order))
        .limit(query.limit)
    )
    narrows = query != Query(order=order, limit=query.limit)
    few = _ids(connection, conditions, [tables.runs.c.id.desc()], limit=_FEW + 1) if narrows else []
    if narrows and len(few) <= _FEW:
        ranked = ranked.where(_of_few(connection, few, order.by))
    else:
        ranked = ranked.join(tables.runs, tables.runs.c.id == metrics.run_id).where(*conditions)
        ranked = ranked.where(metrics.name == order.by, metrics.part == _TEST)
    return list(connection.execute(ranked).scalars())


def _ids(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], order: Sequence[Any], *, limit: int
) -> list[int]:
    found: Select[Any] = select(tables.runs.c.id).where(*conditions).order_by(*order).limit(limit)
    # SQLite takes the first index of which one column fits, and then reads a whole row for each entry.
    found = found.with_hint(tables.runs, "INDEXED BY ix_runs_search", "sqlite")
    return list(connection.execute(found).scalars())


def _run_order(connection: Connection, by: str) -> ColumnElement[Any]:
    runs = tables.runs.c
    if by == "run":
        return runs.id
    if by == "started":
        return runs.started_at
    if connection.dialect.name == "sqlite":
        return func.julianday(runs.ended_at) - func.julianday(runs.started_at)
    return runs.ended_at - runs.started_at


def _towards(key: ColumnElement[Any], order: Order) -> ColumnElement[Any]:
    return key.desc() if order.descending else key.asc()


def _narrowed(
    connection: Connection, principal: Principal, query: Query
) -> tuple[set[int] | None, list[ColumnElement[bool]]]:
    """The runs that every condition leaves which few fulfil, None where there is no such condition; and the others."""
    few: set[int] | None = None
    conditions = _plain_conditions(connection, query)
    for condition, found in _looked_up(connection, principal, query):
        numbers = list(connection.execute(found.limit(_FEW + 1)).scalars())
        if len(numbers) > _FEW:
            conditions.append(condition)
        else:
            few = set(numbers) if few is None else few.intersection(numbers)
    metrics = tables.metrics.c
    for metric in dict.fromkeys(bound.metric for bound in query.bounds):
        bounds = [_holds_bound(bound) for bound in query.bounds if bound.metric == metric]
        reached = and_(metrics.name == metric, metrics.part == _TEST, *bounds)
        found = select(metrics.run_id).where(reached)
        if few is not None:
            found = select(metrics.run_id).where(_of_few(connection, few, metric), *bounds)
        numbers = list(connection.execute(found.limit(_FEW + 1)).scalars())
        if len(numbers) > _FEW:  # each run is asked when its turn comes
            conditions.append(exists().where(metrics.run_id == tables.runs.c.id, reached).correlate(tables.runs))
        else:
            few = set(numbers) if few is None else few.intersection(numbers)
    return few, conditions


def _plain_conditions(connection: Connection, query: Query) -> list[ColumnElement[bool]]:
    """Those that no index narrows by itself."""
    runs = tables.runs.c
    several = {runs.kind: query.kinds, runs.model: query.models, runs.task: query.tasks}
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in several.items() if values]
    if query.target is not None:
        conditions.append(runs.target == query.target[:MOST_TARGET])
    if query.first is not None:
        conditions.append(runs.id >= min(query.first, MOST_NUMBER))
    if query.last is not None:
        conditions.append(runs.id <= min(query.last, MOST_NUMBER))
    if query.since is not None:
        conditions.append(_since(connection, query.since))
    if query.hides_seeds:
        conditions.append(runs.seed_of.is_(None))
    return conditions


def _looked_up(
    connection: Connection, principal: Principal, query: Query
) -> Iterator[tuple[ColumnElement[bool], Select[Any]]]:
    """Conditions, each with the numbers of the runs that fulfil it, as an index of its own gives them."""
    runs, tags = tables.runs.c, tables.run_tags.c
    if query.dataset is not None:
        yield _own(_read(connection, query.dataset))
    if query.by:
        yield _own(runs.requested_by.in_([principal.user_id if who == ME else who for who in query.by]))
    if query.states:
        yield _own(runs.state.in_(query.states))
    if query.name is not None:
        yield _own(runs.name == query.name)
    if query.parent is not None:
        yield _own(runs.seed_of == min(query.parent, MOST_NUMBER))
    for tag in query.tags:
        tagged = select(tags.run_id).where(tags.tag == tag)
        yield runs.id.in_(tagged), tagged
    for word in query.words:
        yield _mentions(connection, word)


def _own(condition: ColumnElement[bool]) -> tuple[ColumnElement[bool], Select[Any]]:
    """A condition on the row of a run."""
    return condition, select(tables.runs.c.id).where(condition)


def _among(connection: Connection, column: ColumnElement[Any], numbers: Iterable[int]) -> ColumnElement[bool]:
    """One of many numbers, which go to the database as a single value."""
    if connection.dialect.name == "sqlite":
        return column.in_(select(func.json_each(json.dumps(list(numbers))).table_valued("value").c.value))
    return column == any_(literal(list(numbers), ARRAY(Integer)))


def _mentions(connection: Connection, word: str) -> tuple[ColumnElement[bool], Select[Any]]:
    """A word stands in a run's name, its notes, or its dataset's name."""
    runs, notes = tables.runs.c, tables.run_notes.c
    noted = select(notes.run_id).where(_holds(connection, notes.text, word))
    named = select(runs.id).where(runs.name.is_not(None), _holds(connection, runs.name, word))
    read = _read(connection, word)
    found = union(noted, named, select(runs.id).where(read)).subquery()
    return or_(runs.id.in_(noted), runs.id.in_(named), read), select(found.c[0])


def _read(connection: Connection, text: str) -> ColumnElement[bool]:
    """A text stands in the dataset's name: the names are looked up first, for there are fewer of them than runs."""
    names = _dataset_names(connection, text)
    column = tables.runs.c.dataset_name
    return column.in_(names) if len(names) <= _MOST_NAMES else _holds(connection, column, text)


def _dataset_names(connection: Connection, text: str) -> list[str]:
    """Datasets' names in which a text stands, up to one more than are taken: from name to name through their index."""
    name = tables.runs.c.dataset_name
    names = select(func.min(name).label("name")).cte("names", recursive=True)
    following = select(func.min(name)).where(name > names.c.name).scalar_subquery()
    names = names.union_all(select(following).where(names.c.name.is_not(None)))
    found = select(names.c.name).where(_holds(connection, names.c.name, text)).limit(_MOST_NAMES + 1)
    return list(connection.execute(found).scalars())


def _holds(connection: Connection, column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """A text stands in a column, in whatever case (on SQLite, whose LIKE knows no other case but that of ASCII)."""
    if connection.dialect.name == "sqlite":
        return column.contains(text, autoescape=True)
    return column.icontains(text, autoescape=True)


def _since(connection: Connection, since: Any) -> ColumnElement[bool]:
    """Runs are numbered as time goes by, so that one look finds the first."""
    runs = tables.runs.c
    moment = now(connection) - since if isinstance(since, timedelta) else since
    first = connection.execute(
        select(runs.id).where(runs.created_at >= moment).order_by(runs.created_at, runs.id).limit(1)
    ).scalar_one_or_none()
    return runs.id >= (MOST_NUMBER if first is None else first)


def _of_few(connection: Connection, few: Iterable[int], metric: str) -> ColumnElement[bool]:
    """The rows of a metric of some runs, found by their numbers: as an expression, the name leads into no index."""
    metrics = tables.metrics.c
    return and_(_among(connection, metrics.run_id, few), metrics.part == _TEST, metrics.name.concat("") == metric)


def _holds_bound(bound: Bound) -> ColumnElement[bool]:
    value = tables.metrics.c.value
    operators = {
        ">": value > bound.value,
        ">=": value >= bound.value,
        "<": value < bound.value,
        "<=": value <= bound.value,
    }
    return operators[bound.operator]

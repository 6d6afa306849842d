"""The outbox of the MLflow mirror: the ended runs and the promotions that it has still to be told of.

Rows are written by the mirror itself, which looks for what has ended since it last looked: neither a worker nor a verb
knows of it, so that it can neither slow nor fail them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Select, String, and_, exists, func, insert, literal, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from shared.access import Visibility
from shared.log import tables
from shared.log.beside import Promotion, promotion_of
from shared.log.engine import lapsed, now, one_at_a_time
from shared.log.states import ENDED

LEASE_S = 600.0
_AT_ONCE = 1_000
_SEEN = tables.runs.c.visibility == Visibility.TEAM.value
_LOOKS_BACK = timedelta(hours=1)
"""A block may have written its end a little before it was visible, and clocks are set back."""


class Kind(StrEnum):
    """What the mirror tells of."""

    RUN = "run"
    PROMOTION = "promotion"


@dataclass(frozen=True)
class Due:
    """One thing to tell: the number of a run or of a promotion, and how often it was tried."""

    kind: Kind
    number: int
    tries: int


def is_behind(connection: Connection) -> bool:
    """Whether something has ended, or was promoted, and has to be told now."""
    due = connection.execute(_due(now(connection)).limit(1)).first()
    return due is not None or any(connection.execute(found.limit(1)).first() for found in _unenrolled(connection))


def enroll(connection: Connection) -> None:
    """Write a row for whatever ended, or was promoted, and has none; the oldest first, some at a time."""
    one_at_a_time(connection, "mirror")
    for found in _unenrolled(connection):
        for kind, number, at in connection.execute(found.limit(_AT_ONCE)).all():
            row = {"kind": kind, "number": number, "at": at, "tries": 0, "due_at": at}
            connection.execute(insert(tables.mirrored).values(row))


def _unenrolled(connection: Connection) -> tuple[Select[Any], Select[Any]]:
    """Runs and promotions without a row. Only runs that the whole team sees are mirrored, for everyone who reaches
    MLflow sees all of it.
    """
    runs, promotions = tables.runs.c, tables.promotions.c
    ended = select(literal(Kind.RUN.value, String), runs.id, runs.ended_at).where(
        runs.state.in_([state.value for state in ENDED]),
        runs.kind != "probe",
        _SEEN,
        runs.ended_at >= _since(connection, Kind.RUN),
        ~_enrolled(Kind.RUN, runs.id),
    )
    promoted = (
        select(literal(Kind.PROMOTION.value, String), promotions.id, promotions.at)
        .join(tables.runs, runs.id == promotions.run_id)
        .where(_SEEN, promotions.at >= _since(connection, Kind.PROMOTION), ~_enrolled(Kind.PROMOTION, promotions.id))
    )
    return ended.order_by(runs.ended_at), promoted.order_by(promotions.at)


def _since(connection: Connection, kind: Kind) -> datetime:
    mirrored = tables.mirrored.c
    latest: datetime | None = connection.execute(
        select(func.max(mirrored.at)).where(mirrored.kind == kind.value)
    ).scalar_one()
    return datetime(1970, 1, 2, tzinfo=now(connection).tzinfo) if latest is None else latest - _LOOKS_BACK


def _enrolled(kind: Kind, number: ColumnElement[int]) -> ColumnElement[bool]:
    return exists().where(tables.mirrored.c.kind == kind.value, tables.mirrored.c.number == number)


def take(connection: Connection, *, owner: str) -> Due | None:
    """Take what is due longest, under a lease; None when nothing is."""
    moment, mirrored = now(connection), tables.mirrored.c
    row: Any = connection.execute(_due(moment).limit(1).with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    until = moment + timedelta(seconds=LEASE_S)
    connection.execute(
        update(tables.mirrored)
        .where(mirrored.kind == row.kind, mirrored.number == row.number)
        .values(lease_owner=owner, lease_until=until, tries=row.tries + 1)
    )
    return Due(Kind(row.kind), row.number, row.tries + 1)


def _due(moment: datetime) -> Select[Any]:
    mirrored = tables.mirrored.c
    free = or_(mirrored.lease_until.is_(None), lapsed(mirrored.lease_until, moment, at_most_s=2 * LEASE_S))
    due = select(tables.mirrored).where(mirrored.done_at.is_(None), mirrored.due_at <= moment, free)
    return due.order_by(mirrored.due_at, mirrored.kind.desc(), mirrored.number)


def done(connection: Connection, due: Due, *, owner: str, problem: str | None = None) -> None:
    """It stands in MLflow, or was given up for the reason in `problem`."""
    _give_back(connection, due, owner, done_at=now(connection), problem=problem)


def later(connection: Connection, due: Due, *, owner: str, seconds: float, problem: str) -> None:
    """It is tried again after so many seconds."""
    _give_back(connection, due, owner, due_at=now(connection) + timedelta(seconds=seconds), problem=problem)


def _give_back(connection: Connection, due: Due, owner: str, **values: Any) -> None:
    mirrored = tables.mirrored.c
    mine = and_(mirrored.kind == due.kind.value, mirrored.number == due.number, mirrored.lease_owner == owner)
    connection.execute(update(tables.mirrored).where(mine).values(lease_owner=None, lease_until=None, **values))


def promotion(connection: Connection, number: int) -> Promotion | None:
    """A promotion by its number; None where a newer one has its alias, among those that are mirrored."""
    asked = select(tables.promotions).where(tables.promotions.c.id == number)
    made = promotion_of(connection.execute(asked).one())
    promotions = tables.promotions.c
    newer = (
        select(promotions.id)
        .join(tables.runs, tables.runs.c.id == promotions.run_id)
        .where(_SEEN, promotions.dataset == made.dataset, promotions.alias == made.alias, promotions.id > number)
    )
    return None if connection.execute(newer.limit(1)).first() is not None else made


def points(connection: Connection, run: int) -> list[tuple[str, int, float]]:
    """The curves of a run: series, step and value; of several attempts the later one's value counts."""
    point = tables.metric_points.c
    rows = connection.execute(
        select(point.series, point.step, point.value).where(point.run_id == run).order_by(point.attempt)
    )
    latest = {(series, step): value for series, step, value in rows}
    return [(series, step, value) for (series, step), value in sorted(latest.items())]

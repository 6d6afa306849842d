"""What happened in a week among the runs that the whole team sees: what ran, was best, failed, was used."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from shared.access import Visibility
from shared.log import boards, tables
from shared.log.states import ENDED, RunState
from shared.metric_names import LOWER_IS_BETTER

_MOST_ROWS = 20_000
"""A week of more is told by its newest."""


@dataclass(frozen=True)
class BestModel:
    """The best of the models that were trained on a dataset's same rows."""

    dataset: str
    run: int
    model: str
    metric: str
    score: float
    of: int
    """How many there were."""


@dataclass(frozen=True)
class Week:
    """One week's figures."""

    start: datetime
    end: datetime
    ended: dict[str, dict[str, int]]
    """How many runs ended, by kind and state."""
    best: tuple[BestModel, ...]
    """The datasets with the most runs first."""
    gpu_s: float
    failures: tuple[tuple[str, int], ...]
    """Codes, the most frequent first."""
    requesters: tuple[tuple[str, int], ...]
    """Who asked for the most runs that ended."""


def week_of(connection: Connection, team_id: str, start: datetime, end: datetime, *, most: int = 8) -> Week:
    """The figures of the runs that ended between two moments; at most so many datasets, codes and people."""
    runs = tables.runs.c
    seen = and_(runs.team_id == team_id, runs.visibility == Visibility.TEAM.value, runs.kind != "probe")
    mine = and_(seen, runs.ended_at >= start, runs.ended_at < end, runs.state.in_([state.value for state in ENDED]))
    alone = and_(mine, runs.seed_of.is_(None))
    ended: dict[str, dict[str, int]] = defaultdict(dict)
    counted = select(runs.kind, runs.state, func.count()).where(alone).group_by(runs.kind, runs.state)
    for kind, state, number in connection.execute(counted.order_by(runs.kind, runs.state)):
        ended[kind][state] = number
    return Week(
        start=start,
        end=end,
        ended=dict(ended),
        best=_best(connection, alone, most),
        gpu_s=_gpu_s(connection, seen, start, end),
        failures=_failures(connection, alone, most),
        requesters=_requesters(connection, alone, most),
    )


def _best(connection: Connection, alone: ColumnElement[bool], most: int) -> tuple[BestModel, ...]:
    runs = tables.runs.c
    columns = (runs.id, runs.dataset_name, runs.model, runs.headline, runs.score, runs.target, runs.split_sha256)
    found = select(*columns, func.coalesce(runs.content_sha256, runs.dataset_sha256).label("data"))
    found = found.where(alone, *boards.ranked())
    groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in connection.execute(found.order_by(runs.id.desc()).limit(_MOST_ROWS)):
        groups[row.data, row.target, row.split_sha256, row.headline].append(row)
    most_first = sorted(groups.values(), key=lambda rows: (-len(rows), -rows[0].id))
    return tuple(_best_of(rows) for rows in most_first[:most])


def _best_of(rows: list[Any]) -> BestModel:
    lower = rows[0].headline in LOWER_IS_BETTER
    best = min(rows, key=lambda row: (row.score if lower else -row.score, row.id))
    return BestModel(best.dataset_name or "", best.id, best.model or "", best.headline or "", best.score, len(rows))


def _gpu_s(connection: Connection, seen: ColumnElement[bool], start: datetime, end: datetime) -> float:
    attempts = tables.attempts.c
    within = (attempts.device == "gpu", attempts.started_at < end)
    late = or_(attempts.ended_at.is_(None), attempts.ended_at > start)
    found = select(attempts.started_at, attempts.ended_at).join(tables.runs, tables.runs.c.id == attempts.run_id)
    rows = connection.execute(found.where(*within, late, seen).limit(_MOST_ROWS))
    spans = (min(ended or end, end) - max(began, start) for began, ended in rows)
    return float(sum(max(span.total_seconds(), 0.0) for span in spans))


def _failures(connection: Connection, alone: ColumnElement[bool], most: int) -> tuple[tuple[str, int], ...]:
    runs = tables.runs.c
    found = select(runs.problem).where(alone, runs.state == RunState.FAILED.value)
    problems = connection.execute(found.order_by(runs.id.desc()).limit(_MOST_ROWS)).scalars()
    codes = Counter(str((problem or {}).get("code") or "unknown") for problem in problems)
    return tuple(codes.most_common(most))


def _requesters(connection: Connection, alone: ColumnElement[bool], most: int) -> tuple[tuple[str, int], ...]:
    runs = tables.runs.c
    number = func.count()
    found = select(runs.requested_by, number).where(alone).group_by(runs.requested_by)
    rows = connection.execute(found.order_by(number.desc(), runs.requested_by).limit(most))
    return tuple((by, count) for by, count in rows)

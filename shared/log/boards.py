"""What was run on a dataset: its whole history, and its boards, each of runs measured on the same test rows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from shared.access import Principal
from shared.errors import refused
from shared.log import tables
from shared.log.attempts import MOST_TARGET
from shared.log.beside import dataset_key
from shared.log.runs import Run, listed, run_of, visible_to
from shared.log.states import RunState
from shared.metric_names import LOWER_IS_BETTER

_HASH = re.compile(r"(?:sha256:)?([0-9a-f]{6,64})")
_COMPARISONS, _CHILDREN = 20, 500
_BY_NAME = "ix_runs_dataset_name"


@dataclass(frozen=True)
class Board:
    """Runs of one question: the same data, target and test rows, and the same score that stands for them."""

    content_sha256: str | None
    dataset_sha256: str | None
    """The hash of the bytes, where that of the content is not known."""
    target: str | None
    task: str | None
    split_sha256: str | None
    metric: str
    newest: int
    """The newest of its runs."""
    names: tuple[str, ...] = ()
    """The dataset's names."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison of runs found out."""

    run: int
    result: dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A run that reached more than all before it of the same question."""

    run: int
    metric: str
    score: float
    target: str | None
    question: tuple[Any, ...]


@dataclass(frozen=True)
class OfDataset:
    """The condition of the runs on a dataset, and the index by which SQLite finds them."""

    condition: ColumnElement[bool]
    index: str | None = None

    def hinted(self, found: Select[Any]) -> Select[Any]:
        """A query with that index: SQLite does not know that few runs have this dataset and many this state."""
        return found if self.index is None else found.with_hint(tables.runs, f"INDEXED BY {self.index}", "sqlite")


def of_dataset(connection: Connection, principal: Principal, dataset: str) -> OfDataset:
    """The runs on a dataset, by its name, the name without its suffix, or the beginning of a hash.

    Raises `RefusedWords` `dataset_not_run` when this principal sees no such run.
    """
    runs = tables.runs.c
    if digits := hash_digits(dataset):
        by_hash = or_(begins_with(runs.dataset_sha256, digits), begins_with(runs.content_sha256, digits))
        if _is_there(connection, principal, by_hash):
            return OfDataset(by_hash)
    exactly = runs.dataset_name == dataset
    if _is_there(connection, principal, exactly):
        return OfDataset(exactly, _BY_NAME)
    names = _names(connection, principal)
    alike = [name for name in names if dataset.lower() in (name.lower(), dataset_key(name))]
    if alike:
        return OfDataset(runs.dataset_name.in_(alike), _BY_NAME)
    near = get_close_matches(dataset, names, n=1)
    hint = f"Did you mean `{near[0]}`?" if near else "`log` lists the runs with their datasets."
    raise refused("dataset_not_run", f"Nothing was run on a dataset `{dataset}`.", hint)


def hash_digits(word: str) -> str | None:
    """The digits of a word that may be the beginning of a dataset's hash; None of any other.

    >>> hash_digits("sha256:0A1B2C"), hash_digits("churn")
    ('0a1b2c', None)
    """
    met = _HASH.fullmatch(word.lower())
    return met[1] if met else None


def begins_with(column: ColumnElement[Any], digits: str) -> ColumnElement[bool]:
    """The condition of a hash that begins so, which an index can find."""
    return and_(column >= digits, column < digits + "g")  # no digit of a hash comes after it


def history(connection: Connection, principal: Principal, dataset: OfDataset, *, limit: int) -> list[Run]:
    """The newest runs on a dataset, newest first; those of seeds are told by the run that they belong to."""
    alone = tables.runs.c.seed_of.is_(None)
    mine = select(tables.runs.c.id).where(dataset.condition, alone, visible_to(principal))
    mine = mine.order_by(tables.runs.c.id.desc())
    numbers = list(connection.execute(dataset.hinted(mine).limit(limit)).scalars())
    return listed(connection, principal, conditions=[tables.runs.c.id.in_(numbers)], limit=limit)


def records(connection: Connection, principal: Principal, dataset: OfDataset) -> list[Record]:
    """The runs that were the best of their question when they ended, oldest first."""
    runs = tables.runs.c
    columns = (runs.id, runs.content_sha256, runs.dataset_sha256, runs.target, runs.split_sha256)
    found = select(*columns, runs.headline, runs.score).where(dataset.condition, visible_to(principal), *ranked())
    best: dict[tuple[Any, ...], float] = {}
    reached = []
    for row in connection.execute(dataset.hinted(found).order_by(runs.id)):
        question = (row.content_sha256 or row.dataset_sha256, row.target, row.split_sha256, row.headline)
        known = best.get(question)
        better = known is None or (row.score < known if row.headline in LOWER_IS_BETTER else row.score > known)
        if better:
            best[question] = row.score
            reached.append(Record(row.id, row.headline, row.score, row.target, question))
    return reached


def boards(
    connection: Connection, principal: Principal, dataset: OfDataset, *, target: str | None = None
) -> list[Board]:
    """The boards of a dataset, the one with the newest run first."""
    runs = tables.runs.c
    conditions = [dataset.condition, visible_to(principal), *ranked()]
    if target is not None:
        conditions.append(runs.target == target[:MOST_TARGET])
    columns = (runs.content_sha256, runs.dataset_sha256, runs.target, runs.task, runs.split_sha256, runs.headline)
    newest = select(*columns, runs.dataset_name, func.max(runs.id).label("newest")).where(*conditions)
    rows = connection.execute(dataset.hinted(newest).group_by(*columns, runs.dataset_name))
    found: dict[tuple[Any, ...], Board] = {}
    for row in sorted(rows, key=lambda row: -row.newest):
        data = (row.content_sha256, None if row.content_sha256 else row.dataset_sha256)
        key = (*data, row.target, row.split_sha256, row.headline)
        known = found.get(key) or Board(*data, row.target, row.task, row.split_sha256, row.headline, row.newest)
        names = tuple(dict.fromkeys([*known.names, row.dataset_name]))
        found[key] = Board(*data, row.target, row.task, row.split_sha256, row.headline, known.newest, names)
    return list(found.values())


def ranking(connection: Connection, principal: Principal, board: Board, *, limit: int) -> tuple[int, list[Run]]:
    """How many runs a board has, whatever their dataset was called, and the best of them, the best first."""
    mine = [*same_question(board, board.metric), visible_to(principal), *ranked()]
    size = connection.execute(select(func.count()).select_from(tables.runs).where(*mine)).scalar_one()
    rows = connection.execute(select(tables.runs).where(*mine).order_by(*best_first(board.metric)).limit(limit))
    return size, [run_of(row) for row in rows]


def comparisons(connection: Connection, principal: Principal, run: int) -> list[Comparison]:
    """The newest comparisons of a run with others that succeeded, newest first."""
    runs, parents = tables.runs.c, tables.run_parents.c
    children = select(parents.run_id).where(parents.parent_id == run).order_by(parents.run_id.desc()).limit(_CHILDREN)
    numbers = list(connection.execute(children).scalars())
    compared = [runs.id.in_(numbers), runs.kind == "compare", runs.state == RunState.SUCCEEDED.value]
    found = select(runs.id, runs.result).where(*compared, visible_to(principal)).order_by(runs.id.desc())
    return [Comparison(row.id, row.result or {}) for row in connection.execute(found.limit(_COMPARISONS))]


def ranked() -> list[ColumnElement[bool]]:
    """The conditions of a run that can stand on a board: a train run with a score.

    A run with seeds stands for them: the luckiest of them would stand too high.
    """
    runs = tables.runs.c
    trained = [runs.kind == "train", runs.state == RunState.SUCCEEDED.value, runs.score.is_not(None)]
    return [*trained, runs.seed_of.is_(None)]


def same_question(asked: Board | Run, metric: str | None) -> list[ColumnElement[bool]]:
    """The conditions of runs that can be ranked beside another: the same data, target, test rows and score."""
    runs = tables.runs.c
    same = [
        runs.content_sha256 == asked.content_sha256,
        runs.target == asked.target,
        runs.split_sha256 == asked.split_sha256,
        runs.headline == metric,
    ]
    return same if asked.content_sha256 is not None else [*same, runs.dataset_sha256 == asked.dataset_sha256]


def best_first(metric: str | None) -> tuple[ColumnElement[Any], ...]:
    """The order of a board; of equal runs the oldest first."""
    runs = tables.runs.c
    return (runs.score.asc() if metric in LOWER_IS_BETTER else runs.score.desc()), runs.id


def _is_there(connection: Connection, principal: Principal, condition: ColumnElement[bool]) -> bool:
    found = select(tables.runs.c.id).where(condition, visible_to(principal)).limit(1)
    return connection.execute(found).first() is not None


def _names(connection: Connection, principal: Principal) -> Sequence[str]:
    """The datasets of the runs that this principal may see."""
    name = tables.runs.c.dataset_name
    found = select(name).where(visible_to(principal), name.is_not(None)).distinct()
    found = found.with_hint(tables.runs, "INDEXED BY ix_runs_search", "sqlite")
    return connection.execute(found).scalars().all()

"""Datasets that runs have had: which ones a name means, and what is known of each. Only of runs that one may see."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from shared.access import Principal
from shared.log import boards, forgotten, tables
from shared.log.beside import dataset_key
from shared.log.boards import OfDataset, begins_with, best_first, hash_digits, ranked, same_question
from shared.log.runs import Run, run_of, visible_to
from shared.log.states import RunState

_MOST_CONTENTS = 20
_BY_NAME = "ix_runs_dataset_name"


@dataclass(frozen=True)
class Earlier:
    """A content that a dataset's name has stood for."""

    run: int
    """The newest run that read it."""
    name: str
    sha256: str


@dataclass(frozen=True)
class Known:
    """A dataset that runs have had, as it was last."""

    name: str
    newest: int
    """The newest run on it."""
    rows: int | None = None
    columns: int | None = None
    size_bytes: int | None = None
    best: int | None = None
    """The best model for the newest question that was asked of it, and how good it is."""
    metric: str | None = None
    score: float | None = None


def earlier(connection: Connection, principal: Principal, name: str) -> list[Earlier]:
    """The contents that a dataset had by this name, or by the beginning of a hash, the newest first.

    The words mean what they mean to `history` and `leaderboard`; runs without the bytes say nothing, and what was
    forgotten is left out.
    """
    for condition, index in _meant(connection, principal, name):
        found = _contents(connection, principal, OfDataset(condition, index))
        if found:
            return [one for one in found if forgotten.of_dataset(connection, one.sha256) is None]
    return []


def _meant(connection: Connection, principal: Principal, name: str) -> Iterator[tuple[ColumnElement[bool], str | None]]:
    """What a name may mean, the likeliest first, each with the index that finds it on SQLite."""
    runs = tables.runs.c
    if digits := hash_digits(name):
        yield begins_with(runs.dataset_sha256, digits), None
        yield begins_with(runs.content_sha256, digits), None
    yield runs.dataset_name == name, _BY_NAME
    alike = [known for known in names(connection, principal) if name.lower() in (known.lower(), dataset_key(known))]
    yield runs.dataset_name.in_(alike), _BY_NAME


def _contents(connection: Connection, principal: Principal, named: OfDataset) -> list[Earlier]:
    runs = tables.runs.c
    newest = select(runs.dataset_sha256, func.max(runs.id).label("newest"))
    newest = newest.where(named.condition, runs.dataset_sha256.is_not(None), visible_to(principal))
    newest = newest.group_by(runs.dataset_sha256).order_by(func.max(runs.id).desc()).limit(_MOST_CONTENTS)
    numbers = [row.newest for row in connection.execute(named.hinted(newest))]
    columns = (runs.id, runs.dataset_name, runs.dataset_sha256)
    rows = connection.execute(select(*columns).where(runs.id.in_(numbers)).order_by(runs.id.desc()))
    return [Earlier(row.id, row.dataset_name or "", row.dataset_sha256) for row in rows]


def note_source(connection: Connection, run: int, source: Mapping[str, Any]) -> None:
    """Keep where the bytes of a run's dataset came from, beside what is kept of it already; what it is called there is
    the dataset's name.
    """
    runs = tables.runs.c
    row = connection.execute(select(runs.dataset_source, runs.dataset_name).where(runs.id == run)).one()
    values = {
        "dataset_source": {**(row.dataset_source or {}), **source},
        "dataset_name": source.get("name") or row.dataset_name,
    }
    connection.execute(update(tables.runs).where(runs.id == run).values(values))


def names(connection: Connection, principal: Principal) -> list[str]:
    """The names of datasets that runs have had, the one with the newest run first."""
    runs = tables.runs.c
    found = select(runs.dataset_name).where(visible_to(principal), runs.dataset_name.is_not(None))
    found = found.with_hint(tables.runs, "INDEXED BY ix_runs_search", "sqlite")
    newest_first = found.group_by(runs.dataset_name).order_by(func.max(runs.id).desc())
    return list(connection.execute(newest_first).scalars())


def known(connection: Connection, principal: Principal, name: str) -> Known | None:
    """What is known of a dataset by its name; None where no run that one may see had it."""
    runs = tables.runs.c
    named = OfDataset(runs.dataset_name == name, _BY_NAME)
    newest = boards.history(connection, principal, named, limit=1)
    if not newest:
        return None
    read = _newest_read(connection, principal, named)
    rows, columns = (None, None) if read is None else _shape(connection, read)
    best = _best(connection, principal, named)
    return Known(
        name=name,
        newest=newest[0].id,
        rows=rows,
        columns=columns,
        size_bytes=None if read is None else read.dataset_size_bytes,
        best=None if best is None else best.id,
        metric=None if best is None else best.headline,
        score=None if best is None else best.score,
    )


def _newest_read(connection: Connection, principal: Principal, named: OfDataset) -> Run | None:
    """The newest run that has read it; where none has yet, the newest whose bytes are there."""
    runs = tables.runs.c
    there = select(tables.runs).where(named.condition, runs.dataset_sha256.is_not(None), visible_to(principal))
    newest = named.hinted(there.order_by(runs.id.desc()))
    row = connection.execute(newest.where(runs.state == RunState.SUCCEEDED.value).limit(1)).first()
    row = row or connection.execute(newest.limit(1)).first()
    return None if row is None else run_of(row)


def _shape(connection: Connection, run: Run) -> tuple[int | None, int | None]:
    """The rows and columns of what a run read."""
    said = (run.result or {}).get("dataset") or {}
    if isinstance(said.get("rows"), int) and isinstance(said.get("columns"), int):
        return said["rows"], said["columns"]
    events = tables.events.c
    read = select(events.body).where(events.run_id == run.id, events.kind == "dataset_read").limit(1)
    body = connection.execute(read).scalar_one_or_none() or {}
    return body.get("rows"), body.get("columns")


def _best(connection: Connection, principal: Principal, named: OfDataset) -> Run | None:
    """The best model of the question that was asked of a dataset last."""
    last = select(tables.runs).where(named.condition, visible_to(principal), *ranked())
    row = connection.execute(named.hinted(last.order_by(tables.runs.c.id.desc()).limit(1))).first()
    if row is None:
        return None
    asked = run_of(row)
    rivals = select(tables.runs).where(*same_question(asked, asked.headline), *ranked(), visible_to(principal))
    best = connection.execute(rivals.order_by(*best_first(asked.headline)).limit(1)).first()
    return asked if best is None else run_of(best)

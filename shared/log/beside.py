"""What people add to a run, which itself is never edited: tags, notes, and the aliases that models are promoted to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, insert, select, true
from sqlalchemy.dialects import postgresql, sqlite

from shared.access import Principal
from shared.log import tables
from shared.log.engine import now, one_at_a_time
from shared.log.runs import Run, visible_to

CHAMPION = "champion"
_PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip")


@dataclass(frozen=True)
class Note:
    """What somebody wrote about a run."""

    text: str
    by: str
    at: datetime


@dataclass(frozen=True)
class Promotion:
    """Who gave a run's model an alias of a dataset, and why."""

    dataset: str
    alias: str
    run: int
    why: str | None
    by: str
    at: datetime


def add_tags(connection: Connection, run: int, tags: Sequence[str], *, by: str) -> None:
    """Tag a run; a tag that it has stays as it is."""
    insert_tag = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    at = now(connection)
    for tag in dict.fromkeys(tags):
        values = {"run_id": run, "tag": tag, "by": by, "at": at}
        connection.execute(insert_tag(tables.run_tags).values(values).on_conflict_do_nothing())


def remove_tags(connection: Connection, run: int, tags: Sequence[str]) -> None:
    """Take tags from a run."""
    mine = tables.run_tags.c.run_id == run
    connection.execute(delete(tables.run_tags).where(mine, tables.run_tags.c.tag.in_(tags)))


def tags_of(connection: Connection, run: int) -> list[str]:
    """A run's tags, by their letters."""
    tags = tables.run_tags.c
    return sorted(connection.execute(select(tags.tag).where(tags.run_id == run)).scalars())


def add_note(connection: Connection, run: int, text: str, *, by: str) -> None:
    """Write a note to a run."""
    connection.execute(insert(tables.run_notes).values(run_id=run, text=text, by=by, at=now(connection)))


def notes_of(connection: Connection, run: int) -> list[Note]:
    """A run's notes, oldest first."""
    notes = tables.run_notes.c
    found = select(notes.text, notes.by, notes.at).where(notes.run_id == run).order_by(notes.id)
    return [Note(text=row.text, by=row.by, at=row.at) for row in connection.execute(found)]


def dataset_key(name: str) -> str:
    """A dataset's name as aliases have it: the file's name without what stands behind the point, in lower case.

    >>> dataset_key("Churn.csv.gz"), dataset_key("churn"), dataset_key("sales.2025.csv")
    ('churn', 'churn', 'sales.2025')
    """
    path = PurePosixPath(name)
    if path.suffix.lower() in _PACKED:
        path = path.with_suffix("")
    known = path.suffix.lower() in (".csv", ".tsv", ".txt", ".parquet", ".pq")
    return (path.stem if known else path.name).lower()


def promote(connection: Connection, run: Run, *, alias: str, why: str | None, by: str) -> Promotion:
    """Give a run's model an alias of its dataset; what had it before stays in the history.

    A run that has the alias already is not given it again, unless another reason is told.
    """
    dataset = dataset_key(run.dataset_name or "")
    moment = one_at_a_time(connection, "promote", run.team_id, dataset, alias)
    has = _newest(connection, run.team_id, dataset, alias)
    if has is not None and has.run == run.id and why in (None, has.why):
        return has
    made = Promotion(dataset, alias, run.id, why, by, moment)
    connection.execute(
        insert(tables.promotions).values(
            team_id=run.team_id, dataset=made.dataset, alias=alias, run_id=run.id, why=why, by=by, at=made.at
        )
    )
    return made


def promoted(connection: Connection, principal: Principal, alias: str, dataset: str) -> int | None:
    """The run that has an alias of a dataset, among those that this principal may see; None when none has."""
    promotions = tables.promotions.c
    named = [promotions.alias == alias, promotions.dataset == dataset_key(dataset)]
    newest = _visible(principal, named).order_by(promotions.id.desc()).limit(1)
    row = connection.execute(newest).first()
    return None if row is None else int(row.run_id)


def _newest(connection: Connection, team_id: str, dataset: str, alias: str) -> Promotion | None:
    promotions = tables.promotions.c
    named = (promotions.team_id == team_id, promotions.dataset == dataset, promotions.alias == alias)
    row = connection.execute(select(tables.promotions).where(*named).order_by(promotions.id.desc()).limit(1)).first()
    return None if row is None else promotion_of(row)


def promotions_of(connection: Connection, principal: Principal, dataset: str, *, most: int = 20) -> list[Promotion]:
    """The newest promotions of a dataset that this principal may see, newest first."""
    promotions = tables.promotions.c
    found = _visible(principal, [promotions.dataset == dataset_key(dataset)]).order_by(promotions.id.desc()).limit(most)
    return [promotion_of(row) for row in connection.execute(found)]


def aliases_of(connection: Connection, principal: Principal, run: Run) -> list[str]:
    """The aliases that a run has now, as they are typed."""
    promotions = tables.promotions.c
    given = select(promotions.alias, promotions.dataset).where(promotions.run_id == run.id).distinct()
    return sorted(
        f"{row.alias}:{row.dataset}"
        for row in connection.execute(given)
        if promoted(connection, principal, row.alias, row.dataset) == run.id
    )


def known_aliases(connection: Connection, principal: Principal, *, most: int = 200) -> list[str]:
    """Aliases that this principal may use, the newest first."""
    found = _visible(principal, [true()]).order_by(tables.promotions.c.id.desc()).limit(most)
    return list(dict.fromkeys(f"{row.alias}:{row.dataset}" for row in connection.execute(found)))


def _visible(principal: Principal, conditions: Sequence[ColumnElement[bool]]) -> Select[tuple[object, ...]]:
    join = tables.promotions.join(tables.runs, tables.runs.c.id == tables.promotions.c.run_id)
    return select(tables.promotions).select_from(join).where(visible_to(principal), *conditions)


def promotion_of(row: Any) -> Promotion:
    """The promotion that a row of the table holds."""
    return Promotion(row.dataset, row.alias, row.run_id, row.why, row.by, row.at)

"""Datasets that were erased on purpose: the tombstones, and what the log itself still said of their cells.

A tombstone is written with the redacted rows in one transaction; only then do bytes go. What it names and was not
erased yet is found by the sweep. The row, its hashes and its figures stay for ever.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, or_, select, update

from shared.access import Principal
from shared.errors import Problem, refused
from shared.log import tables
from shared.log.engine import now
from shared.log.runs import Artifact, Run, artifacts_of, run_of, visible_to
from shared.log.states import ENDED

REDACTED = "Forgotten with the dataset that it quoted."
LEAST_PREFIX = 6


@dataclass(frozen=True)
class Tombstone:
    """What was forgotten."""

    id: int
    dataset: str
    sha256: str
    runs: tuple[int, ...]
    erased: tuple[dict[str, Any], ...]
    """The files, each with its run, name and sha256."""
    by: str
    why: str | None
    at: datetime
    done_at: datetime | None

    def sentence(self) -> str:
        """What people are told of it."""
        why = f": {self.why}" if self.why else ""
        return f"The dataset {self.dataset} was forgotten on {self.at:%Y-%m-%d} by {self.by}{why}."


def of_dataset(connection: Connection, sha256: str) -> Tombstone | None:
    """The tombstone of these bytes; None when they were never forgotten, or came in again by a later run."""
    forgotten = tables.forgotten.c
    rows = connection.execute(
        select(tables.forgotten).where(forgotten.sha256 == sha256).order_by(forgotten.id.desc())
    ).all()
    if not rows:
        return None
    known = {number for row in rows for number in row.runs}
    return None if _had_by_others(connection, sha256, known) else _tombstone(rows[0])


def of_run(connection: Connection, run: Run) -> Tombstone | None:
    """The tombstone of the dataset that a run had read, or of what it was made from."""
    newest = select(tables.forgotten).order_by(tables.forgotten.c.id.desc())
    if run.dataset_sha256 is not None:
        newest = newest.where(tables.forgotten.c.sha256 == run.dataset_sha256)
    return next((_tombstone(row) for row in connection.execute(newest) if run.id in row.runs), None)


def unfinished(connection: Connection) -> list[Tombstone]:
    """Those whose bytes may still be there."""
    asked = select(tables.forgotten).where(tables.forgotten.c.done_at.is_(None)).order_by(tables.forgotten.c.id)
    return [_tombstone(row) for row in connection.execute(asked)]


def require_there(connection: Connection, sha256: str | None) -> None:
    """Raise `RefusedWords` when these bytes were forgotten."""
    tombstone = None if sha256 is None else of_dataset(connection, sha256)
    if tombstone is not None:
        raise refused("dataset_forgotten", tombstone.sentence(), "Bring the file again, if it may be used again.")


def require_rows(connection: Connection, run: Run) -> None:
    """Raise `RefusedWords` when the rows that a run's model was made and tested on were forgotten."""
    tombstone = of_run(connection, run)
    if tombstone is not None:
        raise refused(
            "dataset_forgotten",
            f"Run {run.id} has its model, and no longer its rows. {tombstone.sentence()}",
            f"`predict {run.id} DATASET` still works; to score or to compare, train again.",
        )


def hashes_of(connection: Connection, principal: Principal, word: str) -> dict[str, str]:
    """The contents that a word names, by name or by the beginning of their hash, each with a name of it."""
    runs = tables.runs.c
    named: ColumnElement[bool] = runs.dataset_name == word
    plain = word.lower().removeprefix("sha256:")
    if len(plain) >= LEAST_PREFIX and all(letter in "0123456789abcdef" for letter in plain):
        named = or_(named, runs.dataset_sha256.startswith(plain))
    rows = connection.execute(
        select(runs.dataset_sha256, runs.dataset_name)
        .where(named, runs.dataset_sha256.is_not(None), _mine(principal))
        .distinct()
    )
    return {row.dataset_sha256: row.dataset_name or "" for row in rows}


def readers(connection: Connection, principal: Principal, sha256: str) -> list[Run]:
    """The runs that read these bytes, and those that were made from such runs' test rows."""
    runs, parents = tables.runs.c, tables.run_parents.c
    read = select(runs.id).where(runs.dataset_sha256 == sha256, _mine(principal)).scalar_subquery()
    compared = select(parents.run_id).where(parents.parent_id.in_(read))
    asked = select(tables.runs).where(or_(runs.id.in_(read), (runs.kind == "compare") & runs.id.in_(compared)))
    return [run_of(row) for row in connection.execute(asked.order_by(runs.id))]


def seen_among(connection: Connection, principal: Principal, numbers: Sequence[int]) -> set[int]:
    """Those of some runs that this principal may see: erasing reaches the others too, telling of them does not."""
    asked = select(tables.runs.c.id).where(tables.runs.c.id.in_(numbers), visible_to(principal))
    return set(connection.execute(asked).scalars())


def bury(  # noqa: PLR0913 - what a tombstone says, and what stays of the runs
    connection: Connection,
    principal: Principal,
    *,
    dataset: str,
    sha256: str,
    why: str | None,
    results: Mapping[int, dict[str, Any] | None],
    stay: Mapping[int, Sequence[Artifact]],
) -> Tombstone:
    """Write the tombstone; its runs keep `results` and the files that `stay`, and quote nothing any more."""
    erased = []
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")  # what rows said is overwritten, not only let go
    for number, kept in stay.items():
        before, names = artifacts_of(connection, number), {(one.name, one.sha256) for one in kept}
        erased += [
            {"run": number, "name": one.name, "sha256": one.sha256}
            for one in before
            if (one.name, one.sha256) not in names
        ]
        connection.execute(delete(tables.artifacts).where(tables.artifacts.c.run_id == number))
        for one in kept:
            connection.execute(insert(tables.artifacts).values(run_id=number, **one.model_dump()))
        _redact(connection, number, results[number])
    values = {
        "team_id": principal.team_id,
        "dataset": dataset,
        "sha256": sha256,
        "runs": list(stay),
        "erased": erased,
        "by": principal.user_id,
        "why": why,
        "at": now(connection),
    }
    row = connection.execute(insert(tables.forgotten).values(values).returning(tables.forgotten)).one()
    return _tombstone(row)


def erasable(connection: Connection, tombstone: Tombstone) -> list[str]:
    """The hashes of a tombstone that nothing else in the log names."""
    artifacts = tables.artifacts.c
    asked = dict.fromkeys([tombstone.sha256, *(str(one["sha256"]) for one in tombstone.erased)])
    known = defaultdict[str, set[int]](set)
    for row in connection.execute(select(tables.forgotten.c.sha256, tables.forgotten.c.runs)):
        known[row.sha256] |= set(row.runs)
    return [
        sha256
        for sha256 in asked
        if not connection.execute(select(exists().where(artifacts.sha256 == sha256))).scalar_one()
        and not _had_by_others(connection, sha256, known[sha256])
    ]


def done(connection: Connection, tombstone: Tombstone) -> None:
    """Say that its bytes are gone."""
    connection.execute(
        update(tables.forgotten).where(tables.forgotten.c.id == tombstone.id).values(done_at=now(connection))
    )


def not_ended(found: Sequence[Run]) -> list[int]:
    """The runs that may still read the bytes."""
    return [run.id for run in found if run.state not in ENDED]


def _redact(connection: Connection, number: int, result: dict[str, Any] | None) -> None:
    """What a run said of its data in words."""
    runs, events = tables.runs.c, tables.events.c
    problem = connection.execute(select(runs.problem).where(runs.id == number)).scalar_one()
    values: dict[str, Any] = {"result": result}
    if problem:
        values["problem"] = _silent(problem)
    connection.execute(update(tables.runs).where(runs.id == number).values(values))
    for row in connection.execute(select(events.number, events.kind, events.body).where(events.run_id == number)).all():
        body = dict(row.body)
        if row.kind == "dataset_read":
            body |= {"inferred": [], "warnings": [REDACTED]}
        elif row.kind == "failed" and body.get("problem"):
            body["problem"] = _silent(body["problem"])
        else:
            continue
        mine = (events.run_id == number) & (events.number == row.number)
        connection.execute(update(tables.events).where(mine).values(body=body))


def _silent(problem: Mapping[str, Any]) -> dict[str, Any]:
    silent = Problem(str(problem.get("code")), REDACTED)
    return {"code": silent.code, "message": silent.message, "hint": silent.hint}


def _had_by_others(connection: Connection, sha256: str, numbers: set[int]) -> bool:
    """Whether a run beside these has the bytes as its dataset."""
    rows = connection.execute(select(tables.runs.c.id).where(tables.runs.c.dataset_sha256 == sha256))
    return any(number not in numbers for number in rows.scalars())


def _mine(principal: Principal) -> ColumnElement[bool]:
    """The runs of the principal's team, private ones too; of every team for a shell that reaches the log anyway."""
    return tables.runs.c.id > 0 if principal.sees_everything else tables.runs.c.team_id == principal.team_id


def _tombstone(row: Any) -> Tombstone:
    return Tombstone(
        id=row.id,
        dataset=row.dataset,
        sha256=row.sha256,
        runs=tuple(row.runs),
        erased=tuple(row.erased),
        by=row.by,
        why=row.why,
        at=row.at,
        done_at=row.done_at,
    )

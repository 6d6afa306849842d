"""Says what a table holds, as training would understand it, and writes it out clean when asked to."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from shared.datasets.dialect import DELIMITER_NAMES, HEAD_BYTES, find_dialect
from shared.errors import RunFailed
from shared.events import DatasetRead, Stage
from shared.specs import DescribeSpec, TableSpec, Task, TrainSpec
from workers.core.columns import Column, Kind, told_kinds, understand
from workers.core.content import content_sha256
from workers.core.dataset import has_commas, understand_dataset
from workers.core.dates import DAY_S, Order, read_dates
from workers.core.kinds import Values, column_values, find_kind
from workers.core.numbers import read_numbers
from workers.core.progress import Progress, Report, ShouldStop
from workers.core.reading import read_table
from workers.core.report import dialect_as_plain, write_report
from workers.core.table import Table
from workers.core.target import find_target

_EXAMPLES = 3
_TOP_WORDS = 5
_CELL_CHARACTERS = 80
_COLUMNS_IN_RESULT = 1_000
"""A result lies in the log; the report has every column."""


@dataclass(frozen=True)
class _Understood:
    """A table, as far as it can be understood."""

    table: Table
    columns: tuple[Column, ...]
    """In the file's order, the target among them."""
    target: str | None
    task: Task | None
    inferred: tuple[str, ...]
    warnings: tuple[str, ...]
    findings: tuple[Mapping[str, Any], ...]


def describe(data: Path, spec: DescribeSpec, *, out: Path, report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Describe the file `data`; write `report.json`, and the table under the name that `write` ends with, into `out`.

    What only training would refuse, such as a target with a single value, is a warning here. Raises RunStopped, and
    RunFailed as reading does.
    """
    out.mkdir(parents=True, exist_ok=True)
    progress, started = Progress(report, should_stop), perf_counter()
    progress.stage(Stage.READ)
    found = _understand_file(data, spec)
    report(_dataset_read(found))
    facts = _facts(found, progress)
    facts["timing_s"] = {"describe": round(perf_counter() - started, 3)}
    if spec.write is not None:
        started = perf_counter()
        facts["warnings"] += _write_table(found, out / Path(spec.write).name, progress)
        facts["timing_s"]["write"] = round(perf_counter() - started, 3)
    plain = write_report(out, facts)
    return {**plain, "columns": plain["columns"][:_COLUMNS_IN_RESULT]}


def _understand_file(data: Path, spec: DescribeSpec) -> _Understood:
    asked = TrainSpec(**spec.model_dump(include=set(TableSpec.model_fields)))
    try:
        dataset = understand_dataset(data, asked)
    except RunFailed as refusal:
        return _untrainable(data, asked, refusal)
    target = dataset.target
    return _Understood(
        table=dataset.table,
        columns=_in_order(dataset.table, dataset.columns, target.name),
        target=target.name,
        task=target.task,
        inferred=dataset.inferred,
        warnings=dataset.warnings,
        findings=tuple(asdict(finding) for finding in dataset.findings),
    )


def _untrainable(data: Path, asked: TrainSpec, refusal: RunFailed) -> _Understood:
    """The table without what training would need of it. Raises RunFailed when the file itself cannot be read."""
    table = read_table(data, sep=asked.sep, encoding=asked.encoding, header=asked.header)
    target, inferred = _target(table, asked)
    columns = _features(table, asked, target or "")
    refused = (f"Training would be refused: {problem.sentence()}" for problem in refusal.problems)
    return _Understood(
        table=table,
        columns=_in_order(table, columns, target),
        target=target,
        task=None,
        inferred=inferred,
        warnings=(*refused, *table.warnings),
        findings=(),
    )


def _features(table: Table, asked: TrainSpec, target: str) -> list[Column]:
    try:
        told = told_kinds(asked, table.names, target)
        return understand(table, target=target, drop=asked.drop, told=told, comma=has_commas(table))
    except RunFailed:  # what was said of columns is impossible: a part of the refusal
        return understand(table, target=target, drop=asked.drop, comma=has_commas(table))


def _target(table: Table, asked: TrainSpec) -> tuple[str | None, tuple[str, ...]]:
    """The likely target and why it is, None where the words name none of the columns."""
    try:
        return find_target(table.names, asked)
    except RunFailed:
        return None, ()


def _in_order(table: Table, features: Iterable[Column], target: str | None) -> tuple[Column, ...]:
    """All columns in the file's order, the target in its place."""
    by_name = {column.name: column for column in features}
    if target is not None:
        values = column_values(target, table.column(target))
        read = find_kind(values, unnamed=False, comma=has_commas(table))
        by_name[target] = Column(
            name=target,
            kind=read.kind,
            reason=f"the target; {read.reason}",
            used=False,
            missing=values.missing,
            others=read.others,
            style=read.style,
            date=read.date,
            doubt=read.doubt,
        )
    return tuple(by_name[name] for name in table.names)


def _dataset_read(found: _Understood) -> DatasetRead:
    return DatasetRead(
        rows=found.table.height,
        columns=len(found.table.names),
        target=found.target or "",
        task=found.task or "",
        inferred=found.inferred,
        warnings=found.warnings,
    )


def _facts(found: _Understood, progress: Progress) -> dict[str, Any]:
    """What the report says. Raises RunStopped."""
    columns = []
    for column in found.columns:
        progress.check_now_and_then()
        columns.append(_column_facts(found.table, column, is_target=column.name == found.target))
    return {
        "kind": "describe",
        "dataset": {
            "rows": found.table.height,
            "columns": len(found.table.names),
            "content_sha256": content_sha256(found.table),
        },
        "dialect": _dialect_facts(found.table),
        "target": found.target,
        "task": None if found.task is None else found.task.value,
        "columns": columns,
        "repairs": [asdict(repair) for repair in found.table.repairs],
        "findings": list(found.findings),
        "inferred": list(found.inferred),
        "warnings": list(found.warnings),
    }


def _column_facts(table: Table, column: Column, *, is_target: bool) -> dict[str, Any]:
    values = column_values(column.name, table.column(column.name))
    return {
        "name": column.name,
        "kind": column.kind.value,
        "reason": column.reason,
        "used": column.used,
        "target": is_target,
        "missing": values.missing,
        "missing_share": round(values.missing / max(1, table.height), 6),
        "others": column.others,
        "distinct": values.distinct,
        "examples": [_shorten(cell) for cell in values.cells.head(_EXAMPLES)],
        **_range(values, column),
        **_top(values, column),
    }


def _range(values: Values, column: Column) -> dict[str, Any]:
    """From where to where numbers and dates go, and the mean of numbers."""
    if column.date is not None:
        days = read_dates(values.cells, column.date)
        days = days[np.isfinite(days)]
        if column.date.order is Order.TIME or not len(days):
            return {}
        return {"min": _moment(float(days.min())), "max": _moment(float(days.max()))}
    if column.kind is not Kind.NUMBER:
        return {}
    numbers = read_numbers(values.cells, column.style)
    finite = np.isfinite(numbers)
    numbers, counts = numbers[finite], values.counts[finite]
    if not len(numbers):
        return {}
    return {"min": numbers.min(), "max": numbers.max(), "mean": np.average(numbers, weights=counts)}


def _top(values: Values, column: Column) -> dict[str, Any]:
    """The most frequent words of a column of words, with how many rows hold each."""
    if column.kind not in (Kind.CATEGORY, Kind.BOOLEAN):
        return {}
    order = np.argsort(-values.counts, kind="stable")[:_TOP_WORDS].tolist()
    return {"top": [{"word": _shorten(values.cells[k]), "rows": int(values.counts[k])} for k in order]}


def _moment(days: float) -> str | None:
    """Days since 1970 as a date, with the time where there is one; None outside of the years 1 to 9999."""
    try:
        moment = datetime(1970, 1, 1) + timedelta(seconds=round(days * DAY_S))  # noqa: DTZ001 - as the cells say it
    except OverflowError:
        return None
    return moment.date().isoformat() if moment.time() == time.min else moment.isoformat(sep=" ")


def _dialect_facts(table: Table) -> dict[str, Any] | None:
    """How the file is written; the names of its columns stand with the columns."""
    plain = dialect_as_plain(table.dialect)
    return None if plain is None else {key: value for key, value in plain.items() if key != "columns"}


def _write_table(found: _Understood, path: Path, progress: Progress) -> list[str]:
    """Write the table as CSV, in UTF-8, below one header; what has to be known to read it again."""
    table, delimiter = found.table, _delimiter(found)
    with path.open("wb") as file:
        for number, piece in enumerate(table.slices(table.names)):
            progress.check_now_and_then()
            # An empty cell is written as nothing, not as a pair of quotes.
            filled = piece.with_columns(pl.all().replace("", None))
            filled.write_csv(file, include_header=number == 0, separator=delimiter)
    if _reads_again(path, table.names, delimiter):
        return []
    name = DELIMITER_NAMES[delimiter]
    return [f"Say sep={name} header=yes encoding=utf-8 where `{path.name}` is read again."]


def _delimiter(found: _Understood) -> str:
    """A comma; a semicolon where nothing but that told what is a decimal comma, or whether the day comes first."""
    doubted = any(column.doubt for column in found.columns)
    return ";" if doubted and has_commas(found.table) and not has_commas(found.table, delimiter=",") else ","


def _reads_again(path: Path, names: tuple[str, ...], delimiter: str) -> bool:
    """Whether the file is understood as it was written, without a word about it."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    try:
        dialect = find_dialect(head)
    except RunFailed:
        return False
    return dialect.delimiter == delimiter and dialect.columns == names


def _shorten(cell: str) -> str:
    return cell if len(cell) <= _CELL_CHARACTERS else cell[:_CELL_CHARACTERS] + "…"

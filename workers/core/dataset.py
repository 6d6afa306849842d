"""A file, understood: its rows, target, columns, features and split, with every decision in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from shared.datasets.dialect import DELIMITER_NAMES, Dialect
from shared.errors import Problem, RunFailed, failed
from shared.specs import TrainSpec
from workers.core.columns import Column, Kind, told_kinds, understand
from workers.core.dates import read_dates
from workers.core.encode import Cells, Feature, encode, fit_features, number_features
from workers.core.equal_cells import CellReading, cell_readings
from workers.core.findings import (
    SHOWN_COLUMNS,
    Finding,
    class_findings,
    column_findings,
    copy_findings,
)
from workers.core.leakage import leak_findings
from workers.core.names import typed, unknown_column
from workers.core.numbers import PROVING_ROWS, has_decimal_commas, read_numbers
from workers.core.order import clearest_drift, drift_finding, group_findings, time_finding
from workers.core.outliers import outlier_findings
from workers.core.reading import read_table
from workers.core.sentinels import sentinel_findings
from workers.core.shifted import shift_findings
from workers.core.split import TRAIN, VALIDATION, are_too_alike, hash_numbers, row_hashes, split_by_time, split_rows
from workers.core.table import Repair, Table, TableWriter
from workers.core.target import Target, find_target, understand_target
from workers.core.totals import total_findings
from workers.core.words import MISSING_WORDS, SPACE

_ALIKE = "Few rows differ in their features, so equal rows are in the training part and in the test part alike."
_TEXTS_TELL_SHARE = 0.5


@dataclass(frozen=True)
class Dataset:
    """Everything that training needs to know of a file."""

    table: Table
    target: Target
    columns: tuple[Column, ...]
    features: tuple[Feature, ...]
    cells: Cells
    parts: np.ndarray
    """[rows] int8, see `split.py`."""
    hashes: pl.Series
    """[rows] String."""
    hash_columns: tuple[str, ...]
    hash_readings: dict[str, CellReading]
    """How the cells of those columns are compared."""
    hash_counted: bool
    """Whether the hashes also count equal rows, see `split.py`."""
    groups: pl.Series | None
    """[rows] String: the cells of `group=`, '' for none."""
    times: np.ndarray | None
    """[rows] float64: the values of `time=`, NaN for none."""
    inferred: tuple[str, ...]
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    """What reading, the target and the split have to say, and the sentences of the findings."""

    @property
    def by_time(self) -> bool:
        """Whether the rows are split by time."""
        return self.times is not None

    @property
    def frame(self) -> pl.DataFrame:
        """All cells in memory; '' where one is missing."""
        return self.table.frame

    @property
    def dialect(self) -> Dialect | None:
        """How the file was written; None for Parquet."""
        return self.table.dialect

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What reading had to mend."""
        return self.table.repairs


def understand_dataset(path: Path, spec: TrainSpec, *, writer: TableWriter | None = None) -> Dataset:
    """Read and understand a file for training; a large one is kept where `writer` puts it.

    Raises RunFailed as `reading`, `target`, `columns` and `split` do, and `group_unknown`, `time_unknown`,
    `group_and_time`, `split_by_target`, `time_unordered`, `no_feature_left`.
    """
    table = read_table(path, sep=spec.sep, encoding=spec.encoding, header=spec.header, writer=writer)
    name, found_target, told = _asked(table.names, spec)
    comma = has_commas(table)
    target = understand_target(table, name, spec.task, loss=spec.loss, comma=comma)
    columns = understand(table, target=name, drop=spec.drop, unnamed=_unnamed(table), told=told, comma=comma)
    times = _times(table, columns, spec.time)
    groups = _groups(table, spec.group)
    columns = [_without_group(column) if column.name == spec.group else column for column in columns]
    if not any(column.used for column in columns):
        raise _no_feature_left(columns)
    readings = cell_readings(table, columns)
    hashes, apart, hash_columns, alike = _rows_told_apart(table, columns, target, spec.group, readings)
    copies = copy_findings(apart, target, kept_together=not alike)
    if times is not None:
        parts, said = split_by_time(hashes, target, times)
    else:
        parts, said = split_rows(hashes, target, split_seed=spec.split_seed, groups=groups, file_row=table.file_row)
    learnt = (parts == TRAIN) | (parts == VALIDATION)
    features = fit_features(table, columns, learnt)
    cells = encode(table, features)
    with np.errstate(over="ignore", invalid="ignore"):  # a target may hold numbers whose squares are beyond all range
        order = _order_findings(table, columns, target, features, cells) if times is None and groups is None else []
        sentinels = sentinel_findings(cells, features, target)
        leaks = leak_findings(cells, features, target, np.flatnonzero(learnt))
        # A number that drifts along a date is told by the date: that is no leak.
        dates = {column.name for column in columns if column.kind is Kind.DATE and not target.classes}
        told_by_time = dates & {finding.column for finding in order}
        findings = [
            *copies,
            *class_findings(target),
            *shift_findings(table, columns, target.style),
            *total_findings(table, columns, target),
            *sentinels,
            *outlier_findings(table, cells, features, target, told={finding.column for finding in sentinels}),
            *(finding for finding in leaks if finding.column not in told_by_time),
            *order,
            *column_findings(columns, table.height),
        ]
    return Dataset(
        table=table,
        target=target,
        columns=tuple(columns),
        features=features,
        cells=cells,
        parts=parts,
        hashes=hashes,
        hash_columns=hash_columns,
        hash_readings={name: readings[name] for name in hash_columns if name in readings},
        hash_counted=alike,
        groups=groups,
        times=times,
        inferred=(*_reading_inferred(table, spec), *found_target, *target.inferred),
        findings=tuple(findings),
        warnings=(
            *table.warnings,
            *target.warnings,
            *((_ALIKE,) if alike else ()),
            *said,
            *(finding.sentence for finding in findings),
        ),
    )


def _asked(names: Sequence[str], spec: TrainSpec) -> tuple[str, tuple[str, ...], dict[str, Kind]]:
    """The target, what was inferred about it, and the kinds that were told. Raises RunFailed with every wrong word."""
    name, inferred, told, problems = spec.target or "", tuple[str, ...](), dict[str, Kind](), list[Problem]()
    try:
        name, inferred = find_target(names, spec)
    except RunFailed as wrong:
        problems += wrong.problems
        if spec.target is None:
            name, _ = find_target(names, spec.model_copy(update={"drop": ()}))
    try:
        told = told_kinds(spec, names, name)
    except RunFailed as wrong:
        problems += wrong.problems
    problems += _split_problems(spec, names, name)
    if problems:
        raise RunFailed(*problems)
    return name, inferred, told


def _split_problems(spec: TrainSpec, names: Sequence[str], target: str) -> list[Problem]:
    """Everything that is wrong with `group=` and `time=`."""
    problems = list[Problem]()
    for word, name in (("group", spec.group), ("time", spec.time)):
        if name is not None and name not in names:
            problems.append(unknown_column(f"{word}_unknown", f"{word}=", name, names))
        elif name is not None and name == target:
            message = f"{word}= must name another column than the target; `{name}` is the target."
            problems.append(Problem("split_by_target", message, "Name another column, or another target=."))
    if spec.group is not None and spec.time is not None:
        message = f"Rows are split by groups or by time; group={spec.group} and time={spec.time} ask for both."
        problems.append(Problem("group_and_time", message, "Keep one of them."))
    return problems


def _times(table: Table, columns: Sequence[Column], name: str | None) -> np.ndarray | None:
    """[rows] float64 by which rows are split, NaN where unknown; None without a column for it."""
    if name is None:
        return None
    column = next(column for column in columns if column.name == name)
    cells = table.column(name)
    if column.date is not None:
        return read_dates(cells, column.date)
    values = read_numbers(cells, column.style)
    present = table.height - column.missing
    if np.isfinite(values).sum() < present / 2 or not present:
        raise failed(
            "time_unordered",
            f"time= must name a column of dates or numbers; `{name}` is {column.kind.value}: {column.reason}.",
            f"Name another column; if its cells are dates, say {typed('date', name)}.",
        )
    return values


def _groups(table: Table, name: str | None) -> pl.Series | None:
    """[rows] String: whom a row belongs to, '' where that is missing; None without a column for it."""
    if name is None:
        return None
    cells = table.column(name).str.strip_chars(SPACE)
    return cells.set(cells.is_in(MISSING_WORDS), "")


def _without_group(column: Column) -> Column:
    return replace(column, used=False, reason="it groups the rows (group=), and new rows come from other groups")


def _rows_told_apart(
    table: Table, columns: Sequence[Column], target: Target, group: str | None, readings: Mapping[str, CellReading]
) -> tuple[pl.Series, pl.Series, tuple[str, ...], bool]:
    """The rows' hashes for the split; those of all features, texts among them; the columns that the first are made of,
    and whether they count equal rows.
    """
    names = tuple(column.name for column in columns if column.identifies and column.name != group)
    texts = tuple(column.name for column in columns if column.is_text and column.name != group)
    hashes = row_hashes(table, names or (target.name,), readings=readings)
    if texts and (not names or len(np.unique(hash_numbers(hashes))) < _TEXTS_TELL_SHARE * table.height):
        names += texts
        hashes = row_hashes(table, names, readings=readings)
    apart = hashes if set(texts) <= set(names) else row_hashes(table, (*names, *texts), readings=readings)
    if not are_too_alike(hashes, target):
        return hashes, apart, names, False
    names = (*names, target.name)
    return row_hashes(table, names, readings=readings, counted=True), apart, names, True


def _order_findings(
    table: Table, columns: Sequence[Column], target: Target, features: Sequence[Feature], cells: Cells
) -> list[Finding]:
    found = list[Finding]()
    for feature, values in zip(number_features(features), cells.numbers, strict=True):
        if feature.kind is Kind.DATE:
            found += time_finding(feature.name, values, target)
        elif feature.kind is Kind.NUMBER:
            found += drift_finding(feature.name, values, target)
    return [*group_findings(table, columns, target), *clearest_drift(found)]


def _unnamed(table: Table) -> frozenset[str]:
    """The names that stand for empty cells of a header."""
    if table.dialect is None or not table.dialect.has_header:
        return frozenset()
    return frozenset(name for k, name in enumerate(table.names) if name == f"column_{k + 1}")


def has_commas(table: Table, delimiter: str | None = None) -> bool:
    """Whether a comma is a decimal comma where the cells of a column leave it open; `delimiter` if not the file's."""
    own = table.dialect.delimiter if table.dialect else ""
    return has_decimal_commas(
        table.head(PROVING_ROWS).iter_columns(), delimiter=own if delimiter is None else delimiter
    )


def _reading_inferred(table: Table, spec: TrainSpec) -> list[str]:
    """What was inferred about the way the file is written, where it is not the usual."""
    dialect, sentences = table.dialect, list[str]()
    if dialect is None:
        return sentences
    if spec.sep is None and dialect.delimiter != ",":
        shown = DELIMITER_NAMES.get(dialect.delimiter, repr(dialect.delimiter))
        sentences.append(f"Delimiter: {shown}; change it with sep=...")
    if spec.encoding is None and not dialect.encoding.startswith("utf-8"):
        sentences.append(f"Encoding: {dialect.encoding}; change it with encoding=...")
    if spec.header is None:
        if dialect.has_header:
            sentences.append(f"Header: {_header(dialect)}, because {dialect.header_reason}; change it with header=no.")
        else:
            sentences.append(f"Header: none, because {dialect.header_reason}; change it with header=yes.")
    return sentences


def _header(dialect: Dialect) -> str:
    """Which rows of the file name the columns."""
    rows = "the first row" if dialect.header_rows == 1 else "the first two rows"
    if not dialect.preamble:
        return rows
    return f"{rows} below the {'line' if dialect.preamble == 1 else f'{dialect.preamble} lines'} above the table"


def _no_feature_left(columns: Sequence[Column]) -> Exception:
    if not columns:
        reasons = "the target is the only column"
    else:
        reasons = "; ".join(
            f"`{column.name}` ({column.kind.value}): {column.reason}" for column in columns[:SHOWN_COLUMNS]
        )
    return failed(
        "no_feature_left",
        f"A model needs at least one feature; none of the columns can be used: {reasons}.",
        "Add columns with numbers, categories or dates, or take names out of drop=.",
    )

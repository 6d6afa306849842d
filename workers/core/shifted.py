"""Rows whose cells stand under the wrong column: a missing or an additional cell moved the rest of the row.

A cell is odd when it is not what most of its column's cells are (a word among numbers, a number among words). A row is
taken for shifted when two of its cells are odd and fit the column beside theirs, on the same side; or when its first or
last cell is missing, as hardly any other's is, and its numbers are far from their own columns' and near those beside.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from workers.core.columns import Column, Kind
from workers.core.encode import Cells, Feature, number_features
from workers.core.findings import Finding
from workers.core.kinds import column_values, quote
from workers.core.table import Table
from workers.core.words import MISSING_WORDS, NUMBER, SPACE, whole

_SHOWN_ROWS = 5
_LOOKED_AT = 10_000
_LEAST_PAIRS = 3
_RARELY_MISSING = 0.05


def shift_findings(table: Table, columns: Sequence[Column], features: Sequence[Feature], cells: Cells) -> list[Finding]:
    """A finding where rows look shifted."""
    by_kind, example = _by_kind(table, columns)
    by_size, other = _by_size(table, columns, features, cells)
    shifted = np.union1d(by_kind, by_size)
    if not len(shifted):
        return []
    first = [row + 1 for row in shifted[:_SHOWN_ROWS].tolist()]
    many = f"{len(shifted)} rows have" if len(shifted) > 1 else "1 row has"
    sentence = (
        f"{many} cells under the wrong column, first in row {', '.join(map(str, first))}: {example or other}. Mend the "
        "file; as it is, those rows mislead the model."
    )
    return [Finding("columns_shifted", sentence, None, {"rows": len(shifted), "first_rows": first})]


def _by_kind(table: Table, columns: Sequence[Column]) -> tuple[np.ndarray, str]:
    """The rows with odd cells that fit their neighbours, and an example in words."""
    places = [k for k, column in enumerate(columns) if column.others or column.strays]
    if len(places) < 2:
        return np.zeros(0, dtype=np.int64), ""
    counts, odd = np.zeros(table.height, dtype=np.int16), dict[int, pl.Series]()
    for k in places:
        odd[k] = _odd_words(table, columns[k])
        counts += table.column(columns[k].name).str.strip_chars(SPACE).is_in(odd[k].implode()).to_numpy()
    rows = np.flatnonzero(counts >= 2)[:_LOOKED_AT]
    return _shifted(table, columns, odd, rows) if len(rows) else (rows, "")


def _by_size(
    table: Table, columns: Sequence[Column], features: Sequence[Feature], cells: Cells
) -> tuple[np.ndarray, str]:
    """The rows whose numbers fit the columns beside theirs, and an example in words."""
    known = {f.name: v for f, v in zip(number_features(features), cells.numbers, strict=True) if f.kind is Kind.NUMBER}
    found, example = [np.zeros(0, dtype=np.int64)], ""
    for edge, side in ((0, -1), (-1, 1)) if columns else ():
        pairs = [
            (columns[k].name, columns[k + side].name)
            for k in range(max(0, -side), len(columns) - max(0, side))
            if columns[k].name in known and columns[k + side].name in known
        ]
        if len(pairs) < _LEAST_PAIRS or not 0 < columns[edge].missing < _RARELY_MISSING * table.height:
            continue
        blank = table.column(columns[edge].name).str.strip_chars(SPACE).is_in(MISSING_WORDS)
        rows = np.flatnonzero(blank.to_numpy())[:_LOOKED_AT]
        own = np.stack([_distance(known[here][rows], known[here]) for here, _ in pairs])
        moved = np.stack([_distance(known[here][rows], known[beside]) for here, beside in pairs])
        far = ~np.isnan(own).any(axis=0) & (own.mean(axis=0) > moved.mean(axis=0) + 1.0)
        if far.any():
            found.append(rows[far])
            name = columns[edge].name
            example = example or f"`{name}` is missing, and the numbers fit the columns beside theirs"
    return np.concatenate(found), example


def _distance(values: np.ndarray, column: np.ndarray) -> np.ndarray:
    """How far values are from the middle of a column, [rows]: the logarithm of the distance in its widths."""
    head = column[:_LOOKED_AT]
    known = head[~np.isnan(head)]
    if not len(known):
        return np.full(len(values), np.nan)
    low, middle, high = np.quantile(known, (0.1, 0.5, 0.9))
    width = high - low or 1.0
    distance: np.ndarray = np.log1p(np.abs(values.astype(np.float64) - middle) / width)
    return distance


def _shifted(
    table: Table, columns: Sequence[Column], odd: dict[int, pl.Series], rows: np.ndarray
) -> tuple[np.ndarray, str]:
    """Those of `rows` whose odd cells fit a neighbour, and what the first of them holds, in words."""
    frame = table.take(rows, [column.name for column in columns]).select(pl.all().str.strip_chars(SPACE))
    is_odd = {k: frame[columns[k].name].is_in(words.implode()).to_numpy() for k, words in odd.items()}
    total = sum(mask.astype(np.int64) for mask in is_odd.values())
    best, examples = np.zeros(len(rows), dtype=bool), dict[int, str]()
    for side in (-1, 1):
        fitting = {
            k: mask & _fits(frame[columns[k].name], table, columns[k + side], odd.get(k + side))
            for k, mask in is_odd.items()
            if 0 <= k + side < len(columns)
        }
        fits = sum((mask.astype(np.int64) for mask in fitting.values()), start=np.zeros(len(rows), dtype=np.int64))
        moved = (fits >= 2) & (2 * fits >= total)
        best |= moved
        if moved.any():
            row = int(np.argmax(moved))
            k = next(k for k, mask in fitting.items() if mask[row])
            cell = quote(frame[columns[k].name][row])
            examples.setdefault(row, f"`{columns[k].name}` holds {cell}, which fits `{columns[k + side].name}`")
    return rows[best], examples[min(examples)] if examples else ""


def _odd_words(table: Table, column: Column) -> pl.Series:
    """The different cells that are not what most of the column's are."""
    values = column_values(column.name, table.column(column.name))
    if column.kind in {Kind.CATEGORY, Kind.BOOLEAN}:
        numbers = values.cells.str.contains(whole(NUMBER))
        return values.cells.filter(numbers if 2 * values.count(numbers) < values.total else ~numbers).unique()
    return values.cells.filter(~values.cells.str.contains(whole(_pattern(column)))).unique()


def _fits(cells: pl.Series, table: Table, column: Column, odd: pl.Series | None) -> np.ndarray:
    """[rows] bool: whether a cell could stand in the column."""
    if column.kind in {Kind.NUMBER, Kind.DATE}:
        fits = cells.str.contains(whole(_pattern(column)))
    elif column.kind in {Kind.CATEGORY, Kind.BOOLEAN}:
        known = table.column(column.name).str.strip_chars(SPACE).unique()
        if odd is not None:
            known = known.filter(~known.is_in(odd.implode()))
        fits = cells.is_in(known.implode())
    else:
        fits = pl.repeat(value=False, n=len(cells), eager=True)
    return (fits & ~cells.is_in(MISSING_WORDS)).to_numpy()


def _pattern(column: Column) -> str:
    return column.date.pattern if column.date else column.style.pattern

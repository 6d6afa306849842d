"""Rows whose cells stand under the wrong column: a missing or an additional cell moved the rest of the row.

A cell is odd when it is not what most of its column's cells are (a word among numbers, a number among words). A row is
taken for shifted when two of its cells are odd and fit the column beside theirs, on the same side; or when its cells,
whatever they hold, are far more likely in the columns beside theirs (`shifted_fit.py`).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from workers.core.columns import Column, Kind
from workers.core.findings import Finding
from workers.core.kinds import column_values, quote
from workers.core.numbers import NumberStyle
from workers.core.shifted_fit import Moved, find_moved
from workers.core.table import Table
from workers.core.words import MISSING_WORDS, NUMBER, SPACE, whole

_SHOWN_ROWS = 5
_LOOKED_AT = 10_000


def shift_findings(table: Table, columns: Sequence[Column], style: NumberStyle) -> list[Finding]:
    """A finding where rows look shifted, of each part and of single ones; `style` is that of the target's numbers."""
    # By their numbers in the file, from 0.
    moved = [
        replace(one, rows=table.file_rows(one.rows) - 1)
        for one in find_moved(table, [style, *(column.style for column in columns)])
    ]
    blocks, single = ([m for m in moved if m.in_block is is_block] for is_block in (True, False))
    rows, example = _by_kind(table, columns) if not blocks else (np.zeros(0, dtype=np.int64), "")
    rows = table.file_rows(rows) - 1
    findings = [_of_block(block) for block in blocks]
    if not len(rows) and not single:
        return findings
    rows = np.unique(np.concatenate([rows, *(m.rows for m in single)]))
    count = max(len(rows), sum(m.estimate for m in single))
    shown = ", ".join(str(row + 1) for row in rows[:_SHOWN_ROWS].tolist())
    many = f"{count} rows have" if count > 1 else "1 row has"
    what = f"{many} cells under the wrong column, first in row {shown}"
    if sample := max((m.sample or 0 for m in single), default=0):
        what = f"About {count} rows have cells under the wrong column, as {sample} rows tell that were looked at, "
        what += f"such as row {shown}"
    return [*findings, _finding(rows, count, f"{what}: {example or _example(single[0])}")]


def _of_block(moved: Moved) -> Finding:
    """Of rows that stand one below the other."""
    about = f", as {moved.sample} rows tell that were looked at," if moved.sample else ""
    what = f"Rows {int(moved.rows[0]) + 1} to {int(moved.rows[-1]) + 1}{about}"
    sentence = f"{what} have cells that stand one column beside those of the other rows: {_example(moved)}"
    return _finding(moved.rows, moved.estimate, sentence)


def _finding(rows: np.ndarray, count: int, what: str) -> Finding:
    sentence = f"{what}. Mend the file; as it is, those rows mislead the model."
    first = [row + 1 for row in rows[:_SHOWN_ROWS].tolist()]
    return Finding("columns_shifted", sentence, None, {"rows": count, "first_rows": first})


def _example(moved: Moved) -> str:
    here, there = moved.columns
    return f"in row {int(moved.rows[0]) + 1} `{here}` holds {quote(moved.cell)}, which fits `{there}`"


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

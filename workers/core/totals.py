"""Rows that sum up others, as spreadsheets and web analytics write them between the rows or below the last one."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from workers.core.columns import Column
from workers.core.findings import Finding
from workers.core.kinds import Kind, quote
from workers.core.table import Table
from workers.core.target import Target
from workers.core.words import MISSING_WORDS, SPACE

# English, German, French, Spanish, Italian, Portuguese, Dutch.
_TOTAL = (
    r"(?i)\A(?:grand |sub[- ]?)?(?:totals?|totale|totaal|sum|summe|gesamt(?:summe)?|zwischensumme|somme|suma|somma"
    r"|soma)(?:\W.*)?\z"
)
_LOOKED_AT = 3  # columns from the left: a total is named at the start of its row
_RARE_SHARE = 0.1


def total_findings(table: Table, columns: Sequence[Column], target: Target) -> list[Finding]:
    """A finding where rows with a target look like totals of others."""
    rarely_missing = [column.name for column in columns if column.missing <= _RARE_SHARE * table.height]
    for column in columns[:_LOOKED_AT]:
        cells = table.column(column.name).str.strip_chars(SPACE)
        named = cells.str.contains(_TOTAL).arg_true().to_numpy()
        named = named[target.usable[named]][: int(_RARE_SHARE * table.height)]
        # A word such as total may also be a category: a total has gaps, or stands at the end.
        gaps = _missing(table, named, rarely_missing)
        rows = named[gaps | (named == table.height - 1)]
        if len(rows):
            return [_finding(table.file_rows(rows), f"{quote(cells[int(rows[0])])} in `{column.name}`")]
    return _blank_at_end(table, columns, target)


def _blank_at_end(table: Table, columns: Sequence[Column], target: Target) -> list[Finding]:
    """The last row, where it alone has an empty first cell above its numbers."""
    last = np.array([table.height - 1])
    words = [column.name for column in columns if column.kind in {Kind.CATEGORY, Kind.TEXT, Kind.DATE, Kind.ID}]
    if not columns or columns[0].name not in words or columns[0].missing != 1 or not target.usable[last[0]]:
        return []
    if not _missing(table, last, [columns[0].name])[0]:
        return []
    return [_finding(table.file_rows(last), f"`{columns[0].name}` is empty in no other row")]


def _missing(table: Table, rows: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """[rows] bool: whether one of the cells `names` is missing."""
    if not names:
        return np.zeros(len(rows), dtype=bool)
    frame = table.take(rows, names)
    return frame.select(pl.any_horizontal(pl.all().str.strip_chars(SPACE).is_in(MISSING_WORDS))).to_series().to_numpy()


def _finding(rows: np.ndarray, why: str) -> Finding:
    """Of rows by their numbers in the file."""
    first = int(rows[0])
    what = (
        f"Row {first} looks like a total"
        if len(rows) == 1
        else f"{len(rows)} rows look like totals, first in row {first}"
    )
    sentence = f"{what}: {why}. Take such rows out of the file; they mislead the model."
    return Finding("totals", sentence, None, {"rows": len(rows), "first_row": first})

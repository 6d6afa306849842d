"""The columns of a table: what each holds, whether it is used, and why.

Nothing here is fitted: a column's kind follows from its cells in the whole file, its name, and what a person said.
Statistics and vocabularies come later, from the rows that a model may learn from.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from shared.errors import Problem, RunFailed
from shared.specs import TableSpec
from workers.core.dates import DateFormat
from workers.core.kinds import MOSTLY, READERS, Kind, Reading, Values, best_kind, column_values, find_kind, quote
from workers.core.names import typed, unknown_column
from workers.core.numbers import PLAIN, NumberStyle
from workers.core.table import Table
from workers.core.words import MISSING_WORDS, NUMBER, SPACE, whole

__all__ = ["MOSTLY", "Column", "Kind", "as_table", "first_stray", "told_kinds", "trimmed", "understand"]

_MOST_NUMBER_WORDS = 20  # numbers that may be words; more different ones were meant as numbers
_LEAST_TOLD_SHARE = 0.5
"""Of the cells of a column that a person calls numbers or dates, at least this share must be some."""


@dataclass(frozen=True)
class Column:
    """One column of the file as it was understood."""

    name: str
    kind: Kind
    reason: str
    used: bool
    """Whether it is a feature of the model."""
    missing: int = 0
    others: int = 0
    """Cells that are neither missing nor what the kind says; they count as missing."""
    first_other: tuple[int, str] | None = None
    """The first of those, or the first that is no number where there are `numbers`: its row, from 1, and the cell."""
    identifies: bool = True
    """Whether its cells tell rows apart for the split: true of every feature that the file offers, whatever is asked
    for; texts only do so where the other features hardly can, see `dataset.py`."""
    is_text: bool = False
    """Whether its cells are texts by themselves."""
    found: Reading | None = None
    """What the cells show by themselves, whatever a person said: by this rows are compared for the split."""
    style: NumberStyle = PLAIN
    date: DateFormat | None = None
    doubt: str = ""
    """What was assumed about dates or numbers where the cells left it open."""
    distinct: int = 0
    most_common: int = 0
    """How many cells hold the most frequent value."""
    strays: int = 0
    """Of a category, the cells that are numbers where most are words, or words where most are numbers."""
    numbers: int = 0
    """Of words, how many cells are numbers, where those are many different ones; 0 elsewhere."""


def as_table(table: Table | pl.DataFrame) -> Table:
    """The table of a frame of strings."""
    return Table([table]) if isinstance(table, pl.DataFrame) else table


def trimmed(name: str) -> pl.Expr:
    """The cells of a column without the blanks around them."""
    return pl.col(name).str.strip_chars(SPACE)


def understand(
    table: Table | pl.DataFrame,
    *,
    target: str,
    drop: Sequence[str] = (),
    unnamed: Collection[str] = (),
    told: Mapping[str, Kind] | None = None,
    comma: bool = False,
) -> list[Column]:
    """The columns of a table of strings but the target, in the file's order.

    `unnamed` holds the names that we gave to columns whose header cell is empty, as an index written by a library is;
    `told` what a person said of columns; `comma` says that a comma is a decimal comma, and the day comes first, where
    the cells leave it open. An identifier that is the only feature left is used after all. Raises RunFailed
    `number_unreadable`, `date_unreadable`, `text_unreadable`.
    """
    table, told, problems = as_table(table), told or {}, list[Problem]()
    columns = []
    for name in table.names:
        if name == target:
            continue
        values = column_values(name, table.column(name))
        reading = found = find_kind(values, unnamed=name in unnamed, comma=comma)
        if name in told and name not in drop:
            reading, problem = _as_told(table, values, told[name], comma=comma)
            problems += problem
        columns.append(_column(table, values, reading, found))
    if problems:
        raise RunFailed(*problems)
    kept = [replace(c, used=False, reason="left out with drop=") if c.name in drop else c for c in columns]
    if not any(c.used for c in kept):
        kept = [_after_all(table, c, comma=comma) if c.kind is Kind.ID and c.name not in drop else c for c in kept]
    return kept


def told_kinds(spec: TableSpec, names: Sequence[str], target: str) -> dict[str, Kind]:
    """The kinds that a person gave to columns.

    Raises RunFailed with all problems: `category_unknown`, `text_unknown`, `date_unknown`, `number_unknown`,
    `kind_told_twice`, `kind_of_target`.
    """
    told, problems = dict[str, Kind](), list[Problem]()
    asked = {
        Kind.CATEGORY: spec.category,
        Kind.TEXT: spec.text,
        Kind.DATE: spec.date,
        Kind.NUMBER: spec.number,
    }
    for kind, columns in asked.items():
        for name in columns:
            if name not in names:
                problems.append(unknown_column(f"{kind.value}_unknown", f"{kind.value}=", name, names))
            elif name == target:
                message = f"{kind.value}= is for features; `{name}` is the target."
                problems.append(Problem("kind_of_target", message, "Say task=regression or task=multiclass instead."))
            elif told.setdefault(name, kind) is not kind:
                message = f"A column has one kind; `{name}` is named by {told[name].value}= and by {kind.value}=."
                problems.append(Problem("kind_told_twice", message, "Keep one of them."))
    if problems:
        raise RunFailed(*problems)
    return told


def first_stray(
    cells: pl.Series, pattern: str, file_row: Callable[[int], int] = lambda row: row + 1
) -> tuple[int, str] | None:
    """Row, from 1, and cell of the first cell that is neither missing nor of the pattern; `file_row` tells where a row
    of the table stands in its file.
    """
    text = cells.str.strip_chars(SPACE)
    odd = (~(text.str.contains(whole(pattern)) | text.is_in(MISSING_WORDS))).arg_true()
    return (file_row(int(odd[0])), str(text[int(odd[0])])) if len(odd) else None


def _as_told(table: Table, values: Values, kind: Kind, *, comma: bool) -> tuple[Reading, list[Problem]]:
    """The cells read as the kind that a person gave them, or why they cannot be."""
    word, total = f"{kind.value}=", values.total
    if not total:
        return Reading(Kind.CONSTANT, "every cell is missing", used=False), []
    reading = READERS[kind](values, comma)
    if reading and reading.others <= (1 - _LEAST_TOLD_SHARE) * total:
        return (replace(reading, kind=kind, reason=f"told with {word}: {reading.reason}"), [])
    if kind is Kind.TEXT:
        message = (
            "A text shares words with other rows, so that they can be learnt from; hardly a word of "
            f"`{values.name}` occurs in five rows, such as those of {quote(values.cells[0])}."
        )
        hint = f"Say {typed('category', values.name)}, or {typed('drop', values.name)}."
    else:
        pattern = (
            reading.date.pattern if reading and reading.date else (reading.style.pattern if reading else r"[^\s\S]")
        )
        row, cell = _stray_of(table, values.name, pattern) or (1, str(values.cells[0]))
        wrong = reading.others if reading else total
        message = (
            f"Most cells of a column that {word} names must be {kind.value}s of one format; in `{values.name}` "
            f"{wrong} of {total} are none, first in row {row}: {quote(cell)}."
        )
        hint = f"Take it out of {word}, or write them {'as 2024-12-31' if kind is Kind.DATE else 'as 1234.5'}."
    return Reading(kind, ""), [Problem(f"{kind.value}_unreadable", message, hint)]


def _stray_of(table: Table, name: str, pattern: str) -> tuple[int, str] | None:
    return first_stray(table.column(name), pattern, table.file_row)


def _column(table: Table, values: Values, reading: Reading, found: Reading) -> Column:
    first, numbers, many = None, 0, False
    if reading.kind in {Kind.CATEGORY, Kind.BOOLEAN, Kind.TEXT}:
        are_numbers = values.cells.str.contains(whole(NUMBER))
        numbers = values.count(are_numbers)
        share = numbers / max(1, values.total)
        many = 1 - MOSTLY <= share < MOSTLY and int(are_numbers.sum()) > _MOST_NUMBER_WORDS
    if many:
        first = _stray_of(table, values.name, NUMBER)
    elif reading.others and reading.used:
        first = _stray_of(table, values.name, reading.date.pattern if reading.date else reading.style.pattern)
    return Column(
        name=values.name,
        kind=reading.kind,
        reason=reading.reason,
        used=reading.used,
        missing=values.missing,
        others=reading.others,
        first_other=first,
        identifies=found.kind not in {Kind.ID, Kind.CONSTANT, Kind.TEXT},
        is_text=found.kind is Kind.TEXT,
        found=found,
        style=reading.style,
        date=reading.date,
        doubt=reading.doubt,
        distinct=values.distinct,
        most_common=int(values.counts.max(initial=0)),
        strays=0 if reading.kind is Kind.TEXT else min(numbers, values.total - numbers),
        numbers=numbers if many else 0,
    )


def _after_all(table: Table, column: Column, *, comma: bool) -> Column:
    """An identifier as the feature that it would otherwise be."""
    values = column_values(column.name, table.column(column.name))
    reading = best_kind(values, comma=comma)
    if not reading.used:
        reading = Reading(Kind.CATEGORY, "")
    reason = f"looks like an identifier ({column.reason}), but no other feature is left"
    return replace(_column(table, values, reading, reading), reason=reason, identifies=True, is_text=False)

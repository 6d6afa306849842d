"""A file that is written in another way than the training file, with its numbers as the model reads them.

A model reads the numbers of a column in one style (`numbers.py`). A table that was saved again as Parquet, or by a
program of another country, holds the same numbers in another style: they are rewritten where nothing is in doubt.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from shared.errors import Problem, RunFailed
from workers.core.dataset import has_commas
from workers.core.dates import DateFormat, find_format
from workers.core.equal_cells import CellReading
from workers.core.kinds import Values, as_number, column_values, quote
from workers.core.numbers import NumberStyle, read_numbers
from workers.core.table import Table
from workers.core.words import whole


def restyled(
    table: Table, styles: Mapping[str, NumberStyle], dates: Mapping[str, DateFormat]
) -> tuple[pl.DataFrame, list[str]]:
    """All rows with the numbers of the columns in `styles` written in these styles, and what a person should know.

    Raises RunFailed with all columns: `numbers_unclear` where it is open what the numbers of this file are,
    `dates_differ` where its dates are written in another way than in `dates`.
    """
    frame, comma = table.frame, has_commas(table)
    said, problems = list[str](), list[Problem]()
    for name, wanted in styles.items():
        if name not in frame.columns:
            continue
        own, doubt = _own_style(column_values(name, frame[name]), wanted, comma=comma)
        if own is None:
            continue
        if doubt:
            message = f"The numbers of a file must be as clear as the training file's; `{name}`: {doubt}."
            problems.append(Problem("numbers_unclear", message, "Write them as 1234.5, or as in the training file."))
        texts = CellReading(style=own).texts(frame[name]).str.replace(".", wanted.decimal, literal=True)
        is_number = frame[name].str.contains(whole(own.pattern))
        frame = frame.with_columns(texts.zip_with(is_number, frame[name]).alias(name))
        written = own.said() or "a decimal point"
        said.append(f"`{name}`: its numbers are written with {written} in this file, and were read so.")
    for name, form in dates.items():
        if name in frame.columns:
            problems += _other_dates(column_values(name, frame[name]), form, comma=comma)
    if problems:
        raise RunFailed(*problems)
    return frame, said


def _own_style(values: Values, wanted: NumberStyle, *, comma: bool) -> tuple[NumberStyle | None, str]:
    """The style of a file's own numbers where it is another one than `wanted`, and what is open about it."""
    reading = as_number(values, comma=comma) if values.total else None
    if reading is None or reading.style == wanted:
        return None, ""
    as_wanted, as_found = read_numbers(values.cells, wanted), read_numbers(values.cells, reading.style)
    if np.isfinite(as_wanted).sum() >= np.isfinite(as_found).sum():
        both = np.isfinite(as_wanted) & np.isfinite(as_found)
        if np.array_equal(as_wanted[both], as_found[both]):
            return None, ""
    return reading.style, reading.doubt


def _other_dates(values: Values, form: DateFormat, *, comma: bool) -> list[Problem]:
    if form.is_counted or not values.total:
        return []
    found = find_format(values.cells, name=values.name, day_first=comma)
    read = values.count(values.cells.str.contains(whole(form.pattern)))
    if not found or read >= values.count(values.cells.str.contains(whole(found[0].pattern))):
        return []
    message = (
        f"The dates of `{values.name}` must be written as in the training file ({form.said()}); here they are "
        f"{found[0].said()}, such as {quote(values.cells[0])}."
    )
    return [Problem("dates_differ", message, "Write them as there.")]

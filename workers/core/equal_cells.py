"""What a cell says, as one text for all ways to write it: `9.50` and `9.5`, `NA` and nothing, `Yes` and `yes`.

Rows are equal, for the split and for what a model has learnt from, when these texts are. So a table that another
program saved again has the same rows. A cell that is written the plain way keeps its text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from workers.core.columns import Column
from workers.core.dates import DAY_S, DateFormat, Order, read_dates
from workers.core.kinds import Kind, column_values
from workers.core.numbers import PLAIN, NumberStyle, read_numbers
from workers.core.table import Table
from workers.core.words import INTEGER, MISSING_WORDS, SPACE, whole

# Numbers of at most 15 digits without anything that says nothing: each value has one such text.
_PLAIN_NUMBER = r"0|-?[1-9][0-9]{0,14}|-?(?:0|[1-9][0-9]{0,6})\.[0-9]{0,7}[1-9]"
_PLAIN_INTEGER = r"0|-?[1-9][0-9]{0,14}"
_PLAIN_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_LONG_INTEGER = 15
TOGETHER_CELLS = 1_000_000  # so many cells of several columns are read at once


@dataclass(frozen=True)
class CellReading:
    """How the cells of a column are compared; as it stands, as words."""

    style: NumberStyle | None = None
    date: DateFormat | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    """Of yes and no in lower case, the usual way to write it."""

    def texts(self, cells: pl.Series) -> pl.Series:
        """[rows] the text that stands for each cell, String; '' where it is missing."""
        text = cells.str.strip_chars(SPACE)
        plain = self._plain
        odd = (text != "") if self.words else ~text.str.contains(whole(plain)) if plain else text.is_in(MISSING_WORDS)
        places = odd.arg_true()
        if places.is_empty():
            return text
        return text.scatter(places, self._rewritten(text.gather(places)))

    @property
    def _plain(self) -> str:
        """What a cell looks like that keeps its text, where such can be told."""
        if self.style is not None:
            return _PLAIN_NUMBER if self.style.is_plain else _PLAIN_INTEGER
        return _PLAIN_DATE if self.date is not None else ""

    def _rewritten(self, text: pl.Series) -> pl.Series:
        """[rows] of trimmed cells, as `texts`."""
        text = text.set(text.is_in(MISSING_WORDS), "")
        if self.style is not None:
            return _number_texts(text, self.style)
        if self.date is not None:
            return _date_texts(text, self.date)
        if self.words:
            return text.str.to_lowercase().replace_strict(dict(self.words), default=text, return_dtype=pl.String)
        return text

    def as_plain(self) -> dict[str, Any]:
        """For the report, and `reading_from_plain`."""
        return {
            "style": asdict(self.style) if self.style else None,
            "date": asdict(self.date) if self.date else None,
            "words": dict(self.words),
        }


def frame_texts(frame: pl.DataFrame, readings: Sequence[CellReading]) -> list[pl.Series]:
    """`texts` of each column, whose reading stands at its place. Short columns that are read alike go through it
    together, one behind the other: a wide table has thousands of them, and each query has its price.
    """
    texts, alike = list[pl.Series](frame.get_columns()), dict[tuple[Any, ...], list[int]]()
    for k, reading in enumerate(readings):
        key = (k,) if reading.words else (reading.style, reading.date)
        alike.setdefault(key, []).append(k)
    most = max(1, TOGETHER_CELLS // max(1, frame.height))
    for places in alike.values():
        for start in range(0, len(places), most):
            part = places[start : start + most]
            cells = pl.concat([texts[k].alias("cell") for k in part])
            said = readings[part[0]].texts(cells)
            for j, k in enumerate(part):
                texts[k] = said.slice(j * frame.height, frame.height).alias(frame.columns[k])
    return texts


def cell_readings(table: Table, columns: Sequence[Column]) -> dict[str, CellReading]:
    """How the cells of each column are compared."""
    return {column.name: _reading(table, column) for column in columns}


def reading_from_plain(plain: Mapping[str, Any]) -> CellReading:
    """The reading that a train run wrote into its report."""
    style, date = plain["style"], plain["date"]
    return CellReading(
        style=NumberStyle(**style) if style else None,
        date=date_from_plain(date) if date else None,
        words=plain["words"],
    )


def date_from_plain(plain: Mapping[str, Any]) -> DateFormat:
    """The format of dates that a train run wrote into its report."""
    return DateFormat(**{**plain, "order": Order(plain["order"])})


def number_text(value: float) -> str:
    """A number with as few digits as tell it from all others, and no exponent."""
    text = format(Decimal(repr(value)), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def _reading(table: Table, column: Column) -> CellReading:
    found = column.found or column
    if found.kind is Kind.BOOLEAN:
        values = column_values(column.name, table.column(column.name))
        usual = dict[str, str]()
        for k in np.argsort(-values.counts, kind="stable").tolist():
            usual.setdefault(values.cells[k].lower(), values.cells[k])
        return CellReading(words=usual)
    if found.date is not None:
        return CellReading(style=PLAIN) if found.date.is_counted else CellReading(date=found.date)
    return CellReading(style=found.style) if found.kind is Kind.NUMBER else CellReading()


def _number_texts(cells: pl.Series, style: NumberStyle) -> pl.Series:
    """The numbers among the cells as `number_text` writes them."""
    values = pl.Series(read_numbers(cells, style))
    # Numbers that no double tells apart, such as long keys, differ all the same.
    long = cells.str.contains(whole(INTEGER)) & (cells.str.len_bytes() > _LONG_INTEGER)
    texts = values.cast(pl.String).str.strip_suffix(".0")
    texts = texts.set(texts == "-0", "0")
    rare = texts.filter(texts.str.contains("e", literal=True)).unique()
    texts = texts.replace(rare, pl.Series([number_text(float(text)) for text in rare], dtype=pl.String))
    return texts.zip_with(~long & values.is_finite(), cells)


def _date_texts(cells: pl.Series, form: DateFormat) -> pl.Series:
    """The dates among the cells as YYYY-MM-DD, with the time where it is not midnight."""
    if form.order is Order.TIME:
        return cells
    days = read_dates(cells, form)
    known = np.isfinite(days)
    moments = pl.Series(np.rint(np.where(known, days, 0.0) * DAY_S * 1e3).astype(np.int64)).cast(pl.Datetime("ms"))
    texts = moments.dt.to_string("%Y-%m-%d %H:%M:%S%.f").str.strip_suffix(" 00:00:00")
    return texts.zip_with(pl.Series(known), cells)

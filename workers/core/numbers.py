"""Numbers as people write them: a decimal comma, thousands, a currency, a unit, parentheses for what is owed.

A column has one style, found on a sample and verified on every cell. What a style leaves out of a cell (`removed`) is
listed, not programmed: the reader here and the graph (`graph_numbers.py`) take the same literals away in the same order
and so read any cell alike.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl

from workers.core.words import NUMBER, SPACE, padded, whole

MOST_GROUPS = 6  # groups of three digits behind the first: up to 10^21
_MINUS = "\u2212"
_SPACES = " \u00a0\u202f"
_THOUSANDS = (",", ".", "'", "\u2019", *_SPACES)
_SYMBOLS = "$€£¥₹₽₩₺₫₴₪₱฿"
_CODES = (
    "USD", "EUR", "GBP", "JPY", "CNY", "CHF", "CAD", "AUD", "NZD", "INR", "RUB", "BRL", "MXN", "ZAR", "SEK", "NOK",
    "DKK", "PLN", "CZK", "HUF", "TRY", "KRW", "SGD", "HKD", "US$", "R$", "A$", "C$", "kr", "Rs", "Fr.", "SFr.", "zł",
)  # fmt: skip
_CURRENCIES = (*_SYMBOLS, *_CODES)
_BEFORE = "|".join(re.escape(mark) for mark in sorted(_CURRENCIES, key=len, reverse=True))
_DIGITS = r"[0-9](?:[0-9.,'\u2019 \u00a0\u202f]*[0-9.,])?|[.,][0-9]+"
_UNIT = r"[^0-9\s.,()'+\-][^\s()]{0,9}"
_SIGN = rf"[+\-{_MINUS}]?"
_ANY = rf"\(? ?{_SIGN} ?({_BEFORE})? ?{_SIGN}({_DIGITS})(?:[eE][+-]?[0-9]{{1,3}})? ?({_UNIT})?\)?"
_SAMPLE = 10_000
CHUNK_ROWS = 500_000


@dataclass(frozen=True)
class NumberStyle:
    """How the numbers of a column are written; as it stands, the way programs write them."""

    decimal: str = "."
    thousands: str = ""
    before: str = ""
    """A currency in front of the number, where a cell has one."""
    after: str = ""
    """A currency, a percent sign or a unit behind it, where a cell has one."""
    parentheses: bool = False
    """Whether (5) is minus 5."""
    long_minus: bool = False
    """Whether a minus may be U+2212."""

    @property
    def is_plain(self) -> bool:
        """Whether the cells are numbers as programs write them."""
        return self == PLAIN

    @property
    def pattern(self) -> str:
        """What a cell of this style looks like, blanks around it included; for RE2 and Polars alike."""
        if self.is_plain:
            return padded(NUMBER)
        dot, sign = f"[{self.decimal}]", f"[+{_MINUS if self.long_minus else ''}-]"
        digits = "[0-9]{1,100}"
        if self.thousands:
            # A group never starts with 0: 0,123 has a decimal comma.
            digits = rf"(?:[1-9][0-9]{{0,2}}(?:[{self.thousands}][0-9]{{3}}){{1,{MOST_GROUPS}}}|{digits})"
        core = rf"(?:{digits}(?:{dot}[0-9]{{0,100}})?|{dot}[0-9]{{1,100}})"
        if not (self.before or self.after or self.thousands):
            core += "(?:[eE][+-]?0{0,2}[0-9]{1,2})?"
        before = rf"(?:{re.escape(self.before)} ?)?" if self.before else ""
        behind = rf"(?: ?{re.escape(self.after)})?" if self.after else ""
        written = rf"(?:{sign} ?{before}|{before}{sign}?){core}{behind}"
        if self.parentheses:
            written = rf"(?:{written}|\({before}{core}{behind}\))"
        return rf" *{written} *"

    @property
    def removed(self) -> tuple[tuple[str, int], ...]:
        """The literals that are no part of the number itself, each with how often a cell may hold it, in order."""
        marks = [(mark, 1) for mark in (self.before, self.after) if mark]
        marks += [("(", 1), (")", 1)] if self.parentheses else []
        marks += [(_MINUS, 1)] if self.long_minus else []
        return (*marks, *([(self.thousands, MOST_GROUPS)] if self.thousands.strip(" ") else []))

    @property
    def negated(self) -> str:
        """The pattern of a cell whose minus is among what is removed; '' where there is none."""
        marks = ("(" if self.parentheses else "") + (_MINUS if self.long_minus else "")
        return rf"(?s:.*)[{marks}](?s:.*)" if marks else ""

    @property
    def fullest(self) -> str:
        """A cell with each literal as often as a cell may hold it, and as many words as one may have."""
        groups = self.thousands.join(["1", *["234"] * MOST_GROUPS]) if self.thousands else "1"
        minus = _MINUS if self.long_minus else ""
        cell = f"{minus}- {self.before} {groups}{self.decimal}5 {self.after}"
        return f"({cell})" if self.parentheses else cell

    @property
    def most_words(self) -> int:
        """Into how many words blanks cut the fullest cell, once what is removed is gone."""
        cell = self.fullest
        for literal, _ in self.removed:
            cell = cell.replace(literal, "")
        return len([word for word in cell.split(" ") if word])

    def said(self) -> str:
        """The style in words."""
        names = {",": "a comma", ".": "a point", "'": "an apostrophe", "\u2019": "an apostrophe"}
        words = ["a decimal comma"] if self.decimal == "," else []
        if self.thousands:
            words.append(f"{names.get(self.thousands, 'a blank')} between thousands")
        words += [f"`{mark}`" for mark in (self.before, self.after) if mark]
        words += ["parentheses for a minus"] if self.parentheses else []
        words += ["a long minus"] if self.long_minus else []
        return ", ".join(words)


PLAIN = NumberStyle()


def read_numbers(cells: pl.Series, style: NumberStyle) -> np.ndarray:
    """[rows] float64 of the cells of this style, NaN elsewhere."""
    return by_chunks(cells, lambda part: _read(part, style))


def by_chunks(cells: pl.Series, read: Callable[[pl.Series], np.ndarray]) -> np.ndarray:
    """[rows] float64 as `read` reads them, some at a time: the strings on the way take a multiple of the numbers."""
    values = np.empty(len(cells))
    for start in range(0, len(cells), CHUNK_ROWS):
        values[start : start + CHUNK_ROWS] = read(cells.slice(start, CHUNK_ROWS))
    return values


def looks_written(cells: pl.Series) -> pl.Series:
    """Which of the trimmed cells could be numbers of some style, [rows] bool."""
    return cells.str.contains(whole(_ANY))


def find_style(cells: pl.Series, *, comma: bool) -> tuple[NumberStyle, str]:
    """The style that reads most of these trimmed cells, and what is to be said where another one reads as many.

    `comma` says that in doubt a comma is a decimal comma, as in files whose delimiter is a semicolon.
    """
    sample = spread(cells, _SAMPLE)
    parts = pl.DataFrame({"cell": sample}).select(pl.col("cell").str.extract_groups(whole(_ANY))).to_series()
    before, digits, after = (parts.struct.field(name).drop_nulls() for name in parts.struct.fields[:3])
    owed, long_minus = bool(sample.str.contains(r"\A\(").any()), bool(sample.str.contains(_MINUS, literal=True).any())
    found = Counter(digits.str.replace_all("[0-9]", "").str.join("").to_list() if len(digits) else [""])
    seen = "".join(found)
    thousands = ["", *(mark for mark in _THOUSANDS if mark in seen)]
    styles = [
        NumberStyle(decimal, mark, _commonest(before), _commonest(after), owed, long_minus)
        for decimal, mark in product(".,", thousands)
        if decimal != mark and (decimal == "." or mark == "." or "," in seen)
    ]
    reads = [int(sample.str.contains(whole(style.pattern)).sum()) for style in styles]
    best = [style for style, count in zip(styles, reads, strict=True) if count == max(reads)]
    best.sort(key=lambda style: (style.decimal == ",", style.thousands not in {"", ","}, style.thousands))
    commas = [style for style in best if style.decimal == "," and not style.thousands]
    if best[0].thousands != "," or not commas:
        return best[0], ""
    # "1,234" in every cell with a comma: other whole numbers tell what it is.
    if sample.str.contains(r"\A[+-]?[0-9]{4}").any():
        return commas[0], ""
    if sample.str.contains(r"\A[+-]?[0-9]{1,3}\z").any():
        return best[0], ""
    example = next((cell for cell in sample if "," in cell), "1,234")
    what = "a decimal comma" if comma else "a comma between thousands"
    return commas[0] if comma else best[0], f"nothing says what the comma of {example!r} is; {what} is assumed"


def spread(cells: pl.Series, most: int) -> pl.Series:
    """At most `most` cells: the first half of them from the start, the others from all over the rest."""
    if len(cells) <= most:
        return cells
    half = most // 2
    return pl.concat([cells.head(half), cells.slice(half).gather_every((len(cells) - half) // half + 1)])


def _read(cells: pl.Series, style: NumberStyle) -> np.ndarray:
    cell = pl.col("cell")
    text = pl.when(cell.str.contains(whole(style.pattern))).then(cell.str.strip_chars(SPACE)).otherwise(None)
    for literal, _ in style.removed:
        text = text.str.replace_all(literal, "", literal=True)
    if not style.is_plain:
        text = text.str.replace_all(" ", "", literal=True)
    if style.decimal != ".":
        text = text.str.replace_all(style.decimal, ".", literal=True)
    value = text.cast(pl.Float64)
    if style.negated:
        value = pl.when(cell.str.contains(whole(style.negated))).then(-value).otherwise(value)
    return pl.DataFrame({"cell": cells}).select(value.fill_null(np.nan)).to_series().to_numpy()


def _commonest(marks: pl.Series) -> str:
    counts = Counter(mark for mark in marks.to_list() if mark)
    return counts.most_common(1)[0][0] if counts else ""

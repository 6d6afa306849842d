"""Numbers as people write them: a decimal comma, thousands, a currency, a unit, parentheses for what is owed.

A column has one style, found on a sample and verified on every cell. What a style leaves out of a cell (`removed`) is
listed, not programmed: the reader here and the graph (`graph_numbers.py`) take the same literals away in the same order
and so read any cell alike.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice, product

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
CURRENCIES = (*_SYMBOLS, *_CODES)
# What multiplies a number. The first three do so wherever some numbers lack them; the others could be units too.
_SCALES = {"k": 1e3, "K": 1e3, "M": 1e6, "m": 1e6, "mn": 1e6, "Mio": 1e6, "Mio.": 1e6, "B": 1e9, "b": 1e9, "bn": 1e9}
_SURE_SCALES = ("k", "K", "M")
_BEFORE = "|".join(re.escape(mark) for mark in sorted(CURRENCIES, key=len, reverse=True))
_DIGITS = r"[0-9](?:[0-9.,'\u2019 \u00a0\u202f]*[0-9.,])?|[.,][0-9]+"
_UNIT = r"[^0-9\s.,()'+\-][^\s()]{0,9}"
_SIGN = rf"[+\-{_MINUS}]?"
_ANY = rf"\(? ?{_SIGN} ?({_BEFORE})? ?{_SIGN}({_DIGITS})(?:[eE][+-]?[0-9]{{1,3}})?-? ?({_UNIT})?\)?"
_SAMPLE = 10_000
# What can only be a decimal comma, or point: not three digits behind it, or no group of thousands in front.
_PROOF = (
    r"\A[^0-9.,\[{{]{{0,6}}(?:[0-9][0-9 {other}'\u2019\u00a0\u202f]*{mark}(?:[0-9]{{1,2}}|[0-9]{{4,}})"
    r"|(?:0|[0-9]{{4,}}){mark}[0-9]+)(?:[^0-9.,].{{0,9}})?\z"
)
_PROVING_COLUMNS, _PROVING_SHARE = 1_000, 0.1
PROVING_ROWS = 200
_GROUPED = r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+"
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
    minus_behind: bool = False
    """Whether 5- is minus 5, as in the files of accounting software."""
    scales: str = ""
    """What may stand behind a number and multiply it, with blanks between: K in 1.2K."""

    @property
    def is_plain(self) -> bool:
        """Whether the cells are numbers as programs write them."""
        return self == PLAIN

    @property
    def pattern(self) -> str:
        """What a cell of this style looks like, blanks around it included; for RE2 and Polars alike."""
        if self.is_plain:
            return padded(NUMBER)
        dot, sign = f"[{self.decimal}]", f"[+{_MINUS if self.long_minus else ''}{'' if self.minus_behind else '-'}]"
        digits = "[0-9]{1,100}"
        if self.thousands:
            # A group never starts with 0: 0,123 has a decimal comma.
            digits = rf"(?:[1-9][0-9]{{0,2}}(?:[{self.thousands}][0-9]{{3}}){{1,{MOST_GROUPS}}}|{digits})"
        core = rf"(?:{digits}(?:{dot}[0-9]{{0,100}})?|{dot}[0-9]{{1,100}})"
        if not (self.before or self.after or self.thousands or self.minus_behind or self.scales):
            core += "(?:[eE][+-]?0{0,2}[0-9]{1,2})?"
        core += "-?" if self.minus_behind else ""
        before = rf"(?:{re.escape(self.before)} ?)?" if self.before else ""
        marks = [re.escape(mark) for mark in (self.after, *self.scales.split()) if mark]
        behind = rf"(?: ?(?:{'|'.join(marks)}))?" if marks else ""
        written = rf"(?:{sign} ?{before}|{before}{sign}?){core}{behind}"
        if self.parentheses:
            written = rf"(?:{written}|\({before}{core}{behind}\))"
        return rf" *{written} *"

    @property
    def removed(self) -> tuple[tuple[str, int], ...]:
        """The literals that are no part of the number itself, each with how often a cell may hold it, in order."""
        marks = [(mark, 1) for mark in (self.before, self.after, *self.scales.split()) if mark]
        marks += [("(", 1), (")", 1)] if self.parentheses else []
        marks += [(_MINUS, 1)] if self.long_minus else []
        marks += [("-", 1)] if self.minus_behind else []
        return (*marks, *([(self.thousands, MOST_GROUPS)] if self.thousands.strip(" ") else []))

    @property
    def negated(self) -> str:
        """The pattern of a cell whose minus is among what is removed; '' where there is none."""
        marks = ("(" if self.parentheses else "") + (_MINUS if self.long_minus else "")
        marks += "-" if self.minus_behind else ""
        return rf"(?s:.*)[{marks}](?s:.*)" if marks else ""

    @property
    def multiplied(self) -> tuple[tuple[str, float], ...]:
        """The patterns of the cells whose number is multiplied, and by what."""
        return tuple((rf"(?s:.*)[0-9.,]-? ?{re.escape(mark)}[ )]*", _SCALES[mark]) for mark in self.scales.split())

    @property
    def fullest(self) -> str:
        """A cell with each literal as often as a cell may hold it, and as many words as one may have."""
        groups = self.thousands.join(["1", *["234"] * MOST_GROUPS]) if self.thousands else "1"
        minus = _MINUS if self.long_minus else ""
        cell = f"{minus}- {self.before} {groups}{self.decimal}5 {self.after} {self.scales}"
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
        words += [f"`{mark}` for {_SCALES[mark]:,.0f}" for mark in self.scales.split()]
        words += ["parentheses for a minus"] if self.parentheses else []
        words += ["a long minus"] if self.long_minus else []
        words += ["a minus behind"] if self.minus_behind else []
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


def has_decimal_commas(columns: Iterable[pl.Series], *, delimiter: str) -> bool:
    """Whether a comma is a decimal comma, and a point stands between thousands, where the cells leave it open.

    `columns` are the first rows of a table: most of its columns that are written with either tell; where none is, a
    semicolon as the delimiter does.
    """
    comma, point = (_PROOF.format(mark=mark, other=other) for mark, other in ((",", "."), (r"\.", ",")))
    votes = 0
    for column in islice(columns, _PROVING_COLUMNS):
        cells = column.str.strip_chars(SPACE)
        least = max(1.0, _PROVING_SHARE * int((cells != "").sum()))
        votes += int(cells.str.contains(comma).sum() >= least) - int(cells.str.contains(point).sum() >= least)
    return votes > 0 or (votes == 0 and delimiter == ";")


def may_be_grouped(cells: pl.Series) -> bool:
    """Whether the points of these plain numbers may stand between thousands: 1.200 and 950, but not 0.950 or 1.25."""
    sample = spread(cells, 1_000)
    pointed = sample.filter(sample.str.contains(".", literal=True))
    return len(pointed) > 0 and bool(pointed.str.contains(whole(_GROUPED)).all())


def find_style(cells: pl.Series, *, comma: bool) -> tuple[NumberStyle, str]:
    """The style that reads most of these trimmed cells, and what is to be said where another one reads as many.

    `comma` says that in doubt a comma is a decimal comma, and a point stands between thousands.
    """
    sample = spread(cells, _SAMPLE)
    parts = pl.DataFrame({"cell": sample}).select(pl.col("cell").str.extract_groups(whole(_ANY))).to_series()
    before, digits, after = (parts.struct.field(name) for name in parts.struct.fields[:3])
    before, after = _marks_of_one(before, after)
    digits = digits.drop_nulls()
    owed, long_minus = bool(sample.str.contains(r"\A\(").any()), bool(sample.str.contains(_MINUS, literal=True).any())
    behind = bool(sample.str.contains(r"[0-9]-(?: |\z)").any()) and not sample.str.contains(r"\A[^0-9]*-").any()
    found = Counter(digits.str.replace_all("[0-9]", "").str.join("").to_list() if len(digits) else [""])
    seen = "".join(found)
    thousands = ["", *(mark for mark in _THOUSANDS if mark in seen)]
    scales, unit = _scales(after, len(digits)), _commonest(after)
    unit = "" if unit in scales.split() else unit
    styles = [
        NumberStyle(decimal, mark, _commonest(before), unit, owed, long_minus, behind, scales)
        for decimal, mark in product(".,", thousands)
        if decimal != mark and (decimal == "." or mark == "." or "," in seen)
    ]
    reads = [int(sample.str.contains(whole(style.pattern)).sum()) for style in styles]
    best = [style for style, count in zip(styles, reads, strict=True) if count == max(reads)]
    best.sort(key=lambda style: (style.decimal == ",", style.thousands not in {"", ","}, style.thousands))
    commas = [style for style in best if style.decimal == "," and not style.thousands]
    if best[0].thousands == "," and commas:
        return _decided(sample, ",", grouped=best[0], decimal=commas[0], comma=comma)
    points = [style for style in best if style.thousands == "."]
    if best[0].decimal == "." and not best[0].thousands and points:
        return _decided(sample, ".", grouped=points[0], decimal=best[0], comma=comma)
    return best[0], ""


def spread(cells: pl.Series, most: int) -> pl.Series:
    """At most `most` cells: the first half of them from the start, the others from all over the rest."""
    if len(cells) <= most:
        return cells
    half = most // 2
    return pl.concat([cells.head(half), cells.slice(half).gather_every((len(cells) - half) // half + 1)])


def _decided(
    sample: pl.Series, mark: str, *, grouped: NumberStyle, decimal: NumberStyle, comma: bool
) -> tuple[NumberStyle, str]:
    """What the mark is in cells such as 1,234 or 1.234, and what is to be said of it."""
    # Other whole numbers tell: 9500 was written without a mark, and a mark that begins at 1,000 leaves 950 alone.
    if sample.str.contains(r"\A[^0-9]*[0-9]{4}").any():
        return decimal, ""
    short = bool(sample.str.contains(r"\A[^0-9]*[0-9]{1,3}[^0-9.,]*\z").any())
    if mark == "," and short:
        return grouped, ""
    if mark == "." and not comma:
        return decimal, ""  # as programs write numbers
    example = next((cell for cell in sample if mark in cell), f"1{mark}234")
    name, is_decimal = ("comma", comma) if mark == "," else ("point", False)
    what = f"a decimal {name}" if is_decimal else f"a {name} between thousands"
    return decimal if is_decimal else grouped, f"nothing says what the {name} of {example!r} is; {what} is assumed"


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
    for pattern, factor in style.multiplied:
        value = pl.when(cell.str.contains(whole(pattern))).then(value * factor).otherwise(value)
    if style.negated:
        value = pl.when(cell.str.contains(whole(style.negated))).then(-value).otherwise(value)
    return pl.DataFrame({"cell": cells}).select(value.fill_null(np.nan)).to_series().to_numpy()


def _scales(marks: pl.Series, numbers: int) -> str:
    """Which of the marks behind so many numbers multiply them: several, or a sure one where some numbers have none."""
    met = Counter(mark for mark in marks.to_list() if mark)
    if met.keys() - _SCALES.keys():  # a unit, or several
        return ""
    if len({_SCALES[mark] for mark in met}) < 2 and not (met.keys() & set(_SURE_SCALES) and met.total() < numbers):
        return ""
    return " ".join(sorted(met, key=lambda mark: (-len(mark), _SCALES[mark], mark)))


def _marks_of_one(before: pl.Series, after: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The marks in front and behind. $5 and 5% are two quantities: where no cell has both, the rarer mark is none."""
    one, other = before.drop_nulls(), after.drop_nulls()
    if not len(one) or not len(other) or bool((before.is_not_null() & after.is_not_null()).any()):
        return one, other
    if _commonest(one) == _commonest(other) or set(other.to_list()) <= _SCALES.keys():
        return one, other
    return (one, other.clear()) if len(one) >= len(other) else (one.clear(), other)


def _commonest(marks: pl.Series) -> str:
    counts = Counter(mark for mark in marks.to_list() if mark)
    return counts.most_common(1)[0][0] if counts else ""

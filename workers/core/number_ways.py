"""Numbers that a column writes in several ways: amounts in two currencies, kg beside g, decimal commas beside points.

No single style reads most of them, so they are no feature; what is said of them tells the ways and what to do.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from workers.core.numbers import CURRENCIES, NumberStyle, find_style, looks_written, spread
from workers.core.words import NUMBER, whole

_MOST_WAYS, _LEAST_SHARE, _LEAST_DIFFERENT = 4, 0.05, 20
# 12a and 7XL name something; 1.2kg and 340 g measure.
_WORDED, _CODED, _MOST_CODED = r"[0-9] ?[^\W\d_]", r"[0-9]+[^\W\d_]\S*", 0.9


@dataclass(frozen=True)
class Way:
    """One of the ways in which numbers are written."""

    style: NumberStyle
    count: int
    """How many cells it reads that no way before it does."""
    example: str


def find_ways(cells: pl.Series, counts: np.ndarray) -> list[Way]:
    """The ways in which these numbers are written, each different cell once and [cells] int64 times; none where it is a
    single way, or where they are words that begin with a digit.
    """
    if len(cells) < _LEAST_DIFFERENT or not _are_numbers(spread(cells, 1_000)):
        return []
    ways, total = list[Way](), int(counts.sum())
    few = _LEAST_SHARE * total
    while counts.sum() > few:
        style, _ = find_style(cells, comma=False)
        read = cells.str.contains(whole(style.pattern))
        count = int(counts[read.to_numpy()].sum())
        if count < few or len(ways) == _MOST_WAYS or re.search("[0-9]", style.after):
            return []
        ways.append(Way(style, count, _example(cells.filter(read), style)))
        cells, counts = cells.filter(~read), counts[~read.to_numpy()]
    return ways if len(ways) > 1 else []


def said_of(ways: Sequence[Way], total: int, row_of: Callable[[str], int] | None = None) -> str:
    """The ways in words, with why they are not read and what to do, to be said of numbers. `row_of` finds a cell."""
    shown = "; ".join(
        f"{way.count}{f' of {total}' if k == 0 else ''} {_written(way.style)}, such as {way.example!r}"
        + (f" in row {row_of(way.example)}" if row_of else "")
        for k, way in enumerate(ways)
    )
    return f"written in several ways ({shown}), {_advice(ways)}"


def _are_numbers(cells: pl.Series) -> bool:
    """Whether these cells are numbers of some style each, and no codes such as 12a."""
    if int(looks_written(cells).sum()) < (1 - _LEAST_SHARE) * len(cells):
        return False
    worded, coded = (int(cells.str.contains(pattern).sum()) for pattern in (_WORDED, whole(_CODED)))
    return not coded or coded < _MOST_CODED * worded


def _example(cells: pl.Series, style: NumberStyle) -> str:
    """The first cell that shows the style: 12 is read with a decimal comma too."""
    shown = cells if style.is_plain else cells.filter(~cells.str.contains(whole(NUMBER)))
    return str((shown if len(shown) else cells)[0])


def _written(style: NumberStyle) -> str:
    return f"with {style.said()}" if style.said() else "as programs write them"


def _advice(ways: Sequence[Way]) -> str:
    marks = {frozenset((way.style.before, way.style.after)) - {""} for way in ways} - {frozenset[str]()}
    if len(marks) < 2:
        return "and what a comma or a point means differs between them; write them one way"
    if all(mark <= set(CURRENCIES) for mark in marks):
        return "and amounts in different currencies are no single quantity; convert them to one currency"
    return "and numbers in different units are no single quantity; convert them to one unit"

"""Rows that fit the columns beside theirs much better than their own: cells that moved, whatever they hold.

For each pair of neighbours the cells of both are sorted into common bins: quantiles of their numbers, frequent words,
and the shapes of other words. How often the cells of each column fall into a bin says how well a cell fits either of
them, and the logarithm of the ratio, summed over the columns that would have moved (a naive Bayes likelihood ratio),
how much better a row fits as moved. Which columns that are is what fits best. Rows are judged one by one, against all
rows; and block by block, against an earlier block, because of a file whose second half moved each column holds the
cells of two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from workers.core.numbers import PLAIN, NumberStyle, read_numbers
from workers.core.table import Table
from workers.core.words import MISSING_WORDS, SPACE

LOOKED_AT = 200_000
"""Cells that are looked at, in pieces from all over a larger table."""
_MOST_ROWS, _PIECES, _MOST_COLUMNS = 10_000, 20, 200
_LEAST_ROWS = 50
_LEAST_BINS, _MOST_BINS, _BIN_ROWS, _WORDS, _MOST_POWER = 8, 24, 25, 40, 40
_MOST_SAID = 5.0  # by one cell: what is learnt from some rows knows no larger ratio than about e^5
# Single rows: the sum of ratios beyond what chance makes of so many cells, and how many cells have to be odd.
_ROW_MARGIN, _ODD, _LEAST_ODD = 1.0, 2.0, 3
# Blocks: how many and how long, and how many rows above and below the change are looked at once more.
_LEAST_BLOCKS, _MOST_BLOCKS, _BLOCK_ROWS, _SHARP_ROWS, _LEAST_SHARP = 3, 12, 60, 40, 10
# By how much better, a row, all columns have to fit as moved; from which gain on two columns are enough, else three.
_BLOCK_GAIN, _SURE_GAIN, _LEAST_FITTING, _FEWEST_FITTING = 1.0, 10.0, 3, 2
# One column: its gain; by how much worse than that column's own its cells may fit; how many fit for each that does not.
_COLUMN_GAIN, _MISFIT, _FITTING_TO_ONE = 0.3, 1.0, 2


@dataclass(frozen=True)
class Moved:
    """Rows whose cells fit the columns beside theirs."""

    rows: np.ndarray
    """[n] their numbers, from 0, ascending."""
    columns: tuple[str, str]
    """A column that shows it, and the one that its cells fit."""
    cell: str
    """What the first of the rows holds in the former."""
    in_block: bool
    """Whether they stand one below the other; then either they or the other rows may be the wrong ones."""


@dataclass(frozen=True)
class _Pair:
    """The cells of a column and of the one that they may have come from, in common bins."""

    own: np.ndarray
    """[rows] the bin of each cell of the column."""
    other: np.ndarray
    """[rows] the bin of each cell of the other."""
    bins: int

    def ratios(self, rows: slice) -> np.ndarray:
        """[bins] how much better a cell of the bin fits the other column, as `rows` tell: the logarithm."""
        ratio: np.ndarray = np.log(_shares(self.other[rows], self.bins)) - np.log(_shares(self.own[rows], self.bins))
        return ratio.clip(-_MOST_SAID, _MOST_SAID)

    def gain(self, before: slice, after: slice) -> tuple[float, bool]:
        """By how much the cells of `after` fit the other column better than their own, in the mean of its rows, and
        whether they do, and fit it about as well as its own cells.
        """
        own, other = _shares(self.own[before], self.bins), _shares(self.other[before], self.bins)
        met = np.bincount(self.own[after], minlength=self.bins) / (after.stop - after.start)
        usual, fit = float((other * np.log(other)).sum()), float((met * np.log(other)).sum())
        gain = fit - float((met * np.log(own)).sum())
        least = _COLUMN_GAIN + 0.5 * self.bins / (before.stop - before.start)  # what chance makes of so many bins
        return gain, gain >= least and fit >= usual - _MISFIT


def find_moved(table: Table, styles: Sequence[NumberStyle]) -> Moved | None:
    """Rows whose cells moved by one column, the clearest such; `styles` are those of the table's numbers."""
    names = list(table.names[:_MOST_COLUMNS])
    if table.height < _LEAST_ROWS or len(names) < 2:
        return None
    pieces = _pieces(table.height, min(_MOST_ROWS, LOOKED_AT // len(names)))
    frame = pl.concat([table.piece(start, rows, names) for start, rows in pieces])
    numbers = np.concatenate([np.arange(start, start + rows) for start, rows in pieces])
    cells = _Cells(frame, styles)
    best: tuple[bool, float, Moved] | None = None
    for side in (-1, 1):
        beside = [(k + side) % len(names) for k in range(len(names))]
        fine, coarse = ([cells.pair(k, j, coarse=c) for k, j in enumerate(beside)] for c in (False, True))
        for in_block, judged in ((True, _by_block(fine)), (True, _by_block(coarse)), (False, _by_row(fine))):
            if judged is None or (best and (in_block, judged[0]) <= best[:2]):
                continue
            score, rows, k = judged
            shown = (names[k], names[beside[k]])
            best = in_block, score, Moved(numbers[rows], shown, str(frame[names[k]][int(rows[0])]), in_block)
    return best[2] if best else None


def _pieces(height: int, most: int) -> list[tuple[int, int]]:
    """First row and number of rows of the pieces of a table that are looked at, `most` rows in all."""
    if height <= most:
        return [(0, height)]
    rows = most // _PIECES
    return [(int(start), rows) for start in np.linspace(0, height - rows, _PIECES)]


class _Cells:
    """The cells of some rows as numbers, words and shapes of words."""

    def __init__(self, frame: pl.DataFrame, styles: Sequence[NumberStyle]) -> None:
        styles = list(dict.fromkeys([PLAIN, *styles]))
        self._numbers, self._words, self._shapes = list[np.ndarray](), list[pl.Series](), list[pl.Series]()
        for cells in frame.iter_columns():
            text = cells.str.strip_chars(SPACE)
            text = text.set(text.is_in(MISSING_WORDS), "").alias("cell")
            values = read_numbers(text, PLAIN)
            for style in styles[1:]:
                if not np.isnan(values[(text != "").to_numpy()]).any():
                    break
                values = np.where(np.isnan(values), read_numbers(text, style), values)
            self._numbers.append(values)
            self._words.append(text)
            self._shapes.append(text.str.replace_all("[0-9]+", "9").str.replace_all(r"\pL+", "a").str.head(12))

    def pair(self, k: int, other: int, *, coarse: bool) -> _Pair:
        """The cells of column `k` and of the column `other` in common bins; coarse ones also hold what has drifted."""
        rows = len(self._words[k])
        values = np.concatenate([self._numbers[k], self._numbers[other]])
        count = min(_MOST_BINS, max(_LEAST_BINS, rows // _BIN_ROWS))
        bins = _magnitudes(values) if coarse else _quantiles(values, count)
        is_word = np.isnan(values)
        if is_word.any():
            shapes = pl.concat([self._shapes[k], self._shapes[other]]).filter(pl.Series(is_word))
            words = pl.concat([self._words[k], self._words[other]]).filter(pl.Series(is_word))
            shown = shapes if coarse else _frequent_or(words, shapes)
            bins[is_word] = bins.max(initial=0) + shown.rank("dense").to_numpy().astype(np.int64)
        return _Pair(bins[:rows], bins[rows:], int(bins.max(initial=0)) + 1)


def _quantiles(values: np.ndarray, count: int) -> np.ndarray:
    """[n] the bins of numbers, each with about as many of them; 0 where it is NaN."""
    known = np.sort(values[np.isfinite(values)])
    edges = np.unique(known[np.linspace(0, len(known) - 1, count + 1).astype(np.int64)[1:]]) if len(known) else known
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="left"))


def _magnitudes(values: np.ndarray) -> np.ndarray:
    """[n] bins of numbers of one sign and one power of two; 0 where it is NaN."""
    power = np.clip(np.frexp(np.nan_to_num(values))[1], -_MOST_POWER, _MOST_POWER) + _MOST_POWER + 1
    _, bins = np.unique(np.where(values < 0, -power, power), return_inverse=True)
    return bins.astype(np.int64)


def _frequent_or(words: pl.Series, shapes: pl.Series) -> pl.Series:
    """The frequent words by themselves, the others by their shape."""
    frequent = words.value_counts(sort=True, name="rows").filter(pl.col("rows") > 1).head(_WORDS)["cell"]
    frame = pl.DataFrame({"word": words, "shape": shapes})
    known = pl.col("word").is_in(frequent.implode())
    return frame.select(pl.when(known).then("=" + pl.col("word")).otherwise("shape")).to_series()


def _by_block(pairs: Sequence[_Pair]) -> tuple[float, np.ndarray, int] | None:
    """Score, rows, the column that shows it best: rows one below the other that moved against an earlier part."""
    rows = len(pairs[0].own)
    count = min(_MOST_BLOCKS, max(_LEAST_BLOCKS, rows // _BLOCK_ROWS))
    ends = np.linspace(0, rows, count + 1).astype(np.int64).tolist()
    blocks = [slice(start, end) for start, end in pairwise(ends)]
    best: tuple[float, slice, int, int] | None = None
    for b, before in enumerate(blocks):
        for after in blocks[b + 1 : b + 3]:
            gain, first, shown = _gain(pairs, before, after)
            if gain > (best[0] if best else 0.0):
                best = (gain, before, first, shown)
    if best is None:
        return None
    gain, before, first, shown = best
    scores = np.stack([pair.ratios(before)[pair.own] for pair in pairs[first:]]).sum(axis=0)
    start, end = (int(place[0]) for place in _best_runs(scores[None])[:2])
    # Cells move from one row to the next. What grows slowly may come to look like the column beside it, too.
    sharp = min(_SHARP_ROWS, rows // _LEAST_BLOCKS)
    above = slice(max(0, start - sharp), start) if start else slice(end, min(rows, end + sharp))
    below = slice(start, min(end, start + sharp)) if start else slice(max(start, end - sharp), end)
    if min(above.stop - above.start, below.stop - below.start) < _LEAST_SHARP or not _gain(pairs, above, below)[0]:
        return None
    return gain, np.arange(start, end), shown


def _gain(pairs: Sequence[_Pair], before: slice, after: slice) -> tuple[float, int, int]:
    """By how much the rows `after` fit as moved better, 0 where they do not or that proves nothing; the first column
    that moved, and the one that shows it best.
    """
    judged = [pair.gain(before, after) for pair in pairs]
    gains, fits = np.array([gain for gain, _ in judged]), np.array([fit for _, fit in judged])
    first = int(np.argmax(np.cumsum(gains[::-1])[::-1]))  # the columns from there on have the largest sum
    total, fitting = float(gains[first:].sum()), int(fits[first:].sum())
    against = int((~fits[first:] & (np.abs(gains[first:]) >= _COLUMN_GAIN)).sum())
    least = _FEWEST_FITTING if total >= _SURE_GAIN or len(pairs) <= _LEAST_FITTING else _LEAST_FITTING
    proved = fitting >= least and fitting >= _FITTING_TO_ONE * against
    shown = first + int(np.argmax(np.where(fits, gains, -np.inf)[first:]))
    return (total if proved and total >= _BLOCK_GAIN else 0.0), first, shown


def _by_row(pairs: Sequence[_Pair]) -> tuple[float, np.ndarray, int] | None:
    """As `_by_block`, of single rows."""
    everything = slice(0, len(pairs[0].own))
    ratios = np.stack([pair.ratios(everything)[pair.own] for pair in pairs], axis=1)  # [rows, columns]
    first, last, total = _best_runs(ratios)
    place = np.arange(ratios.shape[1])[None]
    moved = np.where((place >= first[:, None]) & (place < last[:, None]), ratios, 0.0)
    least = np.log(ratios.size) + np.log(ratios.shape[1]) + _ROW_MARGIN
    odd = (total >= least) & ((moved >= _ODD).sum(axis=1) >= min(_LEAST_ODD, ratios.shape[1]))
    if not odd.any():
        return None
    rows = np.flatnonzero(odd)
    return float(total[rows].sum()), rows, int(np.argmax(moved[rows[0]]))


def _best_runs(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each row of [rows, places] where the run of places with the largest sum starts and ends, and that sum."""
    sums = np.pad(np.cumsum(scores, axis=1), ((0, 0), (1, 0)))
    end = np.argmax(sums - np.minimum.accumulate(sums, axis=1), axis=1)
    before = np.where(np.arange(sums.shape[1])[None] <= end[:, None], sums, np.inf)
    start = np.argmin(before, axis=1)
    rows = np.arange(len(sums))
    return start, end, sums[rows, end] - sums[rows, start]


def _shares(bins: np.ndarray, count: int) -> np.ndarray:
    """[count] the share of the cells in each bin, as if each bin had held half a cell more."""
    counts = np.bincount(bins, minlength=count) + 0.5
    shares: np.ndarray = counts / counts.sum()
    return shares

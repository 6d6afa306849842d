"""The cells of neighbouring columns in common bins, which tell how well a cell fits either of them.

Quantiles of the numbers of both columns, frequent words, and the shapes of other words. A missing cell fits everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from workers.core.numbers import PLAIN, NumberStyle, read_numbers
from workers.core.words import MISSING_WORDS, SPACE

COLUMN_GAIN = 0.3
"""The least by which the cells of a column fit another one better, in the mean of the logarithm."""
_LEAST_BINS, _MOST_BINS, _BIN_ROWS, _WORDS, _MOST_POWER = 8, 24, 25, 40, 40
_MOST_SAID = 5.0  # by one cell: what is learnt from some rows knows no larger ratio than about e^5
MISFIT, CLOSE, _OF_GAIN = 1.0, 0.3, 1 / 6
"""By how much less likely in the other column its cells may be than they would be by themselves: of rows one below the
other, which may be special; of others; and that share of the gain.
"""


@dataclass(frozen=True)
class Pair:
    """The cells of a column and of the one that they may have come from, in common bins; bin 0 is a missing cell."""

    own: np.ndarray
    """[rows] the bin of each cell of the column."""
    other: np.ndarray
    """[rows] the bin of each cell of the other."""
    bins: int

    def ratios(self, usual: np.ndarray) -> np.ndarray:
        """[rows] how much better each cell of the column fits the other one, as the rows `usual` (a mask) tell: the
        logarithm.
        """
        ratio: np.ndarray = np.log(_shares(self.other[usual], self.bins)) - np.log(_shares(self.own[usual], self.bins))
        said: np.ndarray = ratio.clip(-_MOST_SAID, _MOST_SAID)[self.own]
        return said

    def gain(self, usual: np.ndarray, moved: np.ndarray, misfit: float) -> tuple[float, bool]:
        """By how much the cells of the rows `moved` fit the other column better than their own, in the mean of the
        rows, and whether they do, and look about like its own cells. Both are masks of rows, or their numbers.
        """
        own, other = _shares(self.own[usual], self.bins), _shares(self.other[usual], self.bins)
        met = np.bincount(self.own[moved], minlength=self.bins).astype(float)
        rows, met[0] = met.sum(), 0.0
        known = met.sum()
        if not known:
            return 0.0, False
        gain = float((met * (np.log(other) - np.log(own))).sum() / rows)
        met /= known
        fit = float((met * np.log(other)).sum())
        spread = float((met * np.log(np.maximum(met, 1e-12))).sum())
        usual_fit = float((other * np.log(other)).sum())
        # What chance makes of so many bins.
        least = COLUMN_GAIN + 0.5 * self.bins / len(self.own[usual])
        is_alike = fit >= usual_fit - MISFIT and spread - fit <= max(misfit, _OF_GAIN * gain) + self.bins / known
        return gain, gain >= least and is_alike


class Cells:
    """The cells of some rows as numbers, words and shapes of words."""

    def __init__(self, frame: pl.DataFrame, styles: Sequence[NumberStyle]) -> None:
        styles = list(dict.fromkeys([PLAIN, *styles]))
        self._numbers, self._words, self._shapes = list[np.ndarray](), list[pl.Series](), list[pl.Series]()
        for cells in frame.iter_columns():
            text = without_missing(cells)
            values = read_numbers(text, PLAIN)
            for style in styles[1:]:
                if not np.isnan(values[(text != "").to_numpy()]).any():
                    break
                values = np.where(np.isnan(values), read_numbers(text, style), values)
            self._numbers.append(values)
            self._words.append(text)
            self._shapes.append(text.str.replace_all("[0-9]+", "9").str.replace_all(r"\pL+", "a").str.head(12))

    def missing(self, k: int) -> np.ndarray:
        """[rows] bool: where column `k` has no cell."""
        return (self._words[k] == "").to_numpy()

    def pair(self, k: int, other: int, *, coarse: bool) -> Pair:
        """The cells of column `k` and of the column `other` in common bins; coarse ones also hold what has drifted."""
        rows = len(self._words[k])
        values = np.concatenate([self._numbers[k], self._numbers[other]])
        words = pl.concat([self._words[k], self._words[other]])
        count = min(_MOST_BINS, max(_LEAST_BINS, rows // _BIN_ROWS))
        bins = 1 + (_magnitudes(values) if coarse else _quantiles(values, count))
        is_missing = (words == "").to_numpy()
        is_word = np.isnan(values) & ~is_missing
        if is_word.any():
            shapes = pl.concat([self._shapes[k], self._shapes[other]]).filter(pl.Series(is_word))
            shown = shapes if coarse else _frequent_or(words.filter(pl.Series(is_word)), shapes)
            bins[is_word] = bins.max() + shown.rank("dense").to_numpy().astype(np.int64)
        bins[is_missing] = 0
        return Pair(bins[:rows], bins[rows:], int(bins.max(initial=0)) + 1)


def without_missing(cells: pl.Series) -> pl.Series:
    """The cells without blanks around them, '' where one is missing."""
    text = cells.str.strip_chars(SPACE)
    return text.set(text.is_in(MISSING_WORDS), "").alias("cell")


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


def _shares(bins: np.ndarray, count: int) -> np.ndarray:
    """[count] the share of the cells in each bin, as if each bin had held half a cell more; 1 for missing ones."""
    counts = np.bincount(bins, minlength=count) + 0.5
    counts[0] = 0.0
    shares: np.ndarray = counts / max(counts.sum(), 0.5)
    shares[0] = 1.0
    return shares

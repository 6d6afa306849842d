"""Rows that fit the columns beside theirs much better than their own: cells that moved, whatever they hold.

For each pair of neighbours the cells of both are sorted into common bins (`shifted_bins.py`). How often the cells of
each column fall into a bin says how well a cell fits either of them, and the logarithm of the ratio, summed over the
columns that would have moved (a naive Bayes likelihood ratio), how much better a row fits as moved. Rows are judged in
three ways. Those whose first or last cell is missing, which a shift leaves behind, against all others: as few of them
as fit, or the most. Each row against all rows, then against those that nothing speaks against. And block by block,
against the blocks near it, because of a file whose second half moved each column holds the cells of two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise, permutations

import numpy as np
import polars as pl

from workers.core.numbers import NumberStyle
from workers.core.shifted_bins import CLOSE, COLUMN_GAIN, MISFIT, Cells, Pair, without_missing
from workers.core.table import Table

LOOKED_AT = 200_000
"""Cells that are looked at, in pieces from all over a larger table."""
_MOST_ROWS, _PIECES, _MOST_COLUMNS = 50_000, 20, 200
_LEAST_ROWS, _LEAST_USUAL, _LEAST_MOVED, _ROUNDS = 50, 20, 3, 4
_LEAST_SHARE = 4  # of the table, one in so many rows, from which all is learnt
# Single rows: the sum of ratios beyond what chance makes of so many cells, and how many cells have to be odd.
_ROW_MARGIN, _ODD, _LEAST_ODD = 1.0, 2.0, 3
# Blocks: how many and how long, and how many rows above and below the change are looked at once more.
_LEAST_BLOCKS, _MOST_BLOCKS, _BLOCK_ROWS, _SHARP_ROWS, _LEAST_SHARP = 3, 12, 60, 40, 10
# By how much better, a row, all columns have to fit as moved; from which gain on two columns are enough, else three;
# and how many have to fit for each that does not.
_GAIN, _SURE_GAIN, _LEAST_FITTING, _FEWEST_FITTING, _FITTING_TO_ONE = 1.0, 10.0, 3, 2, 2
# Rows stand one below the other where they are so many and so dense; so many of a group stand for all of it.
_RUN_ROWS, _MOST_OF = 10, 0.95


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
    """Whether they stand one below the other."""
    sample: int | None
    """How many rows were looked at, where more rows of the table may have moved."""
    estimate: int
    """How many rows of the table moved: exact where there is no sample."""


class _Way(IntEnum):
    """What shows that rows moved, the surest last."""

    BLOCK = 1  # a part of the table against the parts near it
    ROW = 2  # each row by itself
    END = 3  # rows whose first or last cell is missing


@dataclass(frozen=True)
class _Claim:
    """Some of the rows that were looked at moved."""

    way: _Way
    rows: np.ndarray
    """[n] their places among those looked at, ascending."""
    score: float
    shown: int
    """The column that shows it best, of the first row."""

    def clearness(self, rows: int) -> tuple[int, int, int]:
        """What is larger of the clearer one of two claims that blame the one or the other part of `rows` rows: the
        smaller part moved, or else the later one.
        """
        return int(self.way), -round(10 * len(self.rows) / rows), int(self.rows[0])


def find_moved(table: Table, styles: Sequence[NumberStyle]) -> list[Moved]:
    """Rows whose cells moved by one column, those of either direction; `styles` are those of the table's numbers."""
    names = list(table.names)
    if len(names) > _MOST_COLUMNS:
        names = [*names[: _MOST_COLUMNS - 1], names[-1]]
    if table.height < _LEAST_ROWS or len(names) < 2:
        return []
    numbers = _looked_at(table, names)
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    frame = pl.concat([table.piece(int(run[0]), len(run), names) for run in runs])
    cells = Cells(frame, styles)
    first, last = cells.missing(0), cells.missing(len(names) - 1)
    claims: dict[int, _Claim] = {}
    for side, end, other_end in ((-1, first, last), (1, last, first)):
        beside = [(k + side) % len(names) for k in range(len(names))]
        fine, coarse = ([cells.pair(k, j, coarse=c) for k, j in enumerate(beside)] for c in (False, True))
        claim = _by_end(fine, end, other_end, side=side) or _by_row(fine)
        blocks = [block for block in (_by_block(pairs, other_end) for pairs in (fine, coarse)) if block]
        block = max(blocks, key=lambda block: block.score, default=None)
        if block and (claim is None or 2 * len(np.intersect1d(block.rows, claim.rows)) < len(block.rows)):
            claim = block
        if claim:
            claims[side] = claim
    if len(claims) == 2:
        claims = _compatible(claims, len(numbers))
    moved = []
    for side, claim in claims.items():
        here, there = names[claim.shown], names[(claim.shown + side) % len(names)]
        cell = str(frame[here][int(claim.rows[0])])
        end_name, is_end = (names[0], first) if side < 0 else (names[-1], last)
        rows, estimate, sample = _in_table(table, claim, numbers, end_name, is_end)
        moved.append(Moved(rows, (here, there), cell, _are_together(rows, claim.rows, sample), sample, estimate))
    return moved


def _compatible(claims: dict[int, _Claim], rows: int) -> dict[int, _Claim]:
    """Those of two claims by side, of `rows` rows, that can both be: one row does not move to both sides, and where
    most rows seem to have moved each part does so against the other, unless both lack the cells that moving takes.
    """
    surest = max(claims, key=lambda side: (claims[side].way, claims[side].score))
    other = claims[-surest]
    left = np.setdiff1d(other.rows, claims[surest].rows)
    if (other.way < claims[surest].way and other.way is _Way.BLOCK) or 2 * len(left) <= len(other.rows):
        return {surest: claims[surest]}
    if other.way is not _Way.END and 2 * (len(left) + len(claims[surest].rows)) >= rows:
        clearest = max(claims, key=lambda side: claims[side].clearness(rows))
        return {clearest: claims[clearest]}
    return {surest: claims[surest], -surest: replace(other, rows=left)}


def _looked_at(table: Table, names: Sequence[str]) -> np.ndarray:
    """The numbers of the rows that are looked at, ascending: all, or pieces from all over the table, and from where
    the first or last cell is missing.
    """
    most = min(_MOST_ROWS, LOOKED_AT // len(names))
    if table.height <= most:
        return np.arange(table.height)
    rows = most // _PIECES
    pieces = [(start, rows) for start in np.linspace(0, table.height - rows, _PIECES).astype(np.int64).tolist()]
    for name in (names[0], names[-1]):
        missing = _missing(table, name)
        shown = missing[np.linspace(0, len(missing) - 1, _PIECES).astype(np.int64)] if len(missing) else missing
        pieces += [(start, max(1, rows // 10)) for start in shown.tolist()]
    numbers = np.unique(np.concatenate([np.arange(start, start + rows) for start, rows in pieces]))
    return numbers[numbers < table.height]


def _missing(table: Table, name: str) -> np.ndarray:
    """[n] the numbers of the rows without a cell in the column."""
    return np.flatnonzero((without_missing(table.column(name)) == "").to_numpy())


def _in_table(
    table: Table, claim: _Claim, numbers: np.ndarray, end_name: str, is_end: np.ndarray
) -> tuple[np.ndarray, int, int | None]:
    """The rows of the table that moved, how many they may be, and of how many rows that is known, None for all."""
    rows = numbers[claim.rows]
    if len(numbers) == table.height:
        return rows, len(rows), None
    if claim.way is _Way.END:
        missing = _missing(table, end_name)
        share = len(rows) / int(is_end.sum())
        return (missing, len(missing), None) if share >= _MOST_OF else (rows, round(share * len(missing)), len(numbers))
    return rows, round(len(rows) / len(numbers) * table.height), len(numbers)


def _are_together(rows: np.ndarray, places: np.ndarray, sample: int | None) -> bool:
    """Whether rows stand one below the other: `rows` in the table, or `places` among the rows of a sample."""
    shown = rows if sample is None else places
    return len(shown) >= _RUN_ROWS and len(shown) >= _MOST_OF * int(shown[-1] - shown[0] + 1)


def _by_end(pairs: Sequence[Pair], end: np.ndarray, other_end: np.ndarray, *, side: int) -> _Claim | None:
    """Those of the rows `end` (a mask), whose first or last cell is missing, that moved away from there.

    What cells usually are is learnt from the other rows, without those that miss the cell at the other end, if that
    leaves enough. How many moved is not known, so it is estimated in turn with which did (expectation and
    maximisation), from one half on where they all together fit as moved, or else from one.
    """
    rows, columns = np.flatnonzero(end), len(pairs)
    usual = ~end & ~other_end
    if _LEAST_SHARE * int(usual.sum()) < len(usual):
        usual = ~end
    if not len(rows) or int(usual.sum()) < _LEAST_USUAL or columns <= _FEWEST_FITTING:
        return None
    ratios = np.stack([pair.ratios(usual)[rows] for pair in pairs], axis=1)  # [rows, columns]
    inward = ratios[:, 1:] if side < 0 else ratios[:, -2::-1]
    sums = np.cumsum(inward, axis=1)
    total = sums[:, max(1, columns // 2 - 1) :].max(axis=1)  # of half the row or more, from there on
    chance, margin = np.log(ratios.size), np.log(columns) + _ROW_MARGIN
    if _gain(pairs, usual, end)[0]:
        moved = total >= margin
    else:
        moved = (total >= chance + margin) & ((inward >= _ODD).sum(axis=1) >= _FEWEST_FITTING)
    for _ in range(_ROUNDS):
        count = int(moved.sum())
        moved = total >= np.log((len(rows) - count + 0.5) / (count + 0.5)) + margin if count else moved
    if int(moved.sum()) < _LEAST_MOVED or _are_in_doubt(moved, total > 0.0):
        return None
    if total[moved].sum() < np.log(end.size * columns) + margin:
        return None
    gain, _, shown = _gain(pairs, usual, rows[moved], CLOSE)
    return _Claim(_Way.END, rows[moved], float(total[moved].sum()), shown) if gain else None


def _are_in_doubt(moved: np.ndarray, suspected: np.ndarray) -> bool:
    """Whether most rows that may have moved are not sure to: where one thing makes many cells large or small, some
    rows look moved, and more of them a little so.
    """
    return 2 * int(moved.sum()) < int((moved | suspected).sum())


def _by_row(pairs: Sequence[Pair]) -> _Claim | None:
    """Single rows, first against all rows, then against those that nothing speaks against."""
    usual, claim = np.ones(len(pairs[0].own), dtype=bool), None
    for k in range(_ROUNDS):
        ratios = np.stack([pair.ratios(usual) for pair in pairs], axis=1)  # [rows, columns]
        first, last, total = _best_runs(ratios)
        place = np.arange(ratios.shape[1])[None]
        moved = np.where((place >= first[:, None]) & (place < last[:, None]), ratios, 0.0)
        least = np.log(ratios.size) + np.log(ratios.shape[1]) + _ROW_MARGIN
        odd = (moved >= _ODD).sum(axis=1) >= min(_LEAST_ODD, ratios.shape[1])
        suspected = odd & (total >= least / 2)
        rows = np.flatnonzero(odd & (total >= least))
        if (
            len(rows)
            and not _are_in_doubt(odd & (total >= least), suspected)
            and (k == 0 or _gain(pairs, usual, rows)[0])
        ):
            claim = _Claim(_Way.ROW, rows, float(total[rows].sum()), int(np.argmax(moved[rows[0]])))
        count = int(suspected.sum())
        if not _LEAST_USUAL <= count <= len(usual) // 2 or not _gain(pairs, ~suspected, suspected)[0]:
            break
        usual = ~suspected
    return claim


def _by_block(pairs: Sequence[Pair], other_end: np.ndarray) -> _Claim | None:
    """Rows one below the other that moved against those near them; `other_end` is a mask of the rows that miss the
    cell which the other rows would miss if those had moved instead.
    """
    rows = len(pairs[0].own)
    count = min(_MOST_BLOCKS, max(_LEAST_BLOCKS, rows // _BLOCK_ROWS))
    ends = np.linspace(0, rows, count + 1).astype(np.int64).tolist()
    blocks = [np.arange(start, end) for start, end in pairwise(ends)]
    best, near = (0.0, blocks[0], 0, 0), 2
    for (a, usual), (b, moved) in permutations(enumerate(blocks), 2):
        if abs(a - b) <= near:
            gain, first, shown = _gain(pairs, usual, moved)
            best = max(best, (gain, usual, first, shown), key=lambda found: found[0])
    gain, usual, first, shown = best
    if not gain:
        return None
    scores = np.stack([pair.ratios(usual) for pair in pairs[first:]]).sum(axis=0)
    start, stop = (int(place[0]) for place in _best_runs(scores[None])[:2])
    run = np.arange(start, stop)
    others = np.delete(np.arange(rows), run)
    if min(len(run), len(others)) < _LEAST_SHARP or not _gain(pairs, others, run)[0]:
        return None
    # Where the others moved, they are the more, or miss the cell at the other end.
    like_run = sum(len(block) for block in blocks if scores[block].mean() > 0.0)
    if 2 * max(len(run), like_run) > rows or other_end[others].mean() > other_end[run].mean() + 0.5:
        return None
    # Cells move from one row to the next. What grows slowly may come to look like the column beside it, too.
    sharp = min(_SHARP_ROWS, rows // _LEAST_BLOCKS)
    outside = np.arange(max(0, start - sharp), start) if start else np.arange(stop, min(rows, stop + sharp))
    inside = run[:sharp] if start else run[-sharp:]
    if min(len(outside), len(inside)) < _LEAST_SHARP or not _gain(pairs, outside, inside)[0]:
        return None
    return _Claim(_Way.BLOCK, run, gain, shown)


def _gain(
    pairs: Sequence[Pair], usual: np.ndarray, moved: np.ndarray, misfit: float = MISFIT
) -> tuple[float, int, int]:
    """By how much the rows `moved` fit as moved better, 0 where they do not or that proves nothing; the first column
    that moved, and the one that shows it best.
    """
    judged = [pair.gain(usual, moved, misfit) for pair in pairs]
    gains, fits = np.array([gain for gain, _ in judged]), np.array([fit for _, fit in judged])
    first = int(np.argmax(np.cumsum(gains[::-1])[::-1]))  # the columns from there on have the largest sum
    total, fitting = float(gains[first:].sum()), int(fits[first:].sum())
    against = int((~fits[first:] & (np.abs(gains[first:]) >= COLUMN_GAIN)).sum())
    least = _FEWEST_FITTING if total >= _SURE_GAIN or len(pairs) <= _LEAST_FITTING else _LEAST_FITTING
    proved = fitting >= least and fitting >= _FITTING_TO_ONE * against
    shown = first + int(np.argmax(np.where(fits, gains, -np.inf)[first:]))
    return (total if proved and total >= _GAIN else 0.0), first, shown


def _best_runs(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each row of [rows, places] where the run of places with the largest sum starts and ends, and that sum."""
    sums = np.pad(np.cumsum(scores, axis=1), ((0, 0), (1, 0)))
    end = np.argmax(sums - np.minimum.accumulate(sums, axis=1), axis=1)
    before = np.where(np.arange(sums.shape[1])[None] <= end[:, None], sums, np.inf)
    start = np.argmin(before, axis=1)
    rows = np.arange(len(sums))
    return start, end, sums[rows, end] - sums[rows, start]

"""The bootstrap (Efron 1979) of scores that follow from sums over rows: the sums of resampled rows, quickly."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse
from scipy.stats import norm
from scipy.stats import t as student

MOST_BLOCKS = 10_000
"""Of more rows, so many blocks are resampled."""
_CELLS_AT_ONCE = 4_000_000  # resamples x blocks, or x columns


def resampled_sums(
    columns: np.ndarray | sparse.csr_array, chance: np.random.Generator, repeats: int, check: Callable[[], None]
) -> Iterator[np.ndarray]:
    """Slices [some, columns] float64, together `repeats` of them, of the sums of `columns` [rows, columns] over rows
    that are drawn with replacement, as if they were independent.

    Above 10,000 rows, blocks of rows that were put together at random are resampled instead of the rows: the sums of
    the blocks spread as the rows do, and a resample costs the same for any number of rows.
    """
    rows = columns.shape[0]
    blocks = min(rows, MOST_BLOCKS)
    if blocks < rows:
        block = chance.permutation(rows) % blocks
        columns = sparse.csr_array((np.ones(rows), (block, np.arange(rows))), shape=(blocks, rows)) @ columns
    if isinstance(columns, sparse.csr_array) and columns.nnz > 0.3 * blocks * columns.shape[1]:
        columns = columns.toarray()
    at_once = max(1, _CELLS_AT_ONCE // max(blocks, columns.shape[1]))
    for start in range(0, repeats, at_once):
        check()
        some = min(at_once, repeats - start)
        drawn = chance.integers(blocks, size=(some, blocks), dtype=np.int32)
        drawn += np.arange(0, some * blocks, blocks, dtype=np.int32)[:, None]
        times = np.bincount(drawn.ravel(), minlength=some * blocks).reshape(some, blocks)
        yield times.astype(np.float64) @ columns


def expanded_percentiles(rows: int) -> tuple[float, float]:
    """The shares of resamples below the ends of a 95 % interval: somewhat beyond 2.5 and 97.5 %, because a resample of
    few rows spreads less than they do, and by Student's distribution (Hesterberg 2015, section 5.3).
    """
    low = float(norm.cdf((rows / (rows - 1)) ** 0.5 * student.ppf(0.025, rows - 1)))
    return low, 1 - low

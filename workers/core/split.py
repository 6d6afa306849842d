"""Which rows train, which validate and which test: 60/20/20, by content.

The split follows from the rows' cells, the target and `split_seed`, and from nothing else: not from the order of the
rows, the words of `drop=`, nor the training seed. So runs on the same data are compared on the same rows. Rows with the
same feature cells stand on the same side: a duplicate in the test part would only measure memory. Where a table has
but a few different rows (three yes/no columns, say) there is nothing to memorise and no other way: there rows are told
apart by their target and by counting equal ones.

With `group=`, rows of a group stay together too. With `time=`, the latest rows test and those before them validate.
Where a table is small, `folds` divides the rows that are not tested once more, by the same rules.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from shared.errors import failed
from workers.core.columns import as_table
from workers.core.equal_cells import CellReading, frame_texts
from workers.core.table import Table
from workers.core.target import Target

TRAIN, VALIDATION, TEST, SET_ASIDE = 0, 1, 2, -1
PART_NAMES = {TRAIN: "train", VALIDATION: "validation", TEST: "test", SET_ASIDE: "set_aside"}
SHARES = (0.6, 0.2, 0.2)
LEAST_DISTINCT = 10
MOST_EQUAL_SHARE = 0.2  # equal rows with more than this share of all could not be dealt fairly: they train
_NOTABLE_SHARE = 0.1  # equal rows with more than this share of all, half a test part, are missed where they do not test
_MOST_TIED_SHARE = 0.5  # groups that equal rows tie into one with more than this share of all are dealt as they are

_CHUNK_KEYS = 100_000

_BETWEEN = "\x1f"  # the unit separator: cells of text files do not hold it


@dataclass(frozen=True)
class Ties:
    """Which rows have to stand on one side."""

    rows: np.ndarray
    """[n] the numbers of the rows that are dealt."""
    blocks: np.ndarray
    """[n] int64: the block that each of them belongs to, from 0."""
    keys: pl.Series
    """For each block the least hash of its rows, String."""
    by_content: bool = True
    """Whether all equal rows are in one block."""


def row_hashes(
    table: Table | pl.DataFrame,
    columns: Sequence[str],
    *,
    readings: Mapping[str, CellReading] | None = None,
    counted: bool = False,
) -> pl.Series:
    """For each row the first 24 hex digits of the SHA-256 of what its cells in `columns` say, in that order; String.

    `readings` tell how the cells of a column are compared; without one they are words. When `counted`, equal rows
    differ: how many of them stood before is one cell more. The definition is part of every run's artifacts and never
    changes.
    """
    table, readings = as_table(table), readings or {}
    if not counted:
        return _hashes(table, columns, readings, None)
    equal = pl.DataFrame({"key": _hashes(table, columns, readings, None)})
    places = equal.select(pl.int_range(pl.len()).over("key").cast(pl.String)).to_series()
    return _hashes(table, columns, readings, places)


def hash_numbers(hashes: pl.Series) -> np.ndarray:
    """[rows] int64 of the first 15 hex digits, for counting and sorting: even of ten million different rows, two have
    the same number in one table of twenty thousand.
    """
    return hashes.str.head(15).str.to_integer(base=16, dtype=pl.Int64).to_numpy()


def are_too_alike(hashes: pl.Series, target: Target) -> bool:
    """Whether the rows with a target are too few different ones to keep equal rows together; those that have to train,
    being too many, are not counted.
    """
    _, counts = np.unique(hash_numbers(hashes)[target.usable], return_counts=True)
    return int(np.sum(counts <= MOST_EQUAL_SHARE * counts.sum())) < LEAST_DISTINCT


def split_rows(
    hashes: pl.Series,
    target: Target,
    *,
    split_seed: int,
    groups: pl.Series | None = None,
    file_row: Callable[[int], int] = lambda row: row + 1,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The part of each row ([rows] int8: TRAIN, VALIDATION, TEST or SET_ASIDE) and what a person should know.

    `groups` [rows] String are the cells by which rows stay together; a row where it is '' has no group. Classification
    is stratified: a block of rows counts for the class that most of its rows have. Classes with fewer than three
    blocks go to training, and so do equal rows that make up more than a fifth of all. `file_row` tells where a row of
    the table stands in its file. Raises RunFailed `too_few_distinct_rows`, `too_few_groups`.
    """
    ties = tie_rows(hashes, np.flatnonzero(target.usable), groups)
    if groups is not None and len(ties.keys) < 3:
        raise failed(
            "too_few_groups",
            "group= needs at least three groups, one for each part, that share no equal rows; this column makes "
            f"{len(ties.keys)}.",
            "Name another column, or leave group= out.",
        )
    sizes, strata = np.bincount(ties.blocks), block_strata(ties, target)
    order = _salted_order(ties.keys, f"{split_seed}\0{target.name}\0")
    large = sizes > MOST_EQUAL_SHARE * sizes.sum() if groups is None else np.zeros(len(sizes), dtype=bool)
    order = order[~large[order]]
    block_parts = np.full(len(sizes), TRAIN, dtype=np.int8)
    rare: list[str] = []
    for stratum in np.unique(strata).tolist():
        members = order[strata[order] == stratum]
        if len(members) < 3 and target.classes:
            rare.append(target.classes[stratum])
        else:
            block_parts[members] = _deal(sizes[members])
    parts = np.full(len(hashes), SET_ASIDE, dtype=np.int8)
    parts[ties.rows] = block_parts[ties.blocks]
    if not all(np.any(parts == part) for part in (TRAIN, VALIDATION, TEST)):
        raise failed(
            "too_few_distinct_rows",
            "Each class needs at least three distinct rows to be in every part; no class of this file has them.",
            "Add columns, or rows that differ.",
        )
    copies = () if ties.by_content else set_copies_aside(parts, hashes)
    blocks = _blocks_warning(ties, sizes, block_parts, file_row) if groups is None else ()
    return parts, (*blocks, *copies, *_rare_warning(rare))


def split_by_time(hashes: pl.Series, target: Target, times: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """As `split_rows`, by the order of `times` [rows] float64: the latest fifth tests, the fifth before it validates.

    Rows of the same time stay together; rows without a time, and those that equal an earlier row on the other side of
    a border, are set aside. Raises RunFailed `too_few_times`, `time_one_class`.
    """
    known = target.usable & np.isfinite(times)
    moments, place, counts = np.unique(times[known], return_inverse=True, return_counts=True)
    if len(moments) < 3:
        raise failed(
            "too_few_times",
            f"time= needs at least three different times, one for each part; this column has {len(moments)} in rows "
            "with a target.",
            "Name another column, or leave time= out.",
        )
    ends = np.cumsum(counts) / counts.sum()  # the share of rows up to and with each moment
    train = int(np.argmin(np.abs(ends[:-2] - SHARES[0])))
    validation = train + 1 + int(np.argmin(np.abs(ends[train + 1 : -1] - SHARES[0] - SHARES[1])))
    part_of_moment = np.full(len(moments), TEST, dtype=np.int8)
    part_of_moment[: validation + 1] = VALIDATION
    part_of_moment[: train + 1] = TRAIN
    parts = np.full(len(hashes), SET_ASIDE, dtype=np.int8)
    parts[known] = part_of_moment[place]
    warnings = []
    lost = int(np.sum(target.usable & ~known))
    if lost:
        whose = "its" if lost == 1 else "their"
        warnings.append(f"{_rows(lost)} set aside: {whose} time is missing or cannot be read.")
    warnings += set_copies_aside(parts, hashes)
    if not (np.any(parts == VALIDATION) and np.any(parts == TEST)):
        raise failed(
            "too_few_distinct_rows",
            "Later rows must differ from the earlier ones to be tested; in this file they all equal one.",
            "Leave time= out, or add columns.",
        )
    return parts, (*warnings, *_classes_in_time(target, parts))


def folds(
    hashes: pl.Series,
    target: Target,
    parts: np.ndarray,
    *,
    k: int = 5,
    groups: pl.Series | None = None,
    times: np.ndarray | None = None,
) -> np.ndarray:
    """[rows] int8: the fold, from 0, of each row of the training and the validation part; -1 for other rows.

    Equal rows, and rows of a group, are in one fold; classes are spread evenly. With `times` [rows] float64 the folds
    follow each other in time instead, and equal rows go where the first of them stands. The same table gives the same
    folds, whatever the order of its rows. There are fewer than `k` where there is less to deal.
    """
    rows = np.flatnonzero((parts == TRAIN) | (parts == VALIDATION))
    ties = tie_rows(hashes, rows, groups)
    sizes = np.bincount(ties.blocks)
    if times is not None:
        first = np.full(len(sizes), np.inf)
        np.minimum.at(first, ties.blocks, times[rows])
        block_folds = _in_time(first, sizes, k)
    else:
        block_folds = _dealt(sizes, block_strata(ties, target), k)
    out = np.full(len(parts), -1, dtype=np.int8)
    out[rows] = block_folds[ties.blocks]
    return out


def tie_rows(hashes: pl.Series, rows: np.ndarray, groups: pl.Series | None = None) -> Ties:
    """The blocks of those `rows` that must stay together: equal ones, and those of a group."""
    numbers, first, equal = np.unique(hash_numbers(hashes)[rows], return_index=True, return_inverse=True)
    keys, count = hashes[rows[first]], len(numbers)
    if groups is None:
        return Ties(rows, equal, keys)
    named = groups[rows]
    grouped = (named != "").to_numpy()
    group = named.filter(pl.Series(grouped)).rank("dense").to_numpy().astype(np.int64) - 1
    named_groups = int(group.max(initial=-1)) + 1
    edges = csr_array(
        (np.ones(len(group), dtype=np.int8), (equal[grouped], count + group)), shape=(count + named_groups,) * 2
    )
    _, label = connected_components(edges, directed=False)
    blocks, by_content = label[equal], True
    if np.bincount(blocks).max(initial=0) > _MOST_TIED_SHARE * len(rows):
        # Equal rows occur in so many groups that they tie them into one: the groups alone decide.
        blocks, by_content = equal + named_groups, False
        blocks[grouped] = group
    _, first, blocks = np.unique(blocks, return_index=True, return_inverse=True)
    least = np.full(len(first), count, dtype=np.int64)
    np.minimum.at(least, blocks, equal)
    return Ties(rows, blocks, keys[least], by_content)


def block_strata(ties: Ties, target: Target) -> np.ndarray:
    """The class that most rows of each block have, the first of several; 0 for regression. [blocks] int64."""
    count = len(ties.keys)
    if not target.classes:
        return np.zeros(count, dtype=np.int64)
    classes = len(target.classes)
    pairs, counts = np.unique(ties.blocks * classes + target.values[ties.rows], return_counts=True)
    blocks, own = np.divmod(pairs, classes)
    strata = np.zeros(count, dtype=np.int64)
    strata[blocks] = own
    torn = np.bincount(blocks, minlength=count)[blocks] > 1
    blocks, own, counts = blocks[torn], own[torn], counts[torn]
    order = np.lexsort((own, -counts, blocks))
    torn_blocks, first = np.unique(blocks[order], return_index=True)
    strata[torn_blocks] = own[order][first]
    return strata


def set_copies_aside(parts: np.ndarray, hashes: pl.Series) -> tuple[str, ...]:
    """Set aside the rows of later parts that equal a row of an earlier one, in place; and say how many."""
    aside = 0
    numbers = hash_numbers(hashes)
    for part, earlier in ((VALIDATION, [TRAIN]), (TEST, [TRAIN, VALIDATION])):
        rows = np.flatnonzero(parts == part)
        copies = rows[np.isin(numbers[rows], numbers[np.isin(parts, earlier)])]
        parts[copies] = SET_ASIDE
        aside += len(copies)
    if not aside:
        return ()
    return (f"{_rows(aside)} set aside: {'it equals a row' if aside == 1 else 'they equal rows'} of an earlier part.",)


def _classes_in_time(target: Target, parts: np.ndarray) -> tuple[str, ...]:
    """What is to be said of the classes that the parts hold. Raises RunFailed `time_one_class`."""
    if not target.classes:
        return ()
    remedy = "Leave time= out, or send rows from a longer time."
    met = {part: np.unique(target.values[parts == part]) for part in (TRAIN, VALIDATION, TEST)}
    for part, which in ((TRAIN, "earliest rows, which train,"), (TEST, "latest rows, which test,")):
        if len(met[part]) < 2:
            only = target.classes[met[part][0]]
            message = f"The {which} must hold at least two classes; all are {only!r}."
            raise failed("time_one_class", message, remedy)
    said, new = list[str](), [name for k, name in enumerate(target.classes) if k not in met[TRAIN]]
    if new:
        said.append(f"Met only after the training rows: {_shown(new)}.")
    if len(met[VALIDATION]) < 2:
        said.append(
            f"The rows before the latest, which validate, are all `{target.classes[met[VALIDATION][0]]}`: they do not "
            f"tell which model separates the classes best. {remedy}"
        )
    return tuple(said)


def _hashes(
    table: Table, columns: Sequence[str], readings: Mapping[str, CellReading], more: pl.Series | None
) -> pl.Series:
    """The rows' hashes, with the cells `more` behind those of `columns`."""
    parts, start, words = list[pl.Series](), 0, CellReading()
    for frame in table.slices(columns):
        cells = frame_texts(frame, [readings.get(name, words) for name in columns])
        if more is not None:
            cells.append(more.slice(start, frame.height))
        joined = pl.select(pl.concat_str(*map(pl.lit, cells), separator=_BETWEEN)).to_series()
        digests = [hashlib.sha256(row.encode()).hexdigest()[:24] for row in joined]
        parts.append(pl.Series("row_hash", digests, dtype=pl.String))
        start += frame.height
    return pl.concat(parts) if parts else pl.Series("row_hash", [], dtype=pl.String)


def _salted_order(keys: pl.Series, salt: str) -> np.ndarray:
    """The blocks in the order of the SHA-256 of their salted keys."""
    start, numbers = hashlib.sha256(salt.encode()), np.empty((len(keys), 2), dtype=np.uint64)
    for low in range(0, len(keys), _CHUNK_KEYS):
        digests = bytearray()
        for key in keys.slice(low, _CHUNK_KEYS).to_list():
            salted = start.copy()
            salted.update(key.encode())
            digests += salted.digest()[:16]
        numbers[low : low + _CHUNK_KEYS] = np.frombuffer(digests, dtype=">u8").reshape(-1, 2)
    return np.lexsort((numbers[:, 1], numbers[:, 0]))


def _deal(sizes: np.ndarray) -> np.ndarray:
    """The part of each block, given to the part that lacks most rows; the first three go to one part each, so that
    none is empty.
    """
    parts, seen, train, validation, test = [], 0, 0, 0, 0
    for k, size in enumerate(sizes.tolist()):
        seen += size
        # What each part lacks; plain floats, because this runs once for each distinct row of the file.
        a, b, c = SHARES[0] * seen - train, SHARES[1] * seen - validation, SHARES[2] * seen - test
        part = (
            (TRAIN, TEST, VALIDATION)[k] if k < 3 else (TRAIN if a >= b and a >= c else VALIDATION if b >= c else TEST)
        )
        parts.append(part)
        if part == TRAIN:
            train += size
        elif part == VALIDATION:
            validation += size
        else:
            test += size
    return np.array(parts, dtype=np.int8)


def _dealt(sizes: np.ndarray, strata: np.ndarray, k: int) -> np.ndarray:
    """Each block, by its stratum and the larger ones first, to the fold with the fewest rows of the stratum, then of
    all. Blocks are numbered by their hash, so equal sizes come in an order that says nothing.
    """
    block_folds, total = np.zeros(len(sizes), dtype=np.int8), [0] * k
    for stratum in np.unique(strata).tolist():
        members = np.flatnonzero(strata == stratum)
        held = [0] * k
        for block in members[np.argsort(-sizes[members], kind="stable")].tolist():
            fold = min(range(k), key=lambda number: (held[number], total[number], number))
            block_folds[block] = fold
            held[fold] += int(sizes[block])
            total[fold] += int(sizes[block])
    return block_folds


def _in_time(first: np.ndarray, sizes: np.ndarray, k: int) -> np.ndarray:
    """Blocks of consecutive times with about as many rows each; equal times stay together."""
    _, place = np.unique(first, return_inverse=True)
    rows = np.bincount(place, weights=sizes)
    middle = np.cumsum(rows) - rows / 2
    block_folds: np.ndarray = np.minimum(np.floor(middle / rows.sum() * k), k - 1).astype(np.int8)[place]
    return block_folds


def _blocks_warning(
    ties: Ties, sizes: np.ndarray, block_parts: np.ndarray, file_row: Callable[[int], int]
) -> tuple[str, ...]:
    """What became of equal rows that are too many to be dealt, or to be missed by the test part without a word."""
    said, total = list[str](), sizes.sum()
    dealt = int(sizes[sizes <= MOST_EQUAL_SHARE * total].sum())
    for block in np.flatnonzero((sizes > _NOTABLE_SHARE * total) & (block_parts != TEST)).tolist():
        first = file_row(int(ties.rows[np.argmax(ties.blocks == block)]))
        what = "train" if block_parts[block] == TRAIN else "validate"
        follows = f"{what}, and the test part tells nothing of such rows."
        if sizes[block] > MOST_EQUAL_SHARE * total:
            follows = f"train; the rows that test are drawn from the other {dealt}."
        said.append(
            f"{sizes[block]} of {total} rows are equal in every feature, first in row {first}: all of them {follows}"
        )
    return tuple(said)


def _rare_warning(rare: list[str]) -> tuple[str, ...]:
    return (f"Too rare to be tested, so used for training only: {_shown(rare)}.",) if rare else ()


def _shown(values: list[str]) -> str:
    return ", ".join(f"`{value}`" for value in values[:5]) + (" and more" if len(values) > 5 else "")


def _rows(count: int) -> str:
    return "1 row was" if count == 1 else f"{count} rows were"

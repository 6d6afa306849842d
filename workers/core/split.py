"""Which rows train, which validate and which test: 60/20/20, by content.

The split follows from the rows' cells, the target and `split_seed`, and from nothing else: not from the order of the
rows, the words of `drop=`, nor the training seed. So runs on the same data are compared on the same rows. Rows with the
same feature cells stand on the same side: a duplicate in the test part would only measure memory. Where a table has
but a few different rows (three yes/no columns, say) there is nothing to memorise and no other way: there rows are told
apart by their target and by counting equal ones.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl

from shared.errors import failed
from workers.core.columns import trimmed
from workers.core.target import Target

TRAIN, VALIDATION, TEST, SET_ASIDE = 0, 1, 2, -1
PART_NAMES = {TRAIN: "train", VALIDATION: "validation", TEST: "test", SET_ASIDE: "set_aside"}
SHARES = np.array([0.6, 0.2, 0.2])
LEAST_DISTINCT = 10
MOST_EQUAL_SHARE = 0.2  # a group of equal rows with more than this share of all could not be dealt fairly

_BETWEEN = "\x1f"  # the unit separator: cells of text files do not hold it


def row_hashes(frame: pl.DataFrame, columns: Sequence[str], *, counted: bool = False) -> list[str]:
    """For each row the first 24 hex digits of the SHA-256 of its trimmed cells in `columns`, in that order.

    When `counted`, equal rows differ: how many of them stood before is one cell more. The definition is part of every
    run's artifacts and never changes.
    """
    cells = [trimmed(name) for name in columns]
    if counted:
        cells.append(pl.int_range(pl.len()).over(cells).cast(pl.String))
    joined = frame.select(pl.concat_str(cells, separator=_BETWEEN)).to_series()
    return [hashlib.sha256(row.encode()).hexdigest()[:24] for row in joined]


def are_too_alike(hashes: Sequence[str], target: Target) -> bool:
    """Whether the rows with a target are too few different ones, or too often the same, to keep equal rows together."""
    counts = Counter(hashes[row] for row in np.flatnonzero(target.usable).tolist())
    return len(counts) < LEAST_DISTINCT or max(counts.values()) > MOST_EQUAL_SHARE * counts.total()


def split_rows(hashes: Sequence[str], target: Target, *, split_seed: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """The part of each row ([rows] int8: TRAIN, VALIDATION, TEST or SET_ASIDE) and what a person should know.

    Classification is stratified: a group of equal rows counts for the class that most of its rows have. Classes with
    fewer than three distinct rows go to training. Raises RunFailed `too_few_distinct_rows`.
    """
    groups: dict[str, list[int]] = {}
    for row in np.flatnonzero(target.usable).tolist():
        groups.setdefault(hashes[row], []).append(row)
    strata: dict[int, list[tuple[str, list[int]]]] = {}
    for key, rows in groups.items():
        stratum = int(np.bincount(target.values[rows].astype(np.int64)).argmax()) if target.classes else 0
        salted = hashlib.sha256(f"{split_seed}\0{target.name}\0{key}".encode()).hexdigest()
        strata.setdefault(stratum, []).append((salted, rows))
    parts = np.full(len(hashes), SET_ASIDE, dtype=np.int8)
    rare: list[str] = []
    for stratum, members in sorted(strata.items()):
        if len(members) < 3 and target.classes:
            rare.append(target.classes[stratum])
            for _, rows in members:
                parts[rows] = TRAIN
        else:
            _deal(sorted(members), parts)
    if not all(np.any(parts == part) for part in (TRAIN, VALIDATION, TEST)):
        raise failed(
            "too_few_distinct_rows",
            "Each class needs at least three distinct rows to be in every part; no class of this file has them.",
            "Add columns, or rows that differ.",
        )
    return parts, _rare_warning(rare)


def _deal(members: list[tuple[str, list[int]]], parts: np.ndarray) -> None:
    """Give each group to the part that lacks most rows; the first three go to one part each, so that none is empty."""
    given, seen = np.zeros(3), 0
    for k, (_, rows) in enumerate(members):
        seen += len(rows)
        part = (TRAIN, TEST, VALIDATION)[k] if k < 3 else int(np.argmax(SHARES * seen - given))
        parts[rows] = part
        given[part] += len(rows)


def _rare_warning(rare: list[str]) -> tuple[str, ...]:
    if not rare:
        return ()
    shown = ", ".join(f"`{value}`" for value in rare[:5]) + (" and more" if len(rare) > 5 else "")
    return (f"Too rare to be tested, so used for training only: {shown}.",)

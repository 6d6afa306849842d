"""What a table says, as one hash: the same data saved again is the same data.

Delimiter, quotes, line ends, encoding, byte order mark, CSV or Parquet, the order of the columns, blanks around a cell
and the way in which a number, a moment or true and false is written change nothing; another cell, name or row, or
another order of the rows, does. The hash is made of bytes that are defined here, by no library's own hashing, and by no
word of a run, so every version of LML and of its packages says the same of a table that it reads the same. `VERSION`
changes with the definition.

A column whose filled cells are all numbers is eight bytes a row (IEEE 754, little-endian; a missing cell is one NaN);
words are the lengths of the cells in UTF-8 (four bytes each) and their bytes. What is written with leading zeros or has
more than 15 digits before the point is a word: keys and postcodes are no numbers. So is a number with a decimal comma.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import polars as pl

from workers.core.dataset import Dataset
from workers.core.split import PART_NAMES, SET_ASIDE, TEST
from workers.core.table import Table

VERSION = b"lml-content-1"

_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", "#N/A")
"""What libraries write for a missing number, moment or boolean; part of the definition."""
_SPACE = " \t\r\n\f\v"
_NUMBER = r"\A-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,2})?\z"
_MOMENT = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)?\z"
_BOOLEAN = r"\A(?:[Tt]rue|TRUE|[Ff]alse|FALSE)\z"
_PROBED_ROWS = 256  # a column of words shows it in its first cells
_CHUNK_ROWS = 65_536
_BETWEEN = "\x1f"


def content_sha256(table: Table) -> str:
    """The hash of what the table says, 64 hex digits. One column is in memory at a time."""
    digest = hashlib.sha256(VERSION + table.height.to_bytes(8, "little"))
    for name in sorted(table.names):
        encoded = name.encode()
        digest.update(len(encoded).to_bytes(4, "little") + encoded + _column_digest(table.column(name)))
    return digest.hexdigest()


def parts_sha256(dataset: Dataset) -> dict[str, str]:
    """For each part the hash of its rows, in whatever order they stand: of their row hashes and targets, each as often
    as it occurs. It is that of `test` by which runs are comparable: neither the model nor `drop=` changes it.
    """
    names = {part: name for part, name in PART_NAMES.items() if part != SET_ASIDE}
    return {name: _rows_sha256(dataset, np.flatnonzero(dataset.parts == part)) for part, name in names.items()}


def split_sha256(parts: dict[str, str]) -> str:
    """The hash of the rows that test, of `parts_sha256`."""
    return parts[PART_NAMES[TEST]]


def _column_digest(cells: pl.Series) -> bytes:
    """The kind of a column and the hash of its cells, [rows] String."""
    cells = cells.str.strip_chars(_SPACE)
    if _all_match(cells, _NUMBER):
        return b"n" + _numbers_digest(cells)
    if _all_match(cells, _MOMENT):
        moments = cells.str.replace("T", " ", literal=True).str.replace(r"(:[0-9]{2}\.[0-9]*?)0+$", "$1")
        moments = moments.str.strip_suffix(".").str.replace(r"^(.{16})$", "$1:00").str.strip_suffix(" 00:00:00")
        return b"m" + _words_digest(_without_missing(moments))
    if _all_match(cells, _BOOLEAN):
        return b"b" + _words_digest(_without_missing(cells).str.to_lowercase())
    return b"w" + _words_digest(cells)


def _all_match(cells: pl.Series, pattern: str) -> bool:
    """Whether there are filled cells, and all of them are written so."""
    for part in (cells.head(_PROBED_ROWS), cells):
        filled = part.filter(~part.is_in(_MISSING))
        if not filled.str.contains(pattern).all():
            return False
    return len(filled) > 0


def _without_missing(cells: pl.Series) -> pl.Series:
    return cells.set(cells.is_in(_MISSING), "")


def _numbers_digest(cells: pl.Series) -> bytes:
    digest = hashlib.sha256()
    for part in _chunks(cells):
        values = part.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy() + 0.0  # -0 is 0
        values = np.where(np.isnan(values), np.nan, values)
        digest.update(values.astype("<f8").tobytes())
    return digest.digest()


def _words_digest(cells: pl.Series) -> bytes:
    lengths, text = hashlib.sha256(), hashlib.sha256()
    for part in _chunks(cells):
        lengths.update(part.str.len_bytes().to_numpy().astype("<u4").tobytes())
        text.update("".join(part.to_list()).encode())
    return lengths.digest() + text.digest()


def _chunks(cells: pl.Series) -> Iterator[pl.Series]:
    return (cells.slice(start, _CHUNK_ROWS) for start in range(0, len(cells), _CHUNK_ROWS))


def _rows_sha256(dataset: Dataset, rows: np.ndarray) -> str:
    target = dataset.target
    if target.classes:
        said = pl.Series(target.classes, dtype=pl.String).gather(target.values[rows])
    else:  # by its bits: no library writes them otherwise one day
        said = pl.Series((target.values[rows].astype("<f8") + 0.0).view("<u8")).cast(pl.String)
    keys = pl.select(pl.concat_str(pl.lit(dataset.hashes[rows]), pl.lit(said), separator=_BETWEEN)).to_series().sort()
    digest = hashlib.sha256(VERSION)
    for part in _chunks(keys):
        digest.update("".join(f"{key}\n" for key in part.to_list()).encode())
    return digest.hexdigest()

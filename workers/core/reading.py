"""Reads a dataset, CSV or Parquet, into a table of strings: cells as they stand in the file, nothing inferred by a
library.

What was repaired on the way is counted and said; a file whose columns cannot be trusted is refused.
"""

import codecs
import io
from dataclasses import replace
from pathlib import Path

import polars as pl

from shared.datasets.dialect import HEAD_BYTES, Dialect, column_names, decode, find_dialect, like
from shared.datasets.dialect_encoding import encoding_wrong
from shared.errors import failed
from workers.core.read_bytes import read_head, text_pieces
from workers.core.read_repairs import Repairs
from workers.core.read_rows import read_rows
from workers.core.table import Notes, Repair, Table, TableWriter

__all__ = ["Table", "is_parquet", "read_like", "read_table"]

_PARQUET_CELLS = 10_000_000  # some 200 MB as strings
# Polars panics where a damaged file says one thing here and another there.
_PARQUET_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def read_table(
    path: Path,
    *,
    sep: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    writer: TableWriter | None = None,
) -> Table:
    """The table of a file whose dialect is not known yet; CSV may be compressed with gzip or zstd.

    A large one lies in files, where `writer` puts them (default: the system's temporary folder), for as long as the
    table lives. Raises RunFailed: `dataset_empty`, `dataset_binary`, `dataset_one_column`,
    `dataset_header_only`, `dataset_ragged`, `dataset_nested`, `dataset_unreadable`, `dataset_expands`,
    `encoding_unknown`, `encoding_wrong`, `disk_full`.
    """
    writer = writer or TableWriter(None)
    if is_parquet(path):
        return _read_parquet(path, writer)
    head = read_head(path)
    dialect = find_dialect(head, sep=sep, encoding=encoding, header=header)
    return _read_csv(path, head, dialect, writer, strict=encoding is not None, tolerate=False)


def read_like(path: Path, dialect: Dialect | None, *, tolerate: bool, writer: TableWriter | None = None) -> Table:
    """The table of a file that is written like one that was understood before; only its column names are its own.

    With `tolerate`, rows with a wrong number of cells stay in their place and are named in `unreadable`. A Parquet
    file, or a CSV where the first file was Parquet, is understood by itself. Raises RunFailed as `read_table` does.
    """
    writer = writer or TableWriter(None)
    if is_parquet(path):
        return _read_parquet(path, writer, least_columns=1)
    head = read_head(path)
    if dialect is None:
        own = find_dialect(head, least_columns=1)
        return _read_csv(path, head, own, writer, strict=False, tolerate=tolerate)
    if not head.strip():
        raise failed("dataset_empty", "A dataset needs rows; this file is empty.", "Send a CSV file with data.")
    # A byte order mark is the file's own word on its encoding.
    marked = head.startswith(codecs.BOM_UTF8)
    plain = "utf-8" if dialect.encoding == "utf-8-sig" or _is_utf8(head) else dialect.encoding
    own = replace(dialect, encoding="utf-8-sig" if marked else plain)
    try:
        own = like(head, own)
    except UnicodeError as error:
        raise encoding_wrong(own.encoding, error) from error
    return _read_csv(path, head, own, writer, strict=True, tolerate=tolerate)


def _is_utf8(head: bytes) -> bool:
    """Whether letters with accents prove a text to be UTF-8: in other encodings hardly any stand so."""
    if head.isascii():
        return False
    try:
        decode(head, "utf-8", final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return False
    return True


def is_parquet(path: Path) -> bool:
    """Whether the file is Parquet, by the magic bytes at both of its ends."""
    if path.stat().st_size < 12:
        return False
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(-4, io.SEEK_END)
        return start == b"PAR1" and file.read(4) == b"PAR1"


def _read_csv(path: Path, head: bytes, dialect: Dialect, writer: TableWriter, *, strict: bool, tolerate: bool) -> Table:
    ends_in_cr = b"\r" in head and b"\n" not in head
    repairs = Repairs(dialect, tolerate=tolerate)
    pieces = text_pieces(path, dialect, ends_in_cr=ends_in_cr)
    filled = read_rows(pieces, dialect, repairs, writer, strict=strict)
    _require_rows(writer.height, len(dialect.columns))
    names = dict(zip((f"c{k}" for k in range(len(filled))), dialect.columns, strict=True))
    unnamed = _empty_at_end(dialect, filled)
    said = repairs.said()
    if unnamed:
        said = (*said, _column_dropped(unnamed))
        names = {column: name for column, name in names.items() if name not in unnamed}
    warnings = (*dialect.warnings, *(repair.sentence for repair in said))
    return writer.table(names, dialect=dialect, notes=Notes(said, warnings, repairs.unreadable, repairs.left_out))


def _empty_at_end(dialect: Dialect, filled: tuple[bool, ...]) -> list[str]:
    """The last columns that have neither a name nor a filled cell: each line ends with a delimiter."""
    names = list[str]()
    if dialect.has_header:
        for k in range(len(filled) - 1, 1, -1):
            if filled[k] or dialect.columns[k] != f"column_{k + 1}":
                break
            names.insert(0, dialect.columns[k])
    return names


def _column_dropped(names: list[str]) -> Repair:
    what = "The last column has" if len(names) == 1 else f"The last {len(names)} columns have"
    return Repair("column_dropped", len(names), (), f"{what} no name and no filled cell; left out.")


def _read_parquet(path: Path, writer: TableWriter, *, least_columns: int = 2) -> Table:
    text: pl.LazyFrame | None = None
    try:
        lazy = pl.scan_parquet(path, glob=False)
        schema = lazy.collect_schema()
        _refuse_nested(schema)
        height: int = lazy.select(pl.len()).collect().item()
        _require_columns(len(schema), least_columns)
        _require_rows(height, len(schema))
        # Libraries write a missing number as NaN.
        lazy = lazy.with_columns(
            pl.selectors.float().fill_nan(None),
            pl.selectors.duration().dt.total_microseconds() / 1e6,
            # The clock of the place that a column belongs to: its distance to UTC changes twice a year.
            pl.selectors.datetime(time_zone="*").dt.replace_time_zone(None),
        )
        text = lazy.select(pl.all().cast(pl.String).fill_null(""))
        step = max(1, _PARQUET_CELLS // len(schema))
        for start in range(0, height, step):
            frame = text.slice(start, step).collect()
            writer.add(frame, size_bytes=int(frame.estimated_size()))
    except _PARQUET_ERRORS as error:
        raise failed(
            "dataset_unreadable",
            "A Parquet file's columns must hold numbers, words, booleans or dates; this one cannot be "
            f"read{_first_unreadable(text)} ({_line(error)}).",
            "Save it again, without such a column, or as CSV.",
        ) from error
    names = column_names(list(schema), len(schema))
    return writer.table(dict(zip(schema, names, strict=True)), dialect=None, notes=Notes())


def _first_unreadable(text: pl.LazyFrame | None) -> str:
    """Which column it is that cannot be read, where the file as such can."""
    if text is None:
        return ""
    for name in text.collect_schema().names():
        try:
            text.select(name).collect()
        except _PARQUET_ERRORS:
            return f", first in column `{name}`"
    return ""


def _refuse_nested(schema: pl.Schema) -> None:
    nested = [f"`{name}` ({type_})" for name, type_ in schema.items() if type_.is_nested() or type_ == pl.Object]
    if nested:
        shown = ", ".join(nested[:12]) + (" and more" if len(nested) > 12 else "")
        raise failed(
            "dataset_nested",
            f"A column holds one value a row; these hold several: {shown}.",
            "Leave them out, or spread them over columns.",
        )


def _require_columns(width: int, least: int) -> None:
    if width < least:
        raise failed(
            "dataset_one_column",
            f"A dataset needs at least two columns, one of them the target; this file has {width}.",
            "Check the file.",
        )


def _require_rows(height: int, width: int) -> None:
    if height == 0:
        raise failed(
            "dataset_header_only",
            f"A dataset needs rows; this file has {width} column names and no row below them.",
            "Send a file with data, and check that its lines end; if its first row is data, say header=no.",
        )


def _line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

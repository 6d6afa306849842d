"""Reads a dataset, CSV or Parquet, into a table of strings: cells as they stand in the file, nothing inferred by a
library.

Polars reads; what it would hide (short rows, blank lines) is looked at with the csv module, only where a file gives
reason to.
"""

import codecs
import csv
import io
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from shared.datasets.dialect import HEAD_BYTES, Dialect, column_names, decode, find_dialect
from shared.errors import failed

_SHOWN_ROWS = 5


@dataclass(frozen=True)
class Table:
    """A dataset in memory."""

    frame: pl.DataFrame
    """Every column a String without nulls: a missing cell is ''."""
    dialect: Dialect | None = None
    """How the file was written; None for Parquet."""
    warnings: tuple[str, ...] = ()
    unreadable: dict[int, str] = field(default_factory=dict)
    """Rows (from 0) that are kept in their place but have a wrong number of cells, with the reason; only on request."""


def read_table(path: Path, *, sep: str | None = None, encoding: str | None = None, header: bool | None = None) -> Table:
    """The table of a file whose dialect is not known yet.

    Raises RunFailed: `dataset_empty`, `dataset_binary`, `dataset_one_column`, `dataset_header_only`, `dataset_ragged`,
    `dataset_unreadable`, `encoding_unknown`, `encoding_wrong`.
    """
    if is_parquet(path):
        return _read_parquet(path)
    with path.open("rb") as file:
        dialect = find_dialect(file.read(HEAD_BYTES), sep=sep, encoding=encoding, header=header)
    return _read_csv(path, dialect, guessed=encoding is None, tolerate=False)


def read_like(path: Path, dialect: Dialect | None, *, tolerate: bool) -> Table:
    """The table of a file that is written like one that was understood before; only its column names are its own.

    With `tolerate`, rows with a wrong number of cells stay in their place and are named in `unreadable`. A Parquet
    file, or a CSV where the first file was Parquet, is understood by itself. Raises RunFailed as `read_table` does.
    """
    if is_parquet(path):
        return _read_parquet(path, least_columns=1)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if dialect is None:
        return _read_csv(path, find_dialect(head, least_columns=1), guessed=True, tolerate=tolerate)
    if not head.strip():
        raise failed("dataset_empty", "A dataset needs rows; this file is empty.", "Send a CSV file with data.")
    # A byte order mark is the file's own word on its encoding.
    encoding = "utf-8-sig" if head.startswith(codecs.BOM_UTF8) else dialect.encoding
    own = replace(dialect, encoding=encoding, warnings=())
    first: list[str] = next((row for row in own.parse(_decode_head(head, own)) if _filled(row)), [])
    own = replace(own, columns=column_names(first if own.has_header else None, len(first)))
    return _read_csv(path, own, guessed=False, tolerate=tolerate)


def is_parquet(path: Path) -> bool:
    """Whether the file is Parquet, by the magic bytes at both of its ends."""
    if path.stat().st_size < 12:
        return False
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(-4, io.SEEK_END)
        return start == b"PAR1" and file.read(4) == b"PAR1"


def _read_parquet(path: Path, *, least_columns: int = 2) -> Table:
    try:
        frame = pl.read_parquet(path)
        names = column_names(frame.columns, frame.width)
        frame = frame.rename(dict(zip(frame.columns, names, strict=True)))
        # Libraries write a missing number as NaN.
        frame = frame.with_columns(pl.selectors.float().fill_nan(None))
        frame = frame.select(pl.all().cast(pl.String).fill_null(""))
    except pl.exceptions.PolarsError as error:
        raise failed(
            "dataset_unreadable",
            "A Parquet file's columns must hold numbers, words, booleans or dates; this one cannot be "
            f"read ({_line(error)}).",
            "Leave nested columns out, or save it as CSV.",
        ) from error
    if frame.width < least_columns:
        raise failed(
            "dataset_one_column",
            f"A dataset needs at least two columns, one of them the target; this file has {frame.width}.",
            "Check the file.",
        )
    return Table(_with_rows(frame))


def _read_csv(path: Path, dialect: Dialect, *, guessed: bool, tolerate: bool) -> Table:
    raw = path.read_bytes()
    dialect, utf8, warnings = _to_utf8(raw, dialect, guessed=guessed)
    frame, unreadable = _fast(utf8, dialect), dict[int, str]()
    if frame is None or frame.width != len(dialect.columns) or frame.to_series(-1).null_count():
        # Polars pads short rows and turns blank lines into rows without a word: look at each row.
        frame, unreadable = _careful(utf8.decode(), dialect, tolerate=tolerate)
    elif dialect.has_header:
        frame = frame.slice(1)
    frame = frame.fill_null("")
    frame.columns = list(dialect.columns)
    return Table(_with_rows(frame), dialect, (*dialect.warnings, *warnings), unreadable)


def _to_utf8(raw: bytes, dialect: Dialect, *, guessed: bool) -> tuple[Dialect, bytes, tuple[str, ...]]:
    """The file's text in UTF-8. Only the head was looked at before, so a later byte may still change the encoding."""
    if dialect.encoding == "utf-8" and raw.isascii():
        return dialect, raw, ()
    try:
        return dialect, decode(raw, dialect.encoding).encode(), ()
    except UnicodeError as error:
        if not guessed:
            raise _wrong_encoding(dialect, error) from error
        text = decode(raw, "cp1252")
        warning = (
            "The file is not UTF-8 after its start; it was read as Windows-1252. "
            "Check letters with accents, or say encoding=..."
        )
        return replace(dialect, encoding="cp1252"), text.encode(), (warning,)


def _decode_head(head: bytes, dialect: Dialect) -> str:
    try:
        return decode(head, dialect.encoding, final=False)
    except UnicodeError as error:
        raise _wrong_encoding(dialect, error) from error


def _wrong_encoding(dialect: Dialect, error: UnicodeError) -> Exception:
    return failed(
        "encoding_wrong",
        f"Every byte of the file must be valid in its encoding; as {dialect.encoding} it cannot be read ({error}).",
        "Save the file in that encoding, or train with another encoding=.",
    )


def _fast(utf8: bytes, dialect: Dialect) -> pl.DataFrame | None:
    """The rows as Polars reads them, header included, null where a cell is missing; None where it cannot."""
    try:
        return pl.read_csv(
            io.BytesIO(utf8.rstrip(b"\r\n")),
            has_header=False,
            infer_schema=False,
            separator=dialect.delimiter,
            quote_char=dialect.quote,
        )
    except (pl.exceptions.PolarsError, ValueError):
        return None


def _careful(text: str, dialect: Dialect, *, tolerate: bool) -> tuple[pl.DataFrame, dict[int, str]]:
    """The data rows without blank lines; rows of a wrong width are an error, or are named when `tolerate`."""
    width, reader = len(dialect.columns), dialect.parse(text)
    rows: list[list[str]] = []
    wrong: list[tuple[int, int, int]] = []  # row from 0 without the header, its line, its width
    first = True
    try:
        for row in reader:
            if not _filled(row):
                continue
            if first and dialect.has_header:
                first = False
                continue
            first = False
            if len(row) != width:
                wrong.append((len(rows), reader.line_num, len(row)))
            rows.append(row)
    except csv.Error as error:
        raise failed(
            "dataset_unreadable",
            f"Each cell must end before the next one begins and hold at most 128 KB; line {reader.line_num} "
            f"cannot be read ({error}).",
            "Look for a quote that is opened and never closed.",
        ) from error
    if wrong and not tolerate:
        raise _ragged(wrong, width, "\n" in "".join(rows[wrong[-1][0]]))
    for k, _, _ in wrong:
        rows[k] = (rows[k] + [""] * width)[:width]
    notes = {k: f"has {_cells(found)} where {width} are expected" for k, _, found in wrong}
    columns = list(zip(*rows, strict=True)) if rows else [()] * width
    schema = [pl.Series(f"c{k}", column, dtype=pl.String) for k, column in enumerate(columns)]
    return pl.DataFrame(schema), notes


def _ragged(wrong: list[tuple[int, int, int]], width: int, spans_lines: bool) -> Exception:
    """`spans_lines` says that the last wrong row goes over several lines, as one whose quote is never closed does."""
    shown = ", ".join(f"row {k + 1} (line {line}) has {found}" for k, line, found in wrong[:_SHOWN_ROWS])
    more = f" and {len(wrong) - _SHOWN_ROWS} more" if len(wrong) > _SHOWN_ROWS else ""
    return failed(
        "dataset_ragged",
        f"Every row must have as many cells as the first, {width}; {len(wrong)} "
        f"{'row does' if len(wrong) == 1 else 'rows do'} "
        f"not: {shown}{more}.",
        "Correct these rows; a cell that holds the delimiter must stand in quotes"
        + (", and a quote that is opened must be closed." if spans_lines else "."),
    )


def _with_rows(frame: pl.DataFrame) -> pl.DataFrame:
    if frame.height == 0:
        raise failed(
            "dataset_header_only",
            f"A dataset needs rows; this file has {frame.width} column names and no row below them.",
            "Send a file with data; if its first row is data, say header=no.",
        )
    return frame


def _filled(row: list[str]) -> bool:
    """Whether a parsed line is a row: a blank line is none, a line of empty cells is one."""
    return len(row) > 1 or bool(row and row[0].strip())


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

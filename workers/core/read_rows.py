"""Text becomes rows: Polars parses what is clean, block by block; what is not is repaired first, row by row.

Polars pads short rows, turns blank lines into rows and takes a stray quote for the start of a cell, all without a word.
So a block is handed to it only when its quotes are proven to pair and its delimiters to make rows of one width.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from shared.datasets.dialect import Dialect
from shared.datasets.dialect_encoding import encoding_wrong
from shared.datasets.dialect_records import LONGEST_CELL, are_rows
from shared.errors import failed
from workers.core.read_bytes import LONGEST_ROW
from workers.core.read_repairs import Repairs
from workers.core.table import TableWriter

_MARK = "\ufeff".encode()
_NEWLINE, _RETURN = ord("\n"), ord("\r")
_LONG_CELLS = 1000


def read_rows(
    pieces: Iterator[bytes], dialect: Dialect, repairs: Repairs, writer: TableWriter, *, strict: bool
) -> tuple[bool, ...]:
    """Write all data rows, and tell for each column whether a cell of it is filled.

    With `strict`, a byte that is not UTF-8 is an error, else it is repaired. Raises RunFailed `dataset_unreadable`,
    `dataset_ragged`, `encoding_wrong` or `disk_full`.
    """
    blocks = _Blocks(dialect, repairs, writer, strict=strict)
    piece: bytes | None = next(pieces, b"")
    block, skip = b"", dialect.first_line
    while piece is not None:
        after = next(pieces, None)
        block = block + piece if block else piece
        while skip and (end := block.find(b"\n") + 1):
            block, skip = block[end:], skip - 1
        if not skip:
            block = blocks.read(block, final=after is None)
        piece = after
    blocks.finish()
    return tuple(blocks.filled)


class _Blocks:
    """Reads one block after the other; each begins where a record does."""

    def __init__(self, dialect: Dialect, repairs: Repairs, writer: TableWriter, *, strict: bool) -> None:
        self.filled = [False] * len(dialect.columns)
        self._width = len(dialect.columns)
        self._delimiter, self._quote = dialect.delimiter, dialect.quote
        self._repairs, self._writer, self._strict = repairs, writer, strict
        self._schema = {f"c{k}": pl.String for k in range(self._width)}
        self._header = [
            ("", name) if name == f"column_{k + 1}" else (name,) for k, name in enumerate(dialect.columns)
        ] * (dialect.has_header and self._width > 1)  # what a row holds in each column that is the header once more

    def read(self, block: bytes, *, final: bool) -> bytes:
        """Write the rows of a block, and return what the next one begins with: a record that is not whole yet."""
        self._refuse_endless(block)
        if final and block.strip(b"\r\n"):
            block = block.rstrip(b"\r\n") + b"\n"
        lines_end = block.rfind(b"\n") + 1
        end = self._records_end(block)
        if end:
            clean = block if end == len(block) else block[:end]
            frame = self._parsed_if_clean(clean)
            if frame is not None:
                self._write_text(self._repairs.flush())
                several = bool(self._quote) and self._quote.encode() in clean
                self._repairs.rows_passed(frame.height, lines=clean.count(b"\n") if several else frame.height)
                self._write(frame, len(clean))
                if not (final and end < len(block)):
                    return block[end:]
                block, lines_end = block[end:], lines_end - end
        elif not final and len(block) < LONGEST_CELL:
            return block
        if not lines_end:
            return block
        text, rest = self._repairs.repair(self._decoded(block[:lines_end]), final=final)
        self._write_text(text)
        return rest.encode() + block[lines_end:]

    def finish(self) -> None:
        """Write what the repairs held back."""
        self._write_text(self._repairs.finish())

    def _records_end(self, block: bytes) -> int:
        """Where the last record of the block ends whose quotes, like all before, pair; 0 where there is none."""
        end = block.rfind(b"\n") + 1
        quote = self._quote.encode()
        if not quote or quote not in block:
            return end
        letters = np.frombuffer(block, dtype=np.uint8)
        quotes = np.flatnonzero(letters == quote[0])
        inside = int(np.searchsorted(quotes, end))
        while inside % 2:  # a line that ends inside a quoted cell: look above the quote that opened it
            end = block.rfind(b"\n", 0, int(quotes[inside - 1])) + 1
            inside = int(np.searchsorted(quotes, end))
        opened, closed = quotes[:inside:2], quotes[1:inside:2]
        # A doubled quote closes a cell and opens it again; the block begins like a line, and ends with one.
        before = np.where(opened == 0, _NEWLINE, letters[opened - 1])
        after = letters[np.minimum(closed + 1, len(letters) - 1)]
        beside = [ord(self._delimiter), _NEWLINE, quote[0]]
        return end if np.isin(before, beside).all() and np.isin(after, [*beside, _RETURN]).all() else 0

    def _parsed_if_clean(self, block: bytes) -> pl.DataFrame | None:
        """The rows of whole records, or None where a look at each row is needed."""
        if b"\0" in block or (not block.isascii() and _MARK in block):
            return None
        if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
            return None
        quoted = bool(self._quote) and self._quote.encode() in block
        frame = self._parse(block, quoted=quoted)
        if frame is None or frame.height == 0:
            return None
        if frame.to_series(-1).str.len_bytes().min() == 0 and not self._is_regular(block, frame, quoted=quoted):
            return None
        if quoted and block.count(b"\n") > frame.height and self._swallows(frame):
            return None
        return frame

    def _parse(self, block: bytes, *, quoted: bool) -> pl.DataFrame | None:
        """The rows as Polars reads them; it fails on rows that are too long and on bytes that are not UTF-8."""
        try:
            return pl.read_csv(
                block,
                has_header=False,
                schema=self._schema,
                separator=self._delimiter,
                quote_char=self._quote if quoted else None,
                empty_string_is_null=False,
            )
        except pl.exceptions.PolarsError:
            return None

    def _is_regular(self, block: bytes, frame: pl.DataFrame, *, quoted: bool) -> bool:
        """Whether no row was padded: no row is too long, so as many delimiters as they need are proof."""
        if self._width == 1:
            return False  # an empty cell and a blank line look the same
        found = int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == ord(self._delimiter)))
        if quoted:
            inside = frame.select(pl.all().str.count_matches(self._delimiter, literal=True).sum())
            found -= sum(inside.row(0))
        return found == frame.height * (self._width - 1)

    def _swallows(self, frame: pl.DataFrame) -> bool:
        """Whether a cell holds lines that are rows themselves, as when two quotes are opened by mistake."""
        for column in frame.iter_columns():
            long = column.filter(column.str.count_matches("\n", literal=True) > 3)
            if any(are_rows(cell.split("\n")[1:-1], self._delimiter, self._width) for cell in long.head(_LONG_CELLS)):
                return True
        return False

    def _decoded(self, block: bytes) -> str:
        try:
            return block.decode()
        except UnicodeDecodeError as error:
            if self._strict:
                raise encoding_wrong("utf-8", error, lines=self._repairs.line) from error
            return block.decode("utf-8", "surrogateescape")

    def _write_text(self, text: str) -> None:
        """Write rows that were repaired."""
        if not text:
            return
        block = text.encode()
        frame = self._parse(block, quoted=bool(self._quote) and self._quote in text)
        if frame is None:
            raise failed(
                "dataset_unreadable",
                f"Rows must be cells between delimiters; those up to line {self._repairs.line:,} cannot be read.",
                "Save the file again as CSV in UTF-8.",
            )
        self._write(frame, len(block))

    def _write(self, frame: pl.DataFrame, size_bytes: int) -> None:
        frame = self._without_headers(frame)
        for k, column in enumerate(frame.iter_columns()):
            if not self.filled[k]:
                self.filled[k] = bool(column.str.len_bytes().max())
        self._writer.add(frame, size_bytes=size_bytes)

    def _without_headers(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows that are not the header once more."""
        if not self._header or not frame.to_series(0).str.strip_chars().is_in(self._header[0]).any():
            return frame
        names = zip(self._schema, self._header, strict=True)
        again = frame.select(
            pl.all_horizontal(pl.col(name).str.strip_chars().is_in(cells) for name, cells in names)
        ).to_series()
        if again.any():
            self._repairs.headers_left_out([self._writer.height + int(row) for row in again.arg_true()])
        return frame.filter(~again)

    def _refuse_endless(self, block: bytes) -> None:
        if len(block) - block.rfind(b"\n") > LONGEST_ROW:
            line = self._repairs.line + block.count(b"\n") + 1
            raise failed(
                "dataset_unreadable",
                f"A row may be {LONGEST_ROW // 2**20} MB long; the one in line {line:,} is longer.",
                "Check that the file is a CSV file with line ends.",
            )

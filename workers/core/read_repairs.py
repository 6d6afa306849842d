"""Repairs the rows of a CSV text that do not fit, and counts each repair with the first rows that it met."""

import csv
import io
import re
from bisect import bisect_right, insort
from dataclasses import dataclass

from shared.datasets.dialect import Dialect
from shared.datasets.dialect_encoding import read_foreign_bytes
from shared.datasets.dialect_records import Fault, Record, Records, Unfinished
from shared.errors import RunFailed, failed
from workers.core.table import Repair

MOST_MISFITS = 0.1
"""The share of rows of a wrong width from which on the columns of a file cannot be trusted."""
_SHOWN_ROWS = 5
# Notes and totals below a table; more short rows than this are rows.
_MOST_FOOTERS = 20
_ODD = re.compile("[\0\ufeff\udc80-\udcff]")
_SENTENCES = {
    "nul_removed": "{rows} zero bytes, which were taken out",
    "mark_removed": "{rows} a byte order mark in the middle of the file, which was taken out",
    "bytes_guessed": "{rows} bytes that are not UTF-8; they were read as Windows-1252",
    "quote_unclosed": "{rows} a quote that is opened and never closed; it was read as a letter",
    "quote_stray": "{rows} text beside a closed quote; it was read as part of the cell",
    "quote_inside": "{rows} a quote inside a cell that does not begin with one; it was read as a letter",
    "rows_split": "{rows} a lone carriage return between two rows; it was read as the end of a line",
    "header_repeated": "{rows} the names of the columns, as files that were put together have; left out",
    "cells_cut": "{rows} more cells than the {width} columns, all empty; they were cut off",
    "rows_padded": "{rows} fewer cells than the {width} columns; the missing ones count as empty",
    "rows_dropped": "{rows} more cells than the {width} columns; set aside, for their cells may be shifted",
}


@dataclass(frozen=True)
class _Misfit:
    """A row of a wrong width, and where it stands."""

    row: int
    line: int
    cells: list[str]


@dataclass
class _Count:
    count: int
    first_rows: list[int]


class Repairs:
    """What is done about rows that do not fit: those too short are padded, those too long set aside.

    Surplus cells that are empty are cut, comments and notes below the table are dropped, broken quotes are read as
    letters. With `tolerate` no row is dropped: one of a wrong width is padded or cut, and named in `unreadable`.
    """

    def __init__(self, dialect: Dialect, *, tolerate: bool) -> None:
        self.unreadable: dict[int, str] = {}
        self.left_out: list[int] = []
        """Rows of the file, from 1, that are none of the table, ascending; without notes below it."""
        self.line = dialect.first_line
        """Lines of the file that were read so far."""
        self._delimiter, self._quote = dialect.delimiter, dialect.quote
        self._width = len(dialect.columns)
        self._tolerate = tolerate
        self._rows = self._kept = self._misfits = self._comments = 0
        self._held: list[_Misfit] = []
        self._shown: list[_Misfit] = []
        self._footers: list[_Misfit] = []
        self._counts: dict[str, _Count] = {}
        q, d = re.escape(self._quote), re.escape(self._delimiter)
        cell = rf"(?:{q}(?:[^{q}]|{q}{q})*+{q}|[^{q}{d}\r\n]*+)" if q else rf"[^{d}\r\n]*+"
        self._clean = re.compile(rf"{cell}(?:{d}{cell})*+\r?\n?")

    def rows_passed(self, rows: int, *, lines: int) -> None:
        """Count rows that were clean."""
        self._rows += rows
        self._kept += rows
        self.line += lines

    def headers_left_out(self, rows: list[int]) -> None:
        """Count rows (from 0, of those that would be kept) that hold the header once more."""
        for earlier, row in enumerate(rows):
            in_file = self._in_file(row - earlier)
            insort(self.left_out, in_file)
            self._count("header_repeated", in_file)
        self._kept -= len(rows)

    def repair(self, text: str, *, final: bool) -> tuple[str, str]:
        """Clean text with the rows of `text`, which begins with a record, and the record at its end that goes on."""
        text, odd = self._without_odd(text)
        records = Records(text, delimiter=self._delimiter, quote=self._quote, width=self._width, final=final)
        rows, rest = list[str](), ""
        fitting = self._width - 1
        while line := records.next_line():
            plain = not self._quote or self._quote not in line
            if plain and line.count(self._delimiter) == fitting and (fitting or line.strip()):
                if self._held:
                    rows.append(self.flush())
                rows.append(line if line.endswith("\n") else f"{line}\n")
                self._rows += 1
                self._kept += 1
            else:
                try:
                    self._place(records.parse(line), rows)
                except Unfinished as unfinished:
                    rest = unfinished.text
                    break
            while odd and odd[0][0] <= records.line:
                self._count(odd.pop(0)[1], self._rows)
        done = text[: len(text) - len(rest)]
        self.line += done.count("\n")
        return "".join(rows), rest

    def flush(self) -> str:
        """The text of the rows held back until a good one followed: they are no notes below the table."""
        held, self._held = self._held, []
        text = list[str]()
        for misfit in held:
            self._misfits += 1
            self._shown += [misfit] if len(self._shown) < _SHOWN_ROWS else []
            short = len(misfit.cells) < self._width
            self._count("rows_padded" if short else "rows_dropped", misfit.row)
            if short:
                self._kept += 1
                text.append(self._written(misfit.cells))
            else:
                self.left_out.append(misfit.row)
        return "".join(text)

    def finish(self) -> str:
        """Say that nothing follows; the text of rows that were held back. Raises RunFailed `dataset_ragged`."""
        text = ""
        if 2 * len(self._held) <= self._kept:
            self._footers, self._held = self._held, []
        else:
            text = self.flush()
        if self._misfits > MOST_MISFITS * self._rows:
            raise self._ragged()
        return text

    def said(self) -> tuple[Repair, ...]:
        """Every kind of repair that was made."""
        made = list[Repair]()
        for code, sentence in _SENTENCES.items():
            if code in self._counts:
                met = self._counts[code]
                made.append(_repair(code, met.count, met.first_rows, sentence, self._width))
        if self._comments:
            lines = "1 line that begins" if self._comments == 1 else f"{self._comments:,} lines that begin"
            made.append(Repair("comments_dropped", self._comments, (), f"{lines} with # count as comments."))
        if self._footers:
            rows = [misfit.row for misfit in self._footers]
            shown = self._delimiter.join(self._footers[0].cells).strip()
            what = "1 row at the end has" if len(rows) == 1 else f"{len(rows)} rows at the end have"
            made.append(
                Repair(
                    "footer_dropped",
                    len(rows),
                    tuple(rows[:_SHOWN_ROWS]),
                    f"{what} another number of cells than the {self._width} columns, as notes and totals have; left "
                    f"out, first row {rows[0]:,} (line {self._footers[0].line:,}): {shown[:60]!r}.",
                )
            )
        return tuple(made)

    def _in_file(self, kept: int) -> int:
        """The row of the file, from 1, that comes behind `kept` rows that are not left out."""
        earlier = bisect_right(range(len(self.left_out)), kept + 1, key=lambda k: self.left_out[k] - k)
        return kept + 1 + earlier

    def _without_odd(self, text: str) -> tuple[str, list[tuple[int, str]]]:
        """The text without what no text holds, and the lines (from 1) where such was met, with the repair's code."""
        if (text.isascii() and "\0" not in text) or not _ODD.search(text):
            return text, []
        odd = list[tuple[int, str]]()
        for k, line in enumerate(io.StringIO(text, newline="\n"), 1):
            found = set(_ODD.findall(line))
            odd += [(k, "nul_removed")] if "\0" in found else []
            odd += [(k, "mark_removed")] if "\ufeff" in found else []
            odd += [(k, "bytes_guessed")] if found - {"\0", "\ufeff"} else []
        return read_foreign_bytes(text.replace("\0", "").replace("\ufeff", "")), odd

    def _place(self, record: Record, rows: list[str]) -> None:
        """Decide about a record that is not plainly one of the rows."""
        if record.is_blank:
            return
        cells, width = record.cells, self._width
        if len(cells) != width and record.text.lstrip().startswith("#"):
            self._comments += 1
            return
        if len(cells) != width and "\r" in record.text.rstrip("\r\n"):
            parts = [part.split(self._delimiter) for part in record.text.rstrip("\r\n").split("\r")]
            if all(len(part) == width for part in parts):
                for part in parts:
                    self._keep(rows, self._written(part))
                self._count("rows_split", self._rows - len(parts) + 1)
                return
        if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
            cells = cells[:width]
            self._count("cells_cut", self._rows + 1)
        if record.fault:
            self._count("quote_unclosed" if record.fault is Fault.UNCLOSED else "quote_stray", self._rows + 1)
        if len(cells) == width:
            as_it_is = cells is record.cells and not record.fault and self._clean.fullmatch(record.text)
            if not as_it_is and not record.fault and self._quote and self._quote in "".join(cells):
                self._count("quote_inside", self._rows + 1)
            self._keep(rows, record.text if as_it_is and record.text.endswith("\n") else self._written(cells))
            return
        if self._tolerate:
            found = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
            self.unreadable[self._kept] = f"has {found} where {width} are expected"
            self._keep(rows, self._written(cells))
            return
        self._rows += 1
        self._held.append(_Misfit(self._rows, self.line + record.line, cells))
        if len(self._held) > _MOST_FOOTERS:
            rows.append(self.flush())

    def _keep(self, rows: list[str], line: str) -> None:
        if self._held:
            rows.append(self.flush())
        rows.append(line)
        self._rows += 1
        self._kept += 1

    def _written(self, cells: list[str]) -> str:
        """The row as clean text, padded or cut to the width of the table."""
        fitting = (cells + [""] * self._width)[: self._width]
        if not self._quote:
            return self._delimiter.join(fitting) + "\n"
        line = io.StringIO()
        csv.writer(line, delimiter=self._delimiter, quotechar=self._quote, lineterminator="\n").writerow(fitting)
        return line.getvalue()

    def _count(self, code: str, row: int) -> None:
        met = self._counts.setdefault(code, _Count(0, []))
        met.count += 1
        if len(met.first_rows) < _SHOWN_ROWS:
            met.first_rows.append(row)

    def _ragged(self) -> RunFailed:
        shown = ", ".join(f"row {met.row:,} (line {met.line:,}) has {len(met.cells)}" for met in self._shown)
        more = f" and {self._misfits - len(self._shown):,} more" if self._misfits > len(self._shown) else ""
        rows = "1 row does" if self._misfits == 1 else f"{self._misfits:,} rows do"
        hint = "Correct these rows; a cell that holds the delimiter must stand in quotes."
        if 2 * self._misfits > self._rows:
            hint = (
                "If the line above them is no header, take it out; if another character is between cells, say sep=..."
            )
        return failed(
            "dataset_ragged",
            f"Every row must have as many cells as the first, {self._width}; {rows} not, more than "
            f"{MOST_MISFITS:.0%} of {self._rows:,}: {shown}{more}.",
            hint,
        )


def _repair(code: str, count: int, first_rows: list[int], sentence: str, width: int) -> Repair:
    rows = "1 row has" if count == 1 else f"{count:,} rows have"
    shown = ", ".join(f"{row:,}" for row in first_rows)
    where = f"row {shown}" if count == 1 else f"rows {shown}{' and more' if count > len(first_rows) else ''}"
    text = sentence.format(rows=rows, width=width)
    return Repair(code, count, tuple(first_rows), f"{text}: {where}.")

"""The records of a CSV text, read so that a broken quote costs one line and never the rest of the file."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

LONGEST_CELL = 4 * 2**20
"""Characters after which a quote that is not closed yet is taken for a stray one."""
# So many lines that look like rows inside one cell prove a quote wrong; after so many there is no need to read on.
_FEW_LINES, _MANY_LINES = 3, 10


class Fault(StrEnum):
    """What is wrong with the quotes of a record."""

    UNCLOSED = "unclosed"  # a quote is opened and never closed: the line was read without quotes
    STRAY = "stray"  # text stands beside a closed quote: it was kept as part of the cell


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its cells, the text it stands in with the line ends, and the line (from 1) where it begins."""

    cells: list[str]
    text: str
    line: int
    fault: Fault | None = None

    @property
    def is_blank(self) -> bool:
        """Whether it is a blank line; a line of empty cells is none."""
        return len(self.cells) < 2 and not self.text.strip()


class Unfinished(Exception):
    """The text ends inside a quoted cell, and more text is to come; `text` is what was read of the record."""

    def __init__(self, text: str) -> None:
        super().__init__("the text ends inside a record")
        self.text = text


class Records:
    """Reads records one by one; whoever needs speed takes lines with `next_line` and asks `parse` for the odd ones."""

    def __init__(self, text: str, *, delimiter: str, quote: str, width: int = 0, final: bool = True) -> None:
        """`quote` may be empty. `width`, where it is known, decides between two readings of a broken record."""
        self.line = 0
        """The line that was taken last, from 1."""
        self._source = io.StringIO(text, newline="\n")
        self._waiting = deque[str]()
        self._gave_up = False
        self._delimiter, self._quote, self._width, self._final = delimiter, quote, width, final
        if csv.field_size_limit() < 4 * LONGEST_CELL:
            csv.field_size_limit(4 * LONGEST_CELL)

    def __iter__(self) -> Iterator[Record]:
        """All records, blank lines among them. Raises Unfinished."""
        while line := self.next_line():
            yield self.parse(line)

    def next_line(self) -> str:
        """The next line with its end, '' after the last one."""
        line = self._waiting.popleft() if self._waiting else self._source.readline()
        self.line += bool(line)
        return line

    def parse(self, line: str) -> Record:
        """The record that begins with `line`, the line that was taken last. Raises Unfinished."""
        first = self.line
        bare = line.rstrip("\r\n")
        if not self._quote or self._quote not in line:
            return Record(bare.split(self._delimiter), line, first)
        pulled = [line]
        try:
            cells = next(self._reader(self._pull(pulled), strict=True))
        except csv.Error as error:
            if "end of data" in str(error) and not self._final and not self._gave_up:
                raise Unfinished("".join(pulled)) from None
        else:
            if len(pulled) == 1 or not self._swallows(pulled):
                return Record(cells, "".join(pulled), first)
        self._waiting.extendleft(reversed(pulled[1:]))
        self.line = first
        return self._alone(bare, line, several=len(pulled) > 1)

    def _pull(self, pulled: list[str]) -> Iterator[str]:
        """The line in `pulled` and those below it, which are added to it, as far as one cell may go."""
        yield pulled[0]
        size, self._gave_up = len(pulled[0]), False
        while line := self.next_line():
            pulled.append(line)
            size += len(line)
            self._gave_up = size >= LONGEST_CELL or (len(pulled) == _MANY_LINES and self._swallows(pulled))
            if self._gave_up:
                return
            yield line

    def _swallows(self, pulled: list[str]) -> bool:
        """Whether the lines inside a quoted cell are rows themselves, so that the quote was opened by mistake."""
        return are_rows(pulled[1:-1], self._delimiter, self._width)

    def _alone(self, bare: str, line: str, *, several: bool) -> Record:
        """A line with broken quotes: as one cell with text beside it, or without any quotes."""
        plain = bare.split(self._delimiter)
        if several or len(re.findall(re.escape(self._quote), bare)) % 2:
            return Record(plain, line, self.line, Fault.UNCLOSED)
        try:
            lenient = next(self._reader([bare.replace("\r", " ")], strict=False))
        except csv.Error:
            return Record(plain, line, self.line, Fault.UNCLOSED)
        if self._width and len(plain) == self._width != len(lenient):
            return Record(plain, line, self.line, Fault.UNCLOSED)
        return Record(lenient, line, self.line, Fault.STRAY)

    def _reader(self, lines: Iterable[str], *, strict: bool) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self._delimiter, quotechar=self._quote, strict=strict)


def are_rows(lines: list[str], delimiter: str, width: int) -> bool:
    """Whether lines that stand inside one cell look like whole rows of `width` cells."""
    return width > 1 and len(lines) >= _FEW_LINES and all(line.count(delimiter) == width - 1 for line in lines)


def undo_escapes(text: str) -> str:
    r"""The text with `\"` written as `""`, and `\\` as one backslash."""
    if "\\\\" not in text:
        return text.replace('\\"', '""')
    return re.sub(r'\\(["\\])', lambda found: '""' if found[1] == '"' else "\\", text)

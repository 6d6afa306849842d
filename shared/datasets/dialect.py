"""How a CSV file is written: its encoding, delimiter, quote and header, found from its first 64 KB.

Standard library only: the bot shows the columns of a file with it, and the core reads the file with it, so both always
agree. The method is the one of most sniffers that do well on polluted files: parse the head with each candidate and
keep the one whose rows have the most constant width and the cleanest cells. The header is decided by evidence column by
column.
"""

import codecs
import csv
import io
import re
import typing
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from shared.errors import failed

HEAD_BYTES = 65_536
DELIMITERS = ",;\t|: "
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", ":": "colon", " ": "space"}

# A file may hold any text; what a machine wrote and no text holds is a control character other than these.
_TEXT_CONTROLS = frozenset("\t\n\r\f\v\x1a\x1c\x1d\x1e\x1f\x85")
_MAGIC = {
    b"PK\x03\x04": "a ZIP or Excel file",
    b"\x1f\x8b": "a gzip file",
    b"%PDF": "a PDF file",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"SQLite format 3": "an SQLite database",
}
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)*|[.,]\d+)([eE][+-]?\d+)?%?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2}.*)?")
_MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?", "-", "--", "<na>", "#n/a", "nil", "."))


class _Reader(typing.Protocol):
    """What csv.reader returns; its own type has no public name."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written, and why it was understood so."""

    encoding: str
    """A Python codec name; `utf-8-sig` and `utf-16` take a byte order mark away themselves."""
    delimiter: str
    quote: str
    has_header: bool
    columns: tuple[str, ...]
    """The names of the columns: trimmed, unique, never empty."""
    header_reason: str = ""
    warnings: tuple[str, ...] = ()

    def parse(self, text: str) -> "_Reader":
        """The rows of `text` as lists of cells; a blank line is an empty list. Raises csv.Error on a cell over 128
        KB.
        """
        return csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, quotechar=self.quote)


def find_dialect(
    head: bytes,
    *,
    sep: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    least_columns: int = 2,
) -> Dialect:
    """Understand a file from its first bytes (64 KB are enough); what is given is taken, the rest is found.

    Raises RunFailed with `dataset_empty`, `dataset_binary`, `encoding_unknown`, `encoding_wrong` or
    `dataset_one_column`.
    """
    if not head.strip():
        raise failed(
            "dataset_empty", "A dataset needs a header and rows; this file is empty.", "Send a CSV file with data."
        )
    cut = len(head) >= HEAD_BYTES
    found, warnings = _encoding(head, encoding, cut=cut)
    text = decode(head, found, final=not cut)
    if not text.strip():
        raise failed(
            "dataset_empty", "A dataset needs a header and rows; this file is blank.", "Send a CSV file with data."
        )
    delimiter, quote, rows = _delimiter(text, sep, cut=cut)
    if max(map(len, rows)) < least_columns:
        shown = DELIMITER_NAMES.get(sep or "", repr(sep)) if sep else "comma, semicolon, tab, bar, colon or space"
        raise failed(
            "dataset_one_column",
            f"A dataset needs at least two columns, one of them the target; with {shown} as the delimiter this file "
            f"has one: {_shorten(rows[0][0])}.",
            "Check the file, or name the delimiter with sep=...",
        )
    has_header, reason = (header, "as told") if header is not None else _has_header(rows)
    names = column_names(rows[0] if has_header else None, len(rows[0]))
    return Dialect(found, delimiter, quote, has_header, names, reason, tuple(warnings))


def column_names(first_row: Sequence[str] | None, width: int) -> tuple[str, ...]:
    """The names of `width` columns: the trimmed cells of the header, `column_k` where there is none.

    A name that was already taken gets `_2`, `_3` and so on. Columns count from 1.
    """
    cells = [] if first_row is None else [cell.strip() for cell in first_row]
    names = [cells[k] if k < len(cells) and cells[k] else f"column_{k + 1}" for k in range(width)]
    # A name that stands in the header as it is keeps it: `a, a, a_2` becomes `a, a_3, a_2`.
    reserved, taken, unique = set(names), set[str](), list[str]()
    for name in names:
        candidate, count = name, 1
        while candidate in taken or (count > 1 and candidate in reserved):
            count += 1
            candidate = f"{name}_{count}"
        taken.add(candidate)
        unique.append(candidate)
    return tuple(unique)


def decode(data: bytes, encoding: str, *, final: bool = True) -> str:
    """The text of `data`; with `final=False` a character that the end of the head cuts is left out, no error.

    Raises UnicodeDecodeError.
    """
    if encoding == "cp1252":  # five bytes of it are undefined; Latin-1 has them, as browsers do
        return data.decode("cp1252", errors="replace").replace("\ufffd", "\u00a4")
    return codecs.getincrementaldecoder(encoding)().decode(data, final)


def _encoding(head: bytes, told: str | None, *, cut: bool) -> tuple[str, list[str]]:
    """The codec of the file and what a person should know of the choice."""
    if told is not None:
        return _told_encoding(head, told, cut=cut), []
    for mark, codec in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(mark):
            return codec, []
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise failed("dataset_binary", f"A dataset is a CSV or Parquet file; this is {what}.", "Save it as CSV.")
    sample = head[: len(head) // 2 * 2]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if even or odd:
        half = len(sample) // 2
        # Most letters of UTF-16 text have one zero byte, always on the same side.
        if odd > 0.4 * half and even < 0.05 * half:
            return "utf-16-le", []
        if even > 0.4 * half and odd < 0.05 * half:
            return "utf-16-be", []
        raise failed(
            "dataset_binary",
            f"A dataset is a CSV or Parquet file; this one is binary ({even + odd} zero bytes in "
            f"its first {len(head)}).",
            "Save it as CSV.",
        )
    try:
        text = decode(head, "utf-8", final=not cut)
    except UnicodeDecodeError:
        text = decode(head, "cp1252")
        _refuse_controls(text)
        return "cp1252", [
            "The file is not UTF-8; it was read as Windows-1252. Check letters with accents, or say encoding=..."
        ]
    _refuse_controls(text)
    return "utf-8", []


def _told_encoding(head: bytes, told: str, *, cut: bool) -> str:
    try:
        codec = codecs.lookup(told).name
        if not codecs.lookup(told)._is_text_encoding:
            raise LookupError(told)
    except LookupError:
        raise failed(
            "encoding_unknown",
            f"An encoding is a name such as utf-8, utf-16, cp1252 or shift_jis; {told!r} is none that is known here.",
            "Give one of these, or leave encoding= out.",
        ) from None
    if codec == "utf-8" and head.startswith(codecs.BOM_UTF8):
        codec = "utf-8-sig"
    try:
        decode(head, codec, final=not cut)
    except UnicodeError as error:
        raise failed(
            "encoding_wrong",
            f"Every byte of the file must be valid in its encoding; as {told} it cannot be read ({error}).",
            "Give another encoding=, or leave it out.",
        ) from None
    return codec


def _refuse_controls(text: str) -> None:
    controls = sum(1 for character in text if character < " " and character not in _TEXT_CONTROLS)
    if controls > max(3, 0.01 * len(text)):
        raise failed(
            "dataset_binary",
            f"A dataset is a CSV or Parquet file; this one is binary ({controls} control characters in its start).",
            "Save it as CSV.",
        )


def _delimiter(text: str, sep: str | None, *, cut: bool) -> tuple[str, str, list[list[str]]]:
    """Delimiter, quote and the rows of the head, for the best-scoring candidate."""
    best: tuple[float, str, str, list[list[str]]] | None = None
    for delimiter in sep or DELIMITERS:
        if delimiter == " " and best is not None and best[0] > 0.5 and not sep:
            break  # text is full of spaces: they count only where nothing else separates
        for quote in ('"', "'"):
            if quote == "'" and not re.search(
                rf"(^|{re.escape(delimiter)})'[^'\n]*'({re.escape(delimiter)}|\r?$)", text, re.MULTILINE
            ):
                continue
            rows = _rows(text, delimiter, quote, cut=cut)
            bare = _rows(_without_quoted(text, quote), delimiter, quote, cut=cut)
            score = _score(bare, delimiter) + (1e-9 if sep else 0.0)
            if rows and (best is None or score > best[0] + 1e-9):
                best = (score, delimiter, quote, rows)
    if best is None or (best[0] <= 0 and not sep):
        rows = _rows(text, ",", '"', cut=cut)
        return ",", '"', rows or [[text.strip()]]
    return best[1:]


def _without_quoted(text: str, quote: str) -> str:
    """The text with each quoted cell as the letter Q: what stands in quotes says nothing about the delimiter."""
    q = re.escape(quote)
    return re.sub(rf"(?<![^,;\t|: \r\n]){q}(?:[^{q}]|{q}{q})*{q}(?=[,;\t|: \r\n]|$)", "Q", text)


def _rows(text: str, delimiter: str, quote: str, *, cut: bool) -> list[list[str]]:
    """The rows of the head that are not blank, without the last one where the head ends in its middle."""
    rows: list[list[str]] = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)
        rows.extend(row for row in reader if len(row) > 1 or (row and row[0].strip()))
    except csv.Error:
        pass  # a cell that never ends: what was read until there decides
    return rows[:-1] if cut and len(rows) > 1 else rows


def _score(rows: list[list[str]], delimiter: str) -> float:
    """How well rows of one candidate hang together, 0 to 1; 0 when most rows have one cell."""
    widths = Counter(map(len, rows))
    if not widths:
        return 0.0
    # Of two widths that are as frequent, the wider tells more.
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    if width < 2:
        return 0.0
    rivals = set(",;\t|") - {delimiter}
    cells = [cell.strip() for row in rows[:200] if len(row) == width for cell in row]
    clean = sum(1 for cell in cells if not rivals.intersection(cell) or _NUMBER.fullmatch(cell))
    regular = count / len(rows)
    # A wrong delimiter that happens to be regular leaves the right one inside its cells.
    return regular * (clean / len(cells)) * (0.999 if delimiter in ": " else 1.0)


@dataclass
class _Evidence:
    """How many columns say what of the first row."""

    as_name: int = 0  # a word above numbers or dates
    as_value: int = 0  # a number or a date, like the cells below it or above words
    repeated: int = 0  # a word that occurs below
    fresh: int = 0  # a word that does not occur below, where few words repeat


def _has_header(rows: list[list[str]]) -> tuple[bool, str]:
    """Whether the first row names the columns, and the evidence in words."""
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    if not rest:
        return True, "there is a single row"
    met = _evidence(first, rest)
    worded = met.as_name or met.fresh or (_has_years(first) and not _has_years(rest[0]))
    if met.as_value and not met.repeated and worded and _counts_up(first):
        return True, "its numbers count up as years do, and words stand beside them"
    if met.as_name > met.as_value:
        return True, f"{_columns(met.as_name)} it holds a word above numbers or dates"
    if met.as_value > met.as_name:
        return False, f"{_columns(met.as_value)} the first row holds a number or date like the rows below it"
    if met.repeated:
        return False, f"{_columns(met.repeated)} the first row's value occurs again below"
    filled = [cell for cell in first if cell]
    differ = len(set(filled)) == len(filled)
    return differ, (
        "its values differ from each other and from the values below"
        if differ
        else "the first row repeats a value, and names of columns differ"
    )


def _evidence(first: list[str], rest: list[list[str]]) -> _Evidence:
    met = _Evidence()
    for k, cell in enumerate(first):
        below = [row[k].strip() for row in rest if len(row) > k and row[k].strip().lower() not in _MISSING]
        if not below or cell.lower() in _MISSING:
            continue
        typed = sum(1 for value in below if _is_typed(value))
        if typed >= 0.9 * len(below):
            if _is_typed(cell):
                met.as_value += 1
            else:
                met.as_name += 1
        elif cell in below:
            met.repeated += 1
        elif _is_typed(cell):
            met.as_value += 1  # a number or a date is hardly the name of a column of words
        elif len(below) >= 10 and len(set(below)) <= 0.2 * len(below):
            met.fresh += 1
    return met


def _counts_up(cells: list[str]) -> bool:
    """Whether the cells that are numbers or dates are two or more successive integers, such as 2019, 2020, 2021."""
    typed = [cell for cell in cells if _is_typed(cell)]
    if len(typed) < 2 or not all(cell.isascii() and cell.isdigit() and len(cell) < 10 for cell in typed):
        return False
    return all(int(after) == int(before) + 1 for before, after in pairwise(typed))


def _has_years(cells: list[str]) -> bool:
    """Whether the numbers among the cells are years, beside at least one word."""
    typed = [cell for cell in cells if _is_typed(cell)]
    words = any(cell.strip() and not _is_typed(cell) for cell in cells)
    return words and all(re.fullmatch(r"(1[89]|20)[0-9]{2}", cell) for cell in typed)


def _is_typed(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _DATE.fullmatch(cell))


def _shorten(text: str, limit: int = 60) -> str:
    return repr(text if len(text) <= limit else text[:limit] + "...")


def _columns(count: int) -> str:
    return "in one column" if count == 1 else f"in {count} columns"

"""How a CSV file is written: its encoding, delimiter, quote, header and layout, found from its first 64 KB.

Standard library only: the bot shows the columns of a file with it, and the core reads the file with it, so both always
agree. The method is the one of most sniffers that do well on polluted files: parse the head with each candidate and
keep the one whose rows have the most constant width and the cleanest cells.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from shared.datasets.dialect_encoding import decode, find_encoding, head_text
from shared.datasets.dialect_header import (
    MOST_PREAMBLE,
    Layout,
    column_names,
    find_layout,
    is_number,
    layout_at,
    merged_names,
    modal_width,
    shorten,
)
from shared.datasets.dialect_records import Record, Records, undo_escapes
from shared.errors import failed

__all__ = [
    "DELIMITERS",
    "DELIMITER_NAMES",
    "HEAD_BYTES",
    "MOST_COLUMNS",
    "Dialect",
    "column_names",
    "decode",
    "find_dialect",
    "like",
]

HEAD_BYTES = 65_536
MOST_COLUMNS = 20_000
DELIMITERS = ",;\t|: "
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", ":": "colon", " ": "space"}
# Excel reads the delimiter from such a first line, and so do we.
_TOLD_INSIDE = re.compile(r"sep=(.)\r?\n")
# Databases and Markdown draw a line of dashes between the header and the rows.
_BORDER = re.compile(r"(?=[^\n]*---)[-+=:|\s]+")


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written, and why it was understood so."""

    encoding: str
    """A Python codec name; `utf-8-sig` and `utf-16` take a byte order mark away themselves."""
    delimiter: str
    quote: str
    """Empty where quotes are letters like any other."""
    has_header: bool
    columns: tuple[str, ...]
    """The names of the columns: trimmed, unique, never empty."""
    header_reason: str = ""
    warnings: tuple[str, ...] = ()
    escape: str = ""
    r"""A backslash where `\"` stands for a quote inside quotes; empty where a doubled quote does."""
    header_rows: int = 1
    """How many rows make the names, 1 or 2; says nothing where there is no header."""
    preamble: int = 0
    """Lines above the table that belong to no row."""
    first_line: int = 1
    """Lines above the first data row: the preamble, the header and blank lines."""

    def parse(self, text: str) -> Iterator[list[str]]:
        """The rows of `text` as lists of cells, from its first line on; a blank line is an empty list."""
        text = undo_escapes(plain_lines(text)) if self.escape else plain_lines(text)
        records = Records(text, delimiter=self.delimiter, quote=self.quote)
        return ([] if record.is_blank and not record.text.strip("\r\n") else record.cells for record in records)


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
    `dataset_one_column`, `dataset_too_wide`.
    """
    if not head.strip():
        raise failed(
            "dataset_empty", "A dataset needs a header and rows; this file is empty.", "Send a CSV file with data."
        )
    cut = len(head) >= HEAD_BYTES
    found, warnings = find_encoding(head, encoding, cut=cut)
    text = plain_lines(head_text(head, found, cut=cut)).replace("\0", "")
    if not text.strip():
        raise failed(
            "dataset_empty", "A dataset needs a header and rows; this file is blank.", "Send a CSV file with data."
        )
    inside, text = _told_inside(text)
    style, records = _style(text, sep or inside, cut=cut)
    if max(len(record.cells) for record in records) < least_columns:
        shown = DELIMITER_NAMES.get(sep or "", repr(sep)) if sep else "comma, semicolon, tab, pipe, colon or space"
        raise failed(
            "dataset_one_column",
            f"A dataset needs at least two columns, one of them the target; with {shown} as the delimiter this file "
            f"has one: {shorten(records[0].cells[0])}.",
            "Check the file, or name the delimiter with sep=...",
        )
    widest = max(len(record.cells) for record in records)
    if widest > MOST_COLUMNS:
        raise failed(
            "dataset_too_wide",
            f"A dataset may have {MOST_COLUMNS:,} columns; this file has a row of {widest:,} cells.",
            "Check that its lines end, or leave columns out.",
        )
    warnings += _letter_quotes(style, records)
    bare = Dialect(found, style.delimiter, style.quote, True, (), warnings=tuple(warnings), escape=style.escape)
    return _laid_out(bare, find_layout(records, header=header))


def like(head: bytes, dialect: Dialect) -> Dialect:
    """The dialect of a file that is written like an earlier one; its names and where it begins are its own.

    A header stands where most of the earlier names are found. Raises UnicodeError.
    """
    cut = len(head) >= HEAD_BYTES
    _, text = _told_inside(plain_lines(decode(head, dialect.encoding, final=not cut)).replace("\0", ""))
    style = _Style(dialect.delimiter, dialect.quote, dialect.escape)
    records = _records(text, style, cut=cut)
    if not records:
        return replace(dialect, columns=(), warnings=(), first_line=0, preamble=0)
    rows = dialect.header_rows if dialect.has_header else 0
    known = set(dialect.columns)

    def hits(k: int) -> int:
        return len(known.intersection(column_names(names := merged_names(_cells(records[k : k + rows])), len(names))))

    skipped = 0
    if rows:
        skipped = max(range(min(len(records), MOST_PREAMBLE)), key=lambda k: (hits(k), -k))
    elif dialect.preamble:
        return replace(_laid_out(dialect, find_layout(records, header=False)), has_header=False)
    # A table may begin below its header with rows of a wrong width: here the header says how many cells there are.
    width = len(records[0].cells) if not rows else min(len(records[skipped].cells), modal_width(records[skipped:]))
    own = layout_at(records, skipped, min(rows, len(records) - skipped), width=width, reason=dialect.header_reason)
    return _laid_out(replace(dialect, warnings=()), own)


def plain_lines(text: str) -> str:
    """The text with lines that end in a line feed, where a lone carriage return ends them."""
    return text.replace("\r", "\n") if "\r" in text and "\n" not in text else text


def _told_inside(text: str) -> tuple[str | None, str]:
    """The delimiter that the first line tells, and the text with an empty line in its place, to keep the numbers."""
    inside = _TOLD_INSIDE.match(text)
    return (inside[1], "\n" + text[inside.end() :]) if inside else (None, text)


@dataclass(frozen=True)
class _Style:
    """One way in which cells may be separated and quoted."""

    delimiter: str
    quote: str
    escape: str = ""


def _laid_out(dialect: Dialect, layout: Layout) -> Dialect:
    return replace(
        dialect,
        has_header=bool(layout.header_rows),
        columns=layout.columns,
        header_reason=layout.header_reason,
        warnings=(*dialect.warnings, *layout.warnings),
        header_rows=layout.header_rows or 1,
        preamble=layout.preamble,
        first_line=layout.first_line,
    )


def _style(text: str, sep: str | None, *, cut: bool) -> tuple[_Style, list[Record]]:
    """The best-scoring way to read the head, and its records."""
    best: tuple[float, _Style, list[Record]] | None = None
    for delimiter in sep or DELIMITERS:
        if delimiter == " " and best is not None and best[0] > 0.5 and not sep:
            break  # text is full of spaces: they count only where nothing else separates
        for style in _candidates(text, delimiter):
            records = _records(text, style, cut=cut)
            bare = _records(_without_quoted(text, style), style, cut=cut)
            if not records:
                continue
            score = _score(_cells(bare), style) * (1 - 0.5 * sum(1 for r in records if r.fault) / len(records))
            score += 1e-9 if sep else 0.0
            if best is None or score > best[0] + 1e-9:
                best = (score, style, records)
    if best is None or (best[0] <= 0 and not sep):
        style = _Style(",", '"')
        return style, _records(text, style, cut=cut) or [Record([text.strip()], text, 1)]
    return best[1:]


def _letter_quotes(style: _Style, records: Sequence[Record]) -> list[str]:
    """What a person should know where quotes are letters: a stray one makes another word of a word."""
    if style.quote:
        return []
    first = next(record for record in records if '"' in record.text)
    cell = next(cell for cell in first.cells if '"' in cell)
    return [
        f"The double quotes do not pair around cells, so they are letters like any other; first in line {first.line}: "
        f"{shorten(cell)}."
    ]


def _candidates(text: str, delimiter: str) -> Iterator[_Style]:
    """The ways of quoting that the text gives reason to try, the usual one first."""
    yield _Style(delimiter, '"')
    if '\\"' in text:
        yield _Style(delimiter, '"', "\\")
    if re.search(rf"(^|{re.escape(delimiter)})'[^'\n]*'({re.escape(delimiter)}|\r?$)", text, re.MULTILINE):
        yield _Style(delimiter, "'")
    if '"' in text:
        yield _Style(delimiter, "")


def _without_quoted(text: str, style: _Style) -> str:
    """The text with each quoted cell as the letter Q: what stands in quotes says nothing about the delimiter."""
    if not style.quote:
        return text
    q = re.escape(style.quote)
    text = undo_escapes(text) if style.escape else text
    return re.sub(rf"(?<![^,;\t|: \r\n]){q}(?:[^{q}]|{q}{q})*{q}(?=[,;\t|: \r\n]|$)", "Q", text)


def _records(text: str, style: _Style, *, cut: bool) -> list[Record]:
    """The records of the head that are neither blank nor a border, without the last where the head ends within it."""
    text = undo_escapes(text) if style.escape else text
    found = Records(text, delimiter=style.delimiter, quote=style.quote)
    records = [record for record in found if not (record.is_blank or _BORDER.fullmatch(record.text))]
    return records[:-1] if cut and len(records) > 1 else records


def _cells(records: Sequence[Record]) -> list[list[str]]:
    return [record.cells for record in records]


def _score(rows: list[list[str]], style: _Style) -> float:
    """How well rows of one candidate hang together, 0 to 1; 0 when most rows have one cell."""
    widths = Counter(map(len, rows))
    if not widths:
        return 0.0
    # Of two widths that are as frequent, the wider tells more.
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    if width < 2:
        return 0.0
    rivals = set(",;\t|") - {style.delimiter}
    cells = [cell.strip() for row in rows[:200] if len(row) == width for cell in row]
    clean = sum(1 for cell in cells if not rivals.intersection(cell) or is_number(cell))
    # A wrong delimiter that happens to be regular leaves the right one inside its cells.
    score = count / len(rows) * (clean / len(cells)) * (0.999 if style.delimiter in ": " else 1.0)
    return score if style.quote else 0.8 * score

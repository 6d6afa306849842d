"""Where a table begins in its file and what names its columns: titles above it, one header row, two, or none.

The header is decided by evidence column by column: names stand above values that they do not resemble.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from shared.datasets.dialect_records import Record, Records

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)*|[.,]\d+)([eE][+-]?\d+)?%?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2}.*)?")
_MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?", "-", "--", "<na>", "#n/a", "nil", "."))
# What people cannot see in a name: zero-width characters and marks of byte order.
_UNSEEN = "\u200b\u200c\u200d\u2060\ufeff"
_DELIMITERS_OF_NAMES = ",;\t|"
MOST_PREAMBLE = 50


@dataclass(frozen=True)
class Layout:
    """Where the rows of a table begin, and how its columns are called."""

    preamble: int
    """Lines above the table that belong to no row."""
    header_rows: int
    """0, 1 or 2."""
    first_line: int
    """Lines above the first data row: the preamble, the header and blank lines."""
    columns: tuple[str, ...]
    header_reason: str
    warnings: tuple[str, ...] = ()


def find_layout(records: Sequence[Record], *, header: bool | None) -> Layout:
    """The layout of the file whose head holds these records, none of them blank."""
    width = modal_width(records)
    if header is not False and _has_foreign_header(records, width):
        reason = "it has as many names as the rows have cells, with another delimiter"
        return layout_at(records, 0, 1, width=width, reason=reason)
    skipped = _preamble(records, width, header=header)
    table = records[skipped:]
    rows = [record.cells for record in table]
    two = header is not False and _has_two_rows(rows)
    if header is not None:
        has_header, reason = header, "as told"
    elif two:
        has_header, reason = True, "the second row holds words above numbers or dates"
    else:
        has_header, reason = _has_header(rows)
    header_rows = 0 if not has_header else 2 if two else 1
    return layout_at(records, skipped, header_rows, width=width, reason=reason)


def layout_at(records: Sequence[Record], skipped: int, header_rows: int, *, width: int, reason: str) -> Layout:
    """The layout when the table begins at record `skipped`, with so many header rows and mostly `width` cells a row."""
    rows = [record.cells for record in records[skipped:]]
    body = rows[header_rows:]
    warnings = list[str]()
    if header_rows:
        names = merged_names(rows[:header_rows])
        if header_rows == 1 and (foreign := _foreign_names(records[skipped : skipped + 1], body)):
            names, delimiter = foreign
            warnings.append(
                f"The header separates its names by {delimiter!r} and the rows do not; it was taken as such."
            )
        while len(names) > width and not names[-1].strip():
            names = names[:-1]
        if _begins_with_row_names(names, body, width):
            names = ["", *names]
            warnings.append(
                f"The header has one name less than the rows have cells; the first cell of each row was taken for the "
                f"row's name, as R writes it, and stands in `{column_names(names, 1)[0]}`."
            )
        elif len(names) < width and all(not any(cell.strip() for cell in row[len(names) :]) for row in body):
            names += [""] * (width - len(names))
    else:
        names = [""] * width
    warnings += _repeated_names(names)
    preamble = records[skipped].line - 1 if skipped else 0
    if preamble:
        lines = "1 line" if preamble == 1 else f"{preamble} lines"
        shown = records[0].text.strip()
        warnings.append(
            f"{lines} above the table {'was' if preamble == 1 else 'were'} skipped, first {shorten(shown)}."
        )
    first = skipped + header_rows
    above = records[first].line - 1 if first < len(records) else _end_line(records[first - 1])
    return Layout(preamble, header_rows, above, column_names(names, len(names)), reason, tuple(warnings))


def modal_width(records: Sequence[Record]) -> int:
    """The number of cells that most records have; of two that are as frequent the larger, for it tells more."""
    widths = Counter(len(record.cells) for record in records)
    return max(widths.items(), key=lambda item: (item[1], item[0]))[0]


def column_names(first_row: Sequence[str] | None, width: int) -> tuple[str, ...]:
    """The names of `width` columns: the trimmed cells of the header, `column_k` where there is none.

    A name that was already taken gets `_2`, `_3` and so on. Columns count from 1.
    """
    cells = [] if first_row is None else [_clean_name(cell) for cell in first_row]
    names = [cells[k] if k < len(cells) and cells[k] else f"column_{k + 1}" for k in range(width)]
    # A name that stands in the header as it is keeps it: `a, a, a_2` becomes `a, a_3, a_2`.
    reserved, taken, unique = set(names), set[str](), list[str]()
    counts = dict[str, int]()
    for name in names:
        count = counts.get(name, 1)
        candidate = name if count == 1 else f"{name}_{count}"
        while candidate in taken or (count > 1 and candidate in reserved):
            count += 1
            candidate = f"{name}_{count}"
        taken.add(candidate)
        counts[name] = count
        unique.append(candidate)
    return tuple(unique)


def merged_names(rows: Sequence[Sequence[str]]) -> list[str]:
    """One name a column from one or two header rows; an upper cell also stands over the empty cells to its right."""
    if len(rows) == 1:
        return list(rows[0])
    upper, lower = [[_clean_name(cell) for cell in row] for row in rows]
    over, names = "", list[str]()
    for k in range(max(len(upper), len(lower))):
        own, below = (upper[k] if k < len(upper) else ""), (lower[k] if k < len(lower) else "")
        # Only where a name is below does an upper one reach to the right.
        over = own if own or not below else over
        names.append(f"{over} {below}".strip())
    return names


def is_number(cell: str) -> bool:
    """Whether a cell is a number, however its decimals, thousands and percent are written."""
    return bool(_NUMBER.fullmatch(cell))


def shorten(text: str, limit: int = 60) -> str:
    """The text in quotes, cut where it is long."""
    return repr(text if len(text) <= limit else text[:limit] + "...")


def _preamble(records: Sequence[Record], width: int, *, header: bool | None) -> int:
    """How many records stand above the table: titles, notes and comments."""
    first = next(
        (k for k, record in enumerate(records) if _may_be_first(record, records[k + 1 :], width)), len(records)
    )
    if first in (0, len(records)) or first > MOST_PREAMBLE:
        return 0
    if header is not False and _evidence_of(records[first:]).as_name:
        return first
    few = 0
    while few < first and (_is_comment(records[few]) or _filled(records[few]) <= 1):
        few += 1
    return few


def _has_foreign_header(records: Sequence[Record], width: int) -> bool:
    """Whether the first record names the columns with a delimiter of its own, above rows that have no other header."""
    rows = [record.cells for record in records[1:]]
    if len(rows) < 2 or len(rows[0]) != width or not _foreign_names(records[:1], rows):
        return False
    met = _evidence([cell.strip() for cell in rows[0]], rows[1:])
    return met.as_value > met.as_name


def _foreign_names(header: Sequence[Record], body: Sequence[Sequence[str]]) -> tuple[list[str], str] | None:
    """The names in the one cell of a header, and what separates them, where they are as many as the rows have cells."""
    widths = Counter(map(len, body))
    if not header or len(header[0].cells) != 1 or not widths:
        return None
    width = widths.most_common(1)[0][0]
    for delimiter in _DELIMITERS_OF_NAMES:
        names = next(iter(Records(header[0].text, delimiter=delimiter, quote='"'))).cells
        cleaned = {_clean_name(name) for name in names}
        if width == len(names) == len(cleaned) > 1 and all(name and not _is_typed(name) for name in cleaned):
            return names, delimiter
    return None


def _may_be_first(record: Record, after: Sequence[Record], width: int) -> bool:
    """Whether a record may be the first of the table: as wide as most, no lone title, no comment above a header."""
    if len(record.cells) != width:
        return False
    if _is_comment(record):
        return not (after and len(after[0].cells) == width and not any(map(_is_typed, after[0].cells)))
    # Spreadsheets pad a title, and further ones below it, to the width of the table.
    below = next((other for other in after[:MOST_PREAMBLE] if not _is_title(other)), None)
    return not (width > 2 and _is_title(record) and below is not None and _filled(below) > 1)


def _is_title(record: Record) -> bool:
    """Whether nothing but the first cell is filled, if that."""
    return not any(cell.strip() for cell in record.cells[1:])


def _is_comment(record: Record) -> bool:
    return record.text.lstrip().startswith("#")


def _filled(record: Record) -> int:
    return sum(1 for cell in record.cells if cell.strip())


def _evidence_of(records: Sequence[Record]) -> "_Evidence":
    return _evidence([cell.strip() for cell in records[0].cells], [record.cells for record in records[1:]])


def _begins_with_row_names(names: Sequence[str], body: Sequence[Sequence[str]], width: int) -> bool:
    """Whether every row has one cell more than the header, the first being a name of its own, as R writes tables."""
    if len(names) != width - 1 or len(body) < 2 or any(len(row) != width for row in body):
        return False
    firsts = [row[0].strip() for row in body]
    return all(firsts) and len(set(firsts)) == len(firsts) and any(row[-1].strip() for row in body)


def _has_two_rows(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the second row belongs to the header: words above numbers or dates in two columns or more.

    A unit or a quarter is no missing value, and no value of a column of words occurs again below.
    """
    if len(rows) < 6 or abs(len(rows[0]) - len(rows[1])) > 1:
        return False
    above, second, rest = rows[0], [cell.strip() for cell in rows[1]], rows[2:]
    words = 0
    for k, cell in enumerate(second):
        below = [row[k].strip() for row in rest if len(row) > k and row[k].strip().lower() not in _MISSING]
        upper = above[k].strip() if k < len(above) else ""
        if not below or (not cell and upper):
            continue
        typed = sum(map(_is_typed, below))
        if typed == len(below):
            if _is_typed(cell) or cell.lower() in _MISSING:
                return False
            words += 1
        elif cell and (cell in below or typed):
            return False
    return words >= 2 and len({*second} - {""}) > 0


def _end_line(record: Record) -> int:
    """The line (from 1) in which a record ends."""
    return record.line + record.text.rstrip("\r\n").count("\n")


def _repeated_names(names: Sequence[str]) -> list[str]:
    """What is said of columns that have the same name."""
    counts = Counter(map(_clean_name, names))
    repeated = [name for name, count in counts.items() if name and count > 1]
    if not repeated:
        return []
    called = column_names(names, len(names))
    first = [called[k] for k, name in enumerate(names) if _clean_name(name) == repeated[0]]
    more = f", and {len(repeated) - 1} more names repeat" if len(repeated) > 1 else ""
    return [f"{len(first)} columns have the same name; they are called {_listed(first)}{more}."]


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(f"`{name}`" for name in names[:most]) + (" and so on" if len(names) > most else "")


def _clean_name(cell: str) -> str:
    """The cell without the space and the unseen characters around it."""
    return cell.strip().strip(_UNSEEN).strip()


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


@dataclass
class _Evidence:
    """How many columns say what of the first row."""

    as_name: int = 0  # a word above numbers or dates
    as_value: int = 0  # a number or a date, like the cells below it or above words
    repeated: int = 0  # a word that occurs below
    fresh: int = 0  # a word that does not occur below, where few words repeat


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


def _columns(count: int) -> str:
    return "in one column" if count == 1 else f"in {count} columns"

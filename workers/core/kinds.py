"""What the cells of a column are: decided from the cells and the column's name, with the reason in words."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl

from workers.core.dates import DateFormat, Order, find_format, looks_dated, looks_unread
from workers.core.number_ways import find_ways, said_of
from workers.core.numbers import PLAIN, NumberStyle, find_style, looks_written, may_be_grouped, spread
from workers.core.texts import find_tokens
from workers.core.words import BOOLEAN_PAIRS, INTEGER, MISSING_WORDS, NUMBER, SPACE, UUID, whole

MOSTLY = 0.95  # the share of cells that makes a column a number or an identifier
MOSTLY_DATES = 0.98
TEXT_SHARE = 0.8  # strings that differ in more than this share of the rows are text
TEXT_LEAST = 20
_SENTENCE_SHARE, _SENTENCE_WORDS = 0.2, 3.0  # as are longer ones that differ in more than this share
_MOST_CODES, _CODE_REPEATS = 1_000, 5  # different codes, and how many rows share one
_LONG_INTEGER, _EXACT = r"\A[1-9][0-9]{15,99}\z", 2.0**53  # above, not every whole number is a double
_NANOSECONDS = (1e18, 2e18)  # since 1970, in 2001 to 2033
_LEAST_FORMAT_SHARE = 0.1
_MOST_STRAY_WORDS, _MOST_STRAY_SHARE, _MOST_OF_ONE_WORD = 10, 0.1, 0.25
_COLLAPSED_ROWS = 100_000

_CODE_NAMES = frozenset(("zip", "zipcode", "postcode", "postal", "plz", "code", "type", "class", "category", "kind"))
_ID_NAMES = frozenset(("id", "ids", "uuid", "guid", "identifier"))
_INDEX_NAMES = frozenset(
    ("index", "idx", "row", "rownum", "row number", "rownumber", "row id", "unnamed", "sno", "s no", "#", "nr", "no")
)


class Kind(StrEnum):
    """What a column holds."""

    NUMBER = "number"  # also a time of day, as a fraction of the day
    BOOLEAN = "boolean"  # one of the pairs of `words.BOOLEAN_PAIRS`
    CATEGORY = "category"  # one of some words
    DATE = "date"  # a day, with a time or without
    TEXT = "text"  # several words, of which some occur in many rows
    ID = "id"  # names a row and says nothing about others: not used
    CONSTANT = "constant"  # a single value, or none: not used


@dataclass(frozen=True)
class Values:
    """The cells of a column that are not missing, trimmed, each different one once where that is much less."""

    name: str
    cells: pl.Series
    """In the order in which they first occur."""
    counts: np.ndarray
    """[len(cells)] int64."""
    distinct: int
    missing: int

    @property
    def total(self) -> int:
        """How many cells are not missing."""
        return int(self.counts.sum())

    def count(self, matched: pl.Series) -> int:
        """How many cells are marked by [len(cells)] bool."""
        return int(self.counts[matched.to_numpy()].sum())


@dataclass(frozen=True)
class Reading:
    """How the cells of a column are read."""

    kind: Kind
    reason: str
    others: int = 0
    """Cells that are neither missing nor what the kind says; they count as missing."""
    style: NumberStyle = PLAIN
    date: DateFormat | None = None
    doubt: str = ""
    """What was assumed where the cells left it open."""
    used: bool = True


def column_values(name: str, cells: pl.Series) -> Values:
    """The values of a column as it stands in the table, String without nulls."""
    cells = cells.alias("cell")
    head = cells.head(_COLLAPSED_ROWS)
    if len(cells) > len(head) and head.n_unique() > len(head) // 2:
        trimmed = cells.str.strip_chars(SPACE)
        present = trimmed.filter(~trimmed.is_in(MISSING_WORDS))
        ones = np.ones(len(present), dtype=np.int64)
        return Values(name, present, ones, present.n_unique(), len(cells) - len(present))
    raw = cells.to_frame().group_by("cell", maintain_order=True).len()
    different = raw.with_columns(pl.col("cell").str.strip_chars(SPACE))
    if different["cell"].n_unique() < raw.height:
        different = different.group_by("cell", maintain_order=True).agg(pl.col("len").sum())
    known = different.filter(~pl.col("cell").is_in(MISSING_WORDS))
    counts = known["len"].to_numpy().astype(np.int64)
    return Values(name, known["cell"], counts, known.height, len(cells) - int(counts.sum()))


def find_kind(values: Values, *, unnamed: bool, comma: bool) -> Reading:
    """The kind that the cells show. `unnamed`: its name is ours; `comma`: in doubt, a comma is a decimal comma."""
    total = values.total
    if total == 0:
        return Reading(Kind.CONSTANT, "every cell is missing", used=False)
    if values.distinct == 1 and not values.missing:
        return Reading(Kind.CONSTANT, f"every cell is {quote(values.cells[0])}", used=False)
    evidence = _id_evidence(values, unnamed=unnamed)
    if evidence:
        return Reading(Kind.ID, evidence, used=False)
    return best_kind(values, comma=comma)


def best_kind(values: Values, *, comma: bool) -> Reading:
    """The kind of cells that are no identifiers."""
    words = set(values.cells.str.to_lowercase()) if values.distinct <= 8 else set()
    if len(words) == 2 and any(words == set(pair) for pair in BOOLEAN_PAIRS):
        return Reading(Kind.BOOLEAN, f"its cells are {' or '.join(sorted(words))}")
    for look in (_as_plain_number, _as_date, as_number):
        reading = look(values, comma=comma)
        if reading and reading.others <= _allowed(reading) * values.total:
            return reading
    return _stray_words(values, comma=comma) or _as_words(values)


def as_number(values: Values, *, comma: bool) -> Reading | None:
    """The cells as numbers of the best style; None where none is one. The reader decides whether enough are."""
    if not looks_written(spread(values.cells, 1_000)).any():
        return None
    style, doubt = find_style(values.cells, comma=comma)
    are_numbers = values.cells.str.contains(whole(style.pattern))
    read = values.count(are_numbers)
    if not read:
        return None
    doubt = doubt or _without_unit(values, are_numbers, style.after or style.before)
    reason = _share(read, values.total, "numbers")
    reason += "" if style.is_plain else f" written with {style.said()}"
    return Reading(
        Kind.NUMBER, f"{reason}; {doubt}" if doubt else reason, values.total - read, style=style, doubt=doubt
    )


def _without_unit(values: Values, are_numbers: pl.Series, unit: str) -> str:
    """That some numbers stand without the unit of the others, in words; '' where none does. Zero needs no unit."""
    if not unit:
        return ""
    bare = are_numbers & ~values.cells.str.contains(unit, literal=True) & values.cells.str.contains("[1-9]")
    count = values.count(bare)
    if not count:
        return ""
    cells = "1 cell has" if count == 1 else f"{count} cells have"
    return f"{cells} no `{unit}`, such as {quote(values.cells.filter(bare)[0])}; read as if there were one"


def as_date(values: Values, *, day_first: bool, told: bool = False) -> Reading | None:
    """The cells as dates of the best format; None where none is one. `told`: numbers are moments whatever its name."""
    found = find_format(values.cells, name="date" if told else values.name, day_first=day_first)
    if not found:
        return None
    form, doubt = found
    read = values.count(values.cells.str.contains(whole(form.pattern)))
    kind, what = (Kind.NUMBER, "times") if form.order is Order.TIME else (Kind.DATE, "dates")
    reason = f"{_share(read, values.total, what)} ({form.said()})"
    reason = f"{reason}; {doubt}" if doubt else reason
    return Reading(kind, reason, values.total - read, date=form, doubt="" if form.is_counted else doubt)


def names_an_id(name: str) -> bool:
    """Whether a name such as id, user_id, customerID, Order Id, uuid or id_order says identifier."""
    parts = name_parts(name)
    return bool(parts) and (parts[-1] in _ID_NAMES or parts[0] in _ID_NAMES)


def name_parts(name: str) -> list[str]:
    """The words in a name such as order_id, orderID or Order Id, in lower case."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]


def quote(value: str, limit: int = 40) -> str:
    """A cell in quotes, its start where it is long."""
    return repr(value if len(value) <= limit else value[:limit] + "...")


def _allowed(reading: Reading) -> float:
    """The share of cells that may be something else."""
    return 1.0 - (MOSTLY_DATES if reading.date and reading.date.order is not Order.YMD else MOSTLY)


def _as_plain_number(values: Values, *, comma: bool) -> Reading | None:
    """Numbers as programs write them, and what such numbers may stand for: dates, codes."""
    total, numbers = values.total, values.count(values.cells.str.contains(whole(NUMBER)))
    if numbers < MOSTLY * total:
        return None
    # "1,234" among "950" and "12" is a number too, and "1.234" may be 1234.
    grouped = comma and may_be_grouped(values.cells)
    written = as_number(values, comma=comma) if numbers < total or grouped else None
    if written and written.others < total - numbers + grouped:
        return written
    if numbers < total:
        return Reading(Kind.NUMBER, _share(numbers, total, "numbers"), total - numbers)
    counted = as_date(values, day_first=False)
    if counted and not counted.others:
        return counted
    code = _code_evidence(values) or _long_code(values.cells)
    if code:
        return Reading(Kind.CATEGORY, f"{values.distinct} different words; {code}")
    return Reading(Kind.NUMBER, _share(numbers, total, "numbers"))


def _as_date(values: Values, *, comma: bool) -> Reading | None:
    return as_date(values, day_first=comma)


def _code_evidence(values: Values) -> str:
    """Why whole numbers are names of something; '' where nothing says so. Being few is no evidence."""
    if not 2 < values.distinct <= min(_MOST_CODES, values.total // _CODE_REPEATS):
        return ""
    parts = name_parts(values.name)
    named = bool(parts) and (parts[-1] in _CODE_NAMES or names_an_id(values.name))
    zeros = bool(values.cells.str.contains(r"\A0[0-9]+\z").any())
    if not (named or zeros) or not values.cells.str.contains(whole(INTEGER)).all():
        return ""
    return "its name says that its numbers are codes" if named else "its numbers start with zeros, as codes do"


def _long_code(cells: pl.Series) -> str:
    """Why digits name something however seldom they repeat: phone numbers, accounts; '' where nothing says so."""
    head = cells.head(100)
    if head.str.contains(r"\A0[0-9]+\z").all() and cells.str.contains(r"\A0[0-9]+\z").all():
        are_alike = cells.str.len_bytes().n_unique() == 1
        return "all its numbers start with zeros and are equally long, as codes are" if are_alike else ""
    if not head.str.contains(_LONG_INTEGER).all() or not cells.str.contains(_LONG_INTEGER).all():
        return ""
    known, (first, last) = cells.cast(pl.Float64), _NANOSECONDS
    if (known <= _EXACT).any() or known.is_between(first, last).all():
        return ""
    return "its whole numbers have 16 digits or more, as codes do"


def _stray_words(values: Values, *, comma: bool) -> Reading | None:
    """Many different numbers or dates and a few words that repeat ("unknown"): numbers or dates with gaps."""
    for look in (as_number, lambda values, comma: as_date(values, day_first=comma)):
        reading = look(values, comma=comma)
        if not reading:
            continue
        pattern = reading.date.pattern if reading.date else reading.style.pattern
        read = int(values.cells.str.contains(whole(pattern)).sum())
        words = len(values.cells) - read
        share = _MOST_OF_ONE_WORD if words == 1 else _MOST_STRAY_SHARE
        if reading.others <= share * values.total and words <= _MOST_STRAY_WORDS and read > TEXT_LEAST:
            return reading
    return None


def _as_words(values: Values) -> Reading:
    distinct, total, mixed = values.distinct, values.total, _mixed_dates(values) or _unread_dates(values)
    ways = [] if mixed else find_ways(values.cells, values.counts)
    if ways:
        mixed = f"its numbers are {said_of(ways, total)}"
        if distinct > total // _CODE_REPEATS:
            return Reading(Kind.TEXT, mixed, used=False)
    if distinct >= TEXT_LEAST and (distinct > TEXT_SHARE * total or _holds_sentences(values)):
        if mixed:
            return Reading(Kind.TEXT, mixed, used=False)
        return as_text(values) or Reading(
            Kind.TEXT, f"{distinct} different values in {total} cells, and no words that some of them share", used=False
        )
    return Reading(Kind.CATEGORY, _words(distinct), doubt=mixed)


def _mixed_dates(values: Values) -> str:
    """That the cells are dates which no single format reads, in words; '' where they are no dates."""
    dated = values.count(looks_dated(values.cells)) >= MOSTLY * values.total
    reading = as_date(values, day_first=False) if dated else None
    if not reading or not reading.date or reading.others > (1 - _LEAST_FORMAT_SHARE) * values.total:
        return ""
    other = values.cells.filter(~values.cells.str.contains(whole(reading.date.pattern)))[0]
    return (
        f"its cells are dates of several formats ({values.total - reading.others} of {values.total} are "
        f"{reading.date.said()}, {quote(other)} is not); write them in one"
    )


def _unread_dates(values: Values) -> str:
    """That the cells look like dates of a format that is not read, in words; '' where they do not, or are few."""
    if values.distinct < TEXT_LEAST or not _starts_like(values.cells, r"[0-9]"):
        return ""
    if values.count(looks_unread(values.cells)) < MOSTLY * values.total:
        return ""
    return (
        f"its cells look like dates of a format that is not read ({quote(values.cells[0])}); write them as 2024-12-31"
    )


def as_text(values: Values) -> Reading | None:
    """The cells as texts; None where they share no words."""
    tokens = find_tokens(values.cells, values.counts)
    if len(tokens) < 2:
        return None
    return Reading(Kind.TEXT, f"{values.distinct} different texts that share words such as {quote(tokens[0])}")


def _holds_sentences(values: Values) -> bool:
    if values.distinct <= _SENTENCE_SHARE * values.total:
        return False
    blanks = spread(values.cells, 1_000).str.count_matches(" ", literal=True).mean()
    return isinstance(blanks, float) and blanks + 1 >= _SENTENCE_WORDS


def _id_evidence(values: Values, *, unnamed: bool) -> str:
    """Why the column identifies rows; '' where nothing in its name or pattern says so. Being unique is no evidence."""
    total, cells = values.total, values.cells
    if values.distinct < MOSTLY * total or total < 2:
        return ""
    if _starts_like(cells, whole(UUID)) and values.count(cells.str.contains(whole(UUID))) >= MOSTLY * total:
        return "its cells are UUIDs, one for each row"
    index = unnamed or re.sub(r"[^a-z#]+", " ", values.name.lower()).strip() in _INDEX_NAMES
    if not index and not names_an_id(values.name):
        return _long_code(cells)
    integers = values.count(cells.str.contains(whole(INTEGER)))
    if names_an_id(values.name):
        numbers = values.count(cells.str.contains(whole(NUMBER)))
        if integers == total or numbers < MOSTLY * total:
            return "its name says identifier, and hardly a value repeats"
    # Values that all differ stand as they do in the file.
    if index and integers == total == values.distinct and bool((cells.cast(pl.Float64).diff().drop_nulls() == 1).all()):
        return "it counts the rows"
    return _long_code(cells)


def _starts_like(cells: pl.Series, pattern: str) -> bool:
    return bool(cells.head(100).str.contains(pattern).any())


def _share(count: int, total: int, what: str) -> str:
    return f"all {total} cells are {what}" if count == total else f"{count} of {total} cells are {what}"


def _words(distinct: int) -> str:
    return "a single word" if distinct == 1 else f"{distinct} different words"


READERS: dict[Kind, Callable[[Values, bool], Reading | None]] = {
    Kind.NUMBER: lambda values, comma: as_number(values, comma=comma),
    Kind.DATE: lambda values, comma: as_date(values, day_first=comma, told=True),
    Kind.TEXT: lambda values, _: as_text(values),
    Kind.CATEGORY: lambda values, _: Reading(Kind.CATEGORY, _words(values.distinct)),
}

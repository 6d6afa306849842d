"""What each column of a table is: a number, a category, a date, an identifier ... and why.

A column's kind follows from its cells in the whole file and its name; nothing here is fitted. Statistics and
vocabularies come later, from the training part only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import polars as pl

from workers.core.words import BOOLEAN_PAIRS, DATE, INTEGER, MISSING_WORDS, NUMBER, SPACE, UUID, whole

MOSTLY = 0.95  # the share of cells that makes a column a number, a date or an identifier
TEXT_SHARE = 0.8  # strings that differ in more than this share of the rows are text
TEXT_LEAST = 20

# Numbers as people write them: a decimal comma, thousands separators, a currency, a percent sign.
_WRITTEN_NUMBER = r"[+-]?[$€£¥]? ?[+-]?[0-9][0-9.,' ]*[0-9.]? ?[$€£¥%]?"


class Kind(StrEnum):
    """What a column holds."""

    NUMBER = "number"
    BOOLEAN = "boolean"  # one of the pairs true/false, yes/no, y/n, t/f
    CATEGORY = "category"  # one of some words
    DATE = "date"  # YYYY-MM-DD, with a time or without
    TEXT = "text"  # words that hardly repeat: not used yet
    ID = "id"  # names a row and says nothing about others: not used
    CONSTANT = "constant"  # a single value, or none: not used


FEATURE_KINDS = frozenset((Kind.NUMBER, Kind.BOOLEAN, Kind.CATEGORY, Kind.DATE))


@dataclass(frozen=True)
class Column:
    """One column of the file as it was understood."""

    name: str
    kind: Kind
    reason: str
    used: bool
    """Whether it is a feature of the model."""
    missing: int = 0
    others: int = 0
    """Cells that are neither missing nor what the kind says; they count as missing."""
    identifies: bool = True
    """Whether its cells tell rows apart for the split: true of every feature that the file offers, dropped or not."""


def trimmed(name: str) -> pl.Expr:
    """The cells of a column without the blanks around them."""
    return pl.col(name).str.strip_chars(SPACE)


def understand(frame: pl.DataFrame, *, target: str, drop: Sequence[str], unnamed: frozenset[str]) -> list[Column]:
    """The columns of `frame` (strings only) but the target, in the file's order.

    `unnamed` holds the names that we gave to columns whose header cell is empty, as an index written by a library is.
    An identifier that is the only feature left is used after all.
    """
    columns = [_understand(frame, name, unnamed) for name in frame.columns if name != target]
    kept = [replace(c, used=False, reason="left out with drop=") if c.name in drop else c for c in columns]
    if not any(c.used for c in kept):
        kept = [_use_after_all(frame, c) if c.kind is Kind.ID and c.name not in drop else c for c in kept]
    return kept


def _understand(frame: pl.DataFrame, name: str, unnamed: frozenset[str]) -> Column:
    cells = frame.select(trimmed(name)).to_series()
    present = cells.filter(~cells.is_in(MISSING_WORDS))
    missing, total, distinct = len(cells) - len(present), len(present), present.n_unique()
    if total == 0:
        return Column(name, Kind.CONSTANT, "every cell is missing", used=False, missing=missing, identifies=False)
    if distinct == 1 and not missing:
        reason = f"every cell is {_quote(present[0])}"
        return Column(name, Kind.CONSTANT, reason, used=False, identifies=False)
    reason = _id_evidence(name, present, distinct, unnamed)
    if reason:
        return Column(name, Kind.ID, reason, used=False, missing=missing, identifies=False)
    kind, reason, others = _kind(present, distinct)
    used = kind in FEATURE_KINDS
    return Column(name, kind, reason, used=used, missing=missing, others=others, identifies=used)


def _kind(present: pl.Series, distinct: int) -> tuple[Kind, str, int]:
    """The kind of cells that are not missing, the reason, and how many cells are not of that kind."""
    total = len(present)
    numbers = int(present.str.contains(whole(NUMBER)).sum())
    if numbers >= MOSTLY * total:
        return Kind.NUMBER, _share(numbers, total, "numbers"), total - numbers
    words = set(present.unique().str.to_lowercase()) if distinct <= 8 else set()
    if len(words) == 2 and any(words == set(pair) for pair in BOOLEAN_PAIRS):
        return Kind.BOOLEAN, f"its cells are {' or '.join(sorted(words))}", 0
    dates = int(present.str.contains(whole(DATE)).sum())
    if dates >= MOSTLY * total:
        return Kind.DATE, _share(dates, total, "dates"), total - dates
    if distinct >= TEXT_LEAST and distinct > TEXT_SHARE * total:
        if int(present.str.contains(whole(_WRITTEN_NUMBER)).sum()) >= MOSTLY * total:
            reason = f"cells such as {_quote(present[0])} are not read as numbers yet; write them as 1234.5"
            return Kind.TEXT, reason, 0
        return Kind.TEXT, f"{distinct} different values in {total} cells; text is not used yet", 0
    return Kind.CATEGORY, f"{distinct} different words", 0


def _id_evidence(name: str, present: pl.Series, distinct: int, unnamed: frozenset[str]) -> str:
    """Why the column identifies rows; '' where nothing in its name or pattern says so. Being unique is no evidence."""
    total = len(present)
    if distinct < MOSTLY * total or total < 2:
        return ""
    if int(present.str.contains(whole(UUID)).sum()) >= MOSTLY * total:
        return "its cells are UUIDs, one for each row"
    integers = int(present.str.contains(whole(INTEGER)).sum())
    if _names_an_id(name):
        numbers = int(present.str.contains(whole(NUMBER)).sum())
        if integers == total or numbers < MOSTLY * total:
            return "its name says identifier, and hardly a value repeats"
    if (name in unnamed or _names_an_index(name)) and integers == total:
        steps = present.cast(pl.Float64).diff().drop_nulls()
        if bool((steps == 1).all()):
            return "it counts the rows"
    return ""


def _names_an_id(name: str) -> bool:
    """Whether a name such as id, user_id, customerID, Order Id, uuid or id_order says identifier."""
    parts = [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]
    ids = {"id", "ids", "uuid", "guid", "identifier"}
    return bool(parts) and (parts[-1] in ids or parts[0] in ids)


def _names_an_index(name: str) -> bool:
    words = re.sub(r"[^a-z#]+", " ", name.lower()).strip()
    return words in {
        "index",
        "idx",
        "row",
        "rownum",
        "row number",
        "rownumber",
        "row id",
        "unnamed",
        "sno",
        "s no",
        "#",
        "nr",
        "no",
    }


def _use_after_all(frame: pl.DataFrame, column: Column) -> Column:
    cells = frame.select(trimmed(column.name)).to_series()
    present = cells.filter(~cells.is_in(MISSING_WORDS))
    kind, _, others = _kind(present, present.n_unique())
    kind = Kind.CATEGORY if kind is Kind.TEXT else kind
    reason = f"looks like an identifier ({column.reason}), but no other feature is left"
    return replace(column, kind=kind, reason=reason, used=True, others=others, identifies=True)


def _share(count: int, total: int, what: str) -> str:
    return f"all {total} cells are {what}" if count == total else f"{count} of {total} cells are {what}"


def _quote(value: str, limit: int = 40) -> str:
    return repr(value if len(value) <= limit else value[:limit] + "...")

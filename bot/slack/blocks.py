"""The few Block Kit blocks that cards are made of, each within Slack's limits.

A text that LML did not write (a column, a class, a file's name, an error) goes into `plain_text` or `raw_text`, where
nothing can mention, link or format. Where Slack wants mrkdwn, it is escaped.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

Block = dict[str, Any]
Element = dict[str, Any]
"""A part of a block: a button, a field, an option."""

HEADER_CHARACTERS = 150
SECTION_CHARACTERS = 3_000
TABLE_ROWS = 100
TABLE_COLUMNS = 20
CELL_CHARACTERS = 200
DATA_TABLE_ROWS = 201
PAGE_ROWS = 5
CAPTION_CHARACTERS = 150
MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MESSAGE_CHARACTERS = 12_000
"""Of the blocks as JSON. Slack refuses somewhat above 13,000 (`msg_blocks_too_long`), which its pages do not say."""

STATE_ICONS = {
    "preparing": "🕓",
    "gathering": "🔄",
    "queued": "🕓",
    "running": "🔄",
    "succeeded": "✅",
    "failed": "❌",
    "cancelled": "⏹️",
    "refused": "🚫",
}
"""What a state looks like, at a glance."""

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters and marks that turn the direction of the text around them."""

_PERSON = re.compile(r"[UW][A-Z0-9]{2,30}")

_QUOTED = re.compile(r"`([^`\n]+)`")
_AT_WORDS_EDGE = re.compile(r"(?<!\w)_|_(?!\w)")


def header(text: str) -> Block:
    """One bold line."""
    return {"type": "header", "text": _plain(cut(text.replace("\n", " "), HEADER_CHARACTERS))}


def section(text: str) -> Block:
    """A paragraph of plain text; where nothing is formatted, `words` in backticks are quoted instead."""
    return {"type": "section", "text": _plain(cut(_QUOTED.sub(r"“\1”", text), SECTION_CHARACTERS))}


def preformatted(text: str) -> Block:
    """A paragraph whose columns stand below each other."""
    room = SECTION_CHARACTERS - len("``````")
    inner = escape(text.replace("```", "'''"))
    while len(inner) > room:
        text = cut(text, int(len(text) * 0.9))
        inner = escape(text.replace("```", "'''"))
    return {"type": "section", "text": {"type": "mrkdwn", "text": f"```{inner}```", "verbatim": True}}


def context(*elements: dict[str, Any]) -> Block:
    """A small grey line."""
    return {"type": "context", "elements": list(elements[:10])}


def plain(text: str, *, characters: int = 1_000) -> dict[str, Any]:
    """Text of others as an element of a context line."""
    return _plain(cut(text, characters))


def markdown(text: str) -> dict[str, Any]:
    """Text of our own, in Slack's mrkdwn, as an element of a context line; what it quotes is escaped by the caller."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def label(text: str, *, characters: int = 75) -> dict[str, Any]:
    """Plain text of one line, for a button, an option, or the label of a field."""
    return _plain(cut(text.replace("\n", " "), characters))


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), people: Sequence[int] = ()
) -> Block:
    """A table; a message takes one. The columns of `right` are aligned to the right; those of `people` hold the ids of
    users, whom Slack names.
    """
    cells = _cells(header, rows[: TABLE_ROWS - 1], people)
    settings = [{"align": "right" if at in right else "left"} for at in range(len(cells[0]))]
    return {"type": "table", "column_settings": settings, "rows": cells}


def data_table(
    caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, people: Sequence[int] = ()
) -> Block:
    """A table that people sort and page through; it has at least one row. A message takes several."""
    cells = _cells(header, rows[: DATA_TABLE_ROWS - 1], people)
    caption = cut(caption.replace("\n", " "), CAPTION_CHARACTERS)
    return {"type": "data_table", "caption": caption if caption.strip() else "–", "page_size": PAGE_ROWS, "rows": cells}


def rich_text(*sections: Sequence[dict[str, Any]]) -> Block:
    """Lines of elements, of which Slack parses none."""
    lines = [{"type": "rich_text_section", "elements": list(section)} for section in sections]
    return {"type": "rich_text", "elements": lines}


def words(text: str, *, bold: bool = False, characters: int = 500) -> dict[str, Any]:
    """Text of others as an element of rich text."""
    said: dict[str, Any] = {"type": "text", "text": cut(text, characters) or " "}
    return {**said, "style": {"bold": True}} if bold else said


def person(text: str) -> str | None:
    """The id of a user in Slack, whom Slack names; None for every other text, such as the name of a service."""
    return text if _PERSON.fullmatch(text) else None


def asker(text: str) -> dict[str, Any]:
    """Whoever asked, as an element of rich text."""
    known = person(text)
    return {"type": "user", "user_id": known} if known else words(text, characters=CELL_CHARACTERS)


def inert(text: str) -> str:
    """Text of others where Slack says that it is plain, and we cannot see it: it begins no mention and no link."""
    return text.replace("<", "‹").replace(">", "›")


def cell(text: str) -> str:
    """The text of a table's cell; an empty one is refused by Slack."""
    return cut(text.replace("\n", " "), CELL_CHARACTERS) or "–"


def escape(text: str) -> str:
    """Text of others for mrkdwn, where `&`, `<` and `>` begin mentions and links."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unformatted(text: str) -> str:
    """Text of others for mrkdwn, with signs that look alike where `*`, `_`, `~` and backticks would format it."""
    quotes = _QUOTED.sub(r"“\1”", text).replace("`", "'")
    return _AT_WORDS_EDGE.sub("ˍ", quotes.replace("*", "∗").replace("~", "∼"))


def cut(text: str, characters: int) -> str:
    """At most so many characters, without what cannot be seen."""
    seen = _UNSEEN.sub("", text)
    return seen if len(seen) <= characters else seen[: characters - 1] + "…"


def size(blocks: Sequence[Block]) -> int:
    """How many characters blocks weigh in a message."""
    return len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")))


def _cells(header: Sequence[str], rows: Sequence[Sequence[str]], people: Sequence[int]) -> list[list[dict[str, Any]]]:
    plain_header = [{"type": "raw_text", "text": cell(text)} for text in header[:TABLE_COLUMNS]]
    return [
        plain_header,
        *([_cell(text, named=at in people) for at, text in enumerate(row[:TABLE_COLUMNS])] for row in rows),
    ]


def _cell(text: str, *, named: bool) -> dict[str, Any]:
    known = person(text) if named else None
    return (
        {"type": "raw_text", "text": cell(text)} if known is None else rich_text([{"type": "user", "user_id": known}])
    )


def _plain(text: str) -> dict[str, Any]:
    # A text of nothing but blanks is refused; `emoji: false` leaves `:words:` as they are.
    return {"type": "plain_text", "text": text if text.strip() else "–", "emoji": False}

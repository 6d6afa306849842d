"""The few Block Kit blocks that cards are made of, each within Slack's limits.

A text that LML did not write (a column, a class, a file's name, an error) goes into `plain_text` or `raw_text`, where
nothing can mention, link or format. Where Slack wants mrkdwn, it is escaped.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

Block = dict[str, Any]

HEADER_CHARACTERS = 150
SECTION_CHARACTERS = 3_000
TABLE_ROWS = 100
TABLE_COLUMNS = 20
CELL_CHARACTERS = 200
MESSAGE_BLOCKS = 50
MESSAGE_CHARACTERS = 12_000
"""Of the blocks as JSON. Slack refuses somewhat above 13,000 (`msg_blocks_too_long`), which its pages do not say."""

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters and marks that turn the direction of the text around them."""

_QUOTED = re.compile(r"`([^`\n]+)`")


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


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_from: int) -> Block:
    """A table; a message takes one. The columns from `numbers_from` on are aligned to the right."""
    cells = [[{"type": "raw_text", "text": cell(text)} for text in row[:TABLE_COLUMNS]] for row in (header, *rows)]
    settings = [{"align": "left" if index < numbers_from else "right"} for index in range(len(cells[0]))]
    return {"type": "table", "column_settings": settings, "rows": cells[:TABLE_ROWS]}


def cell(text: str) -> str:
    """The text of a table's cell; an empty one is refused by Slack."""
    return cut(text.replace("\n", " "), CELL_CHARACTERS) or "–"


def escape(text: str) -> str:
    """Text of others for mrkdwn, where `&`, `<` and `>` begin mentions and links."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, characters: int) -> str:
    """At most so many characters, without what cannot be seen."""
    seen = _UNSEEN.sub("", text)
    return seen if len(seen) <= characters else seen[: characters - 1] + "…"


def size(blocks: Sequence[Block]) -> int:
    """How many characters blocks weigh in a message."""
    return len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")))


def _plain(text: str) -> dict[str, Any]:
    # A text of nothing but blanks is refused; `emoji: false` leaves `:words:` as they are.
    return {"type": "plain_text", "text": text if text.strip() else "–", "emoji": False}

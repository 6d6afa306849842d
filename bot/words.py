"""Text into words, the way people type: quotes group, typographic quotes and dashes mean the plain ones.

Slack turns `"` into curly quotes and `--` into a long dash; word processors and phones do the same.
"""

import re
from collections.abc import Sequence

from shared.errors import refused

_CLOSERS = {'"': '"”“„', "“": '”“"', "„": '“”"', "”": '”"', "'": "'’", "‘": "’'", "«": "»"}
QUOTES_AND_ESCAPES = "\\'\"“”„‘’«»"
"""What a backslash makes plain."""

_LONG_DASH = re.compile(r"^[—–](?=[A-Za-z])")
_MINUS = re.compile(r"^[−–—](?=[\d.])|(?<=[\d.][eE])[−–—](?=\d)")


def split_words(text: str) -> list[str]:
    """The words of a command line; raises `RefusedWords` when a quote is never closed.

    A backslash keeps the next space, quote or backslash as it is. A quote opens only where a word or a value begins, so
    that an apostrophe inside a word stays one.
    """
    words: list[str] = []
    word: list[str] | None = None
    closers, index = "", 0
    while index < len(text):
        letter = text[index]
        after = text[index + 1] if index + 1 < len(text) else " "
        if letter == "\\" and (after.isspace() or after in QUOTES_AND_ESCAPES) and index + 1 < len(text):
            word = [*(word or []), after]
            index += 1
        elif closers:
            if (letter in closers and (after.isspace() or after == ",")) or (letter in closers and letter in "\"'"):
                closers = ""
            else:
                word = [*(word or []), letter]
        elif letter.isspace():
            if word is not None:
                words.append("".join(word))
            word = None
        elif letter in _CLOSERS and (not word or word[-1] in "=,:"):
            closers, word = _CLOSERS[letter], word or []
        else:
            word = [*(word or []), letter]
        index += 1
    if closers:
        raise refused(
            "open_quote", f"A quote is opened and never closed in: {text}", "Close it, or escape it with a backslash."
        )
    if word is not None:
        words.append("".join(word))
    return [plain_dashes(word) for word in words]


def from_arguments(arguments: Sequence[str]) -> list[str]:
    """The words of a shell's arguments; the shell has grouped them already, typographic quotes still group here."""
    return split_words(" ".join(_escaped(argument) for argument in arguments))


def plain_dashes(word: str) -> str:
    """A word with the dashes that were typed: a long dash before a letter was `--`, before a digit it was a minus."""
    word = _LONG_DASH.sub("--", word)
    name, equals, value = word.partition("=")
    return name + equals + _MINUS.sub("-", value) if equals else _MINUS.sub("-", word)


def _escaped(argument: str) -> str:
    return re.sub(r"([\s\\'\"])", r"\\\1", argument) or "''"

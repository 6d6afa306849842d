"""Words as somebody types them, and what the grammar makes of them."""

import pytest

from bot.grammar import Command, parse
from bot.words import split_words
from shared.errors import RefusedWords


def understood(text: str) -> Command:
    """A command from a line of text."""
    return parse(split_words(text))


def refusal(text: str) -> list[tuple[str, str, str]]:
    """What is wrong with a line of text."""
    with pytest.raises(RefusedWords) as met:
        understood(text)
    return [(problem.code, problem.message, problem.hint) for problem in met.value.problems]

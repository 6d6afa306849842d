"""Cards as Slack messages: as they were looked at and found good, and within every limit whatever they hold."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_slack import _check_message
from support.sample_cards import hostile_card, sample_cards

from bot.cards import Card, Step, StepState, Table
from bot.slack.render import TEXT_CHARACTERS, message

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", sample_cards())
def test_cards_are_as_they_were(name: str) -> None:
    """A card renders as its golden file says; LML_WRITE_GOLDEN=1 writes the files anew, to be read before a commit."""
    text, blocks = message(sample_cards()[name])
    shown = json.dumps({"text": text, "blocks": blocks}, ensure_ascii=False, indent=1) + "\n"
    file = GOLDEN / f"{name}.json"
    if os.environ.get("LML_WRITE_GOLDEN"):
        file.write_text(shown)
    assert shown == file.read_text()


def markdown_texts(value: Any) -> list[str]:
    """Every text that Slack parses."""
    if isinstance(value, list):
        return [text for inner in value for text in markdown_texts(inner)]
    if not isinstance(value, dict):
        return []
    mine = [value["text"]] if value.get("type") == "mrkdwn" else []
    return mine + [text for inner in value.values() for text in markdown_texts(inner)]


def test_a_hostile_card_can_do_nothing() -> None:
    """Names, classes and errors cannot mention, link or turn text around; the message stays within every limit."""
    text, blocks = message(hostile_card())
    _check_message({"text": text, "blocks": blocks})
    assert len(text) <= TEXT_CHARACTERS
    for parsed in [text, *markdown_texts(blocks)]:
        assert "<" not in parsed
        assert ">" not in parsed
    assert "\u202e" not in json.dumps(blocks, ensure_ascii=False)
    assert "\x07" not in json.dumps(blocks)


def test_only_a_real_user_id_is_named() -> None:
    """Whoever asked is named by Slack when the value is a user id, and shown as it is otherwise."""
    named = markdown_texts(message(Card(title="x", facts=(("asked by", "U0ADA"),)))[1])
    assert named == ["asked by <@U0ADA>"]
    assert markdown_texts(message(Card(title="x", facts=(("asked by", "U0ADA> <!here"),)))[1]) == []


any_text = st.text(max_size=400)
any_card = st.builds(
    Card,
    title=any_text,
    state=st.sampled_from(["", "running", "failed", "succeeded"]),
    headline=any_text,
    steps=st.lists(st.builds(Step, any_text, st.sampled_from(StepState), any_text), max_size=6).map(tuple),
    facts=st.lists(st.tuples(any_text, any_text), max_size=12).map(tuple),
    tables=st.lists(
        st.integers(1, 25).flatmap(
            lambda width: st.builds(
                Table,
                any_text,
                st.tuples(*[any_text] * width),
                st.lists(st.tuples(*[any_text] * width), max_size=4).map(tuple),
            )
        ),
        max_size=2,
    ).map(tuple),
    notes=st.lists(any_text, max_size=12).map(tuple),
    more=st.lists(any_text, max_size=8).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(any_card)
def test_any_card_fits_into_a_message(card: Card) -> None:
    """Whatever a card holds, Slack takes the message, and it can be updated later."""
    text, blocks = message(card)
    _check_message({"text": text or "x", "blocks": blocks})
    assert len(text) <= TEXT_CHARACTERS


def test_help_keeps_its_columns() -> None:
    """Text with columns is shown in a fixed width, in as many blocks as it needs."""
    note = "\n".join(f"  verb{number:<10} what it does" for number in range(200))
    _, blocks = message(Card(title="help", notes=(note,)))
    assert all(block["text"]["text"].startswith("```") for block in blocks[1:])
    assert len(blocks) > 2


def test_long_tables_say_what_is_left_out() -> None:
    """Of a table that is too long the first rows are shown, and how many more there are."""
    rows = tuple((str(number), "x" * 50) for number in range(500))
    _, blocks = message(Card(title="log", tables=(Table("Runs", ("run", "what"), rows),)))
    shown = next(len(block["rows"]) - 1 for block in blocks if block["type"] == "table")
    assert f"… and {500 - shown} more rows" in json.dumps(blocks, ensure_ascii=False)

"""Cards as Slack messages: as they were looked at and found good, and within every limit whatever they hold."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sample_cards import MEASURED, _run, hostile_card, hostile_result, sample_buttons, sample_cards
from support.slack_blocks import check_message, check_view
from support.slack_texts import parsed_texts

from bot.cards import Card, Step, StepState, Table
from bot.grammar import VERB_NAMES, load_verb
from bot.slack.blocks import escape
from bot.slack.buttons import run_buttons
from bot.slack.home import answer_view
from bot.slack.render import TEXT_CHARACTERS, message, text_of
from bot.verbs.help import Help, help_card
from shared.log.runs import RunState

GOLDEN = Path(__file__).parent / "golden"


def _message(name: str) -> tuple[str, list[Any]]:
    """A sample as its card is sent: with the buttons of its run."""
    return message(sample_cards()[name], buttons=sample_buttons().get(name))


@pytest.mark.parametrize("name", sample_cards())
def test_cards_are_as_they_were(name: str) -> None:
    """A card renders as its golden file says; LML_WRITE_GOLDEN=1 writes the files anew, to be read before a commit."""
    _compare_with(GOLDEN / f"{name}.json", _message(name))


@pytest.mark.parametrize("name", ["running", "measured"])
def test_cards_of_older_workspaces_are_as_they_were(name: str) -> None:
    """The same without plan, chart and data tables, for a workspace that refuses those."""
    card, buttons = sample_cards()[name], sample_buttons().get(name)
    _compare_with(GOLDEN / f"{name}_classic.json", message(card, buttons=buttons, classic=True))


def _compare_with(file: Path, sent: tuple[str, list[Any]]) -> None:
    shown = json.dumps({"text": sent[0], "blocks": sent[1]}, ensure_ascii=False, indent=1) + "\n"
    if os.environ.get("LML_WRITE_GOLDEN"):
        file.write_text(shown)
    assert shown == file.read_text()


def kinds(blocks: list[Any]) -> list[str]:
    """The types of blocks."""
    return [block["type"] for block in blocks]


@pytest.mark.parametrize("name", sample_cards())
@pytest.mark.parametrize("classic", [False, True])
def test_slack_takes_every_card(name: str, classic: bool) -> None:
    """Every card keeps Slack's limits, and can be updated later."""
    text, blocks = message(sample_cards()[name], buttons=sample_buttons().get(name), classic=classic)
    check_message({"text": text, "blocks": blocks}, update=True)
    if classic:
        assert not {"plan", "data_visualization", "data_table"} & set(kinds(blocks))


def test_a_running_card_is_a_plan_whose_tasks_tell_what_changes() -> None:
    """Each stage is a task with its state; the one that goes on says epoch, loss and what is left."""
    plan = next(block for block in _message("running")[1] if block["type"] == "plan")
    assert plan["title"] == "2 of 5 steps are done"
    assert [(task["status"], task["title"]) for task in plan["tasks"]] == [
        ("complete", "Queue · waited 2.0 s"),
        ("complete", "Read the dataset · 3,000 rows, 9 columns"),
        ("in_progress", "Train · mlp: epoch 12 of at most 40, validation loss 0.4382, about 38 s left"),
        ("pending", "Evaluate"),
        ("pending", "Export and check"),
    ]
    failed = next(block for block in _message("failed")[1] if block["type"] == "plan")
    assert failed["title"] == "Stopped in step 2 of 5"
    assert [task["status"] for task in failed["tasks"]][:3] == ["complete", "error", "pending"]


def test_a_long_detail_is_folded_into_its_task() -> None:
    """What no longer fits into a task's title stands in its details, which are not parsed."""
    steps = (Step("Queue", StepState.IN_PROGRESS, "x" * 290),)
    task = message(Card(title="Run 1", state="queued", steps=steps))[1][2]["tasks"][0]
    assert task["title"] == "Queue"
    assert task["details"]["elements"][0]["elements"] == [{"type": "text", "text": "x" * 290}]


def test_a_result_comes_first_and_its_buttons_last() -> None:
    """Headline, verdicts, table, curve, how it came about, further tables, steps; then facts, files and buttons."""
    text, blocks = _message("measured")
    assert kinds(blocks) == [
        "header",
        "section",
        "section",
        "context",
        "table",
        "data_visualization",
        "section",
        "data_table",
        "data_table",
        "data_table",
        "plan",
        "context",
        "context",
        "context",
        "actions",
    ]
    assert "roc_auc" in text


def test_what_a_button_does_is_not_said_again_in_words() -> None:
    """Of what to type next only that is left for which there is no button; the link of the page is one of them."""
    card = replace(sample_cards()["measured"], page="https://lml.example/runs/42")
    buttons = run_buttons(_run(RunState.SUCCEEDED, result=MEASURED), page=card.page)
    shown = json.dumps(message(card, buttons=buttons)[1])
    assert "/lml evaluate 42 DATASET" in shown
    for words in ("/lml predict 42 DATASET", "/lml compare 42 RUN", "|Details>"):
        assert words not in shown
        assert words in json.dumps(message(card)[1])


def test_what_has_no_room_is_said_to_be_left_out() -> None:
    """Tables that no longer fit are left out whole, and the card says so above its facts and buttons."""
    rows = tuple((f"column {number}", "x" * 60) for number in range(80))
    tables = tuple(Table(f"Table {number}", ("a", "b"), rows) for number in range(6))
    card = Card(title="Run 1", state="succeeded", tables=tables, facts=(("took", "1 s"),))
    _, blocks = message(card, buttons=run_buttons(_run(RunState.SUCCEEDED)))
    shown = [element["text"] for block in blocks if block["type"] == "context" for element in block["elements"]]
    assert shown[-2:] == ["… and more, for which a message has no room", "took 1 s"]
    assert kinds(blocks)[-1] == "actions"
    check_message({"text": "x", "blocks": blocks})


def test_people_in_tables_are_named_by_slack() -> None:
    """A column of people names them where the value is a user's id; in every other column the same text stays text."""
    table = Table(
        "Runs", ("run", "class", "by"), (("1", "U0ADA", "U0ADA"), ("2", "x", "service:billing"), ("3", "x", ""))
    )
    _, blocks = message(Card(title="Log", tables=(table, table)))
    tables = [block for block in blocks if block["type"] in ("table", "data_table")]
    assert len(tables) == 2
    for block in tables:
        rows = block["rows"][1:]
        assert rows[0][1] == {"type": "raw_text", "text": "U0ADA"}
        assert rows[0][2]["elements"][0]["elements"] == [{"type": "user", "user_id": "U0ADA"}]
        assert rows[1][2] == {"type": "raw_text", "text": "service:billing"}


@pytest.mark.parametrize("classic", [False, True])
def test_a_hostile_card_can_do_nothing(classic: bool) -> None:
    """Names, classes and errors cannot mention, link or turn text around; the message stays within every limit."""
    text, blocks = message(hostile_card(), buttons=run_buttons(_run(RunState.RUNNING)), classic=classic)
    check_message({"text": text, "blocks": blocks}, update=True)
    assert len(text) <= TEXT_CHARACTERS
    for parsed in [text, *parsed_texts(blocks)]:
        assert "<" not in parsed
        assert ">" not in parsed
    assert "\u202e" not in json.dumps(blocks, ensure_ascii=False)
    assert "\x07" not in json.dumps(blocks)


@pytest.mark.parametrize("name", sample_cards())
def test_a_card_can_be_shown_in_a_view(name: str) -> None:
    """In a modal the same card stands without what views do not take: as text."""
    check_view(answer_view(sample_cards()[name]))


def test_the_text_of_a_card_is_not_formatted_by_names() -> None:
    """Where only the text is shown, names neither format it nor lose what a score is called."""
    text = text_of(Card(title="*b* _i_ ~s~ `c` ```d```", notes=("roc_auc of `a_b` _x", "type `help`")))
    assert text == "∗b∗ ˍiˍ ∼s∼ “c” ''“d”''\nroc_auc of “a_b” ˍx\ntype “help”"


@pytest.mark.parametrize("kind", ["train", "describe", "compare", "evaluate"])
def test_a_hostile_file_can_do_nothing(kind: str) -> None:
    """Columns, classes, features and names of a CSV that would mention or link are text on the card of every kind."""
    for classic in (False, True):
        text, blocks = message(hostile_result(kind), classic=classic)
        check_message({"text": text, "blocks": blocks}, update=True)
        for parsed in [text, *parsed_texts(blocks)]:
            assert "<" not in parsed.replace("<@U0ADA>", "")
        assert "evil" in json.dumps(blocks)


def test_only_a_real_user_id_is_named() -> None:
    """Whoever asked is named by Slack when the value is a user id, and shown as it is otherwise."""
    named = parsed_texts(message(Card(title="x", facts=(("asked by", "U0ADA"),)))[1])
    assert named == ["asked by <@U0ADA>"]
    assert parsed_texts(message(Card(title="x", facts=(("asked by", "U0ADA> <!here"),)))[1]) == []


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
    check_message({"text": text or "x", "blocks": blocks}, update=True)
    assert len(text) <= TEXT_CHARACTERS
    _, classic = message(card, classic=True)
    check_message({"text": text or "x", "blocks": classic})


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


def test_help_in_a_chat_is_a_table_with_an_example_each() -> None:
    """`help` shows each verb of a chat with an example; `help VERB` its keys, and all of its examples to copy."""
    text, blocks = message(help_card(Help(None), prefix="/lml"))
    check_message({"text": text, "blocks": blocks})
    verbs = [row[0]["text"] for row in next(block for block in blocks if block["type"] == "table")["rows"][1:]]
    assert verbs == [name for name in VERB_NAMES if not load_verb(name).shell_only]
    for name in VERB_NAMES:
        text, blocks = message(help_card(Help(name), prefix="/lml"))
        check_message({"text": text, "blocks": blocks})
        verb = load_verb(name)
        examples = "".join(parsed_texts(blocks))
        prefix = "lml" if verb.shell_only else "/lml"
        assert all(f"{prefix} {escape(example)}" in examples for example in verb.examples)
        keys = [row[0]["text"] for block in blocks if block["type"] == "table" for row in block["rows"][1:]]
        assert keys == [f"{key.name}={key.looks}" for key in verb.keys]

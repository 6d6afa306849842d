"""Names that others chose do nothing in Slack: over every card, answer, notice and button (views: `views/`)."""

import json
from datetime import UTC, datetime

import pytest
from support.sample_cards import hostile_card, hostile_result
from support.sample_views import BAD, hostile_run
from support.slack_blocks import check_message
from support.slack_texts import parsed_texts, shown_texts

from bot.answers import runs_answer
from bot.best_before import against_text
from bot.cards import Card, problem_card, run_card
from bot.delivery.digest import digest_card, people_block
from bot.delivery.log_channel import ended_card
from bot.delivery.not_here import not_here_text
from bot.delivery.refused_files import refused_text
from bot.slack.blocks import Block, context, markdown
from bot.slack.buttons import run_buttons
from bot.slack.render import message
from shared.errors import Problem
from shared.events import AnyEvent, Released, WorkerMissing
from shared.log.digest import BestModel, Week
from shared.log.runs import Run, RunState

WEEK = Week(
    start=datetime(2026, 11, 16, tzinfo=UTC),
    end=datetime(2026, 11, 23, tzinfo=UTC),
    ended={BAD: {BAD: 3}},
    best=(BestModel(BAD, 42, BAD, BAD, 0.9, 3),),
    gpu_s=3_600.0,
    failures=((BAD, 2),),
    requesters=((BAD, 3), ("U0ADA", 2)),
)
PROBLEM = Problem(BAD, BAD, BAD)
WAITING: list[AnyEvent] = [Released(reason=BAD), WorkerMissing(device=BAD, length=BAD)]


def _failed() -> Run:
    return hostile_run(state=RunState.FAILED, problem=PROBLEM, score=None, headline=None)


def _cards() -> dict[str, Card]:
    return {
        "the worst card": hostile_card(),
        **{f"{kind} of a hostile file": hostile_result(kind) for kind in ("train", "describe", "compare", "evaluate")},
        "queued": run_card(hostile_run(state=RunState.QUEUED), WAITING, prefix="/lml"),
        "failed": run_card(_failed(), WAITING, prefix="/lml"),
        "refused": problem_card([PROBLEM, PROBLEM]),
        "log": runs_answer("log", [hostile_run(), _failed()], title=BAD, expected={}, empty="").card,
        "line of the log channel": ended_card(hostile_run()),
        "line of a failure": ended_card(_failed()),
        "digest": digest_card(WEEK),
        "against the best": Card(title="x", notes=(against_text(BAD, 0.9, 41, 0.8, tied=False),)),
    }


@pytest.mark.parametrize("classic", [False, True])
@pytest.mark.parametrize("name", _cards())
def test_no_name_can_do_anything_on_a_card(name: str, classic: bool) -> None:
    """Nothing that Slack parses of a card holds a mention or a link of theirs, and no text turns another one around."""
    card = _cards()[name]
    text, blocks = message(card, buttons=run_buttons(hostile_run(), page="https://lml.example/1"), classic=classic)
    check_message({"text": text, "blocks": blocks}, update=True)
    _does_nothing(text, blocks)


def _does_nothing(text: str, blocks: list[Block]) -> None:
    for parsed in (text, *parsed_texts(blocks)):
        assert "<" not in parsed.replace("<@U0ADA>", ""), parsed
    shown = text + "".join(shown_texts(blocks))
    assert "\u202e" not in shown
    assert "\x07" not in shown
    assert "*b*" not in text
    # In mrkdwn that is no code, a name is not formatted either.
    assert not any("*b*" in parsed for parsed in parsed_texts(blocks) if "`" not in parsed)


def test_no_name_can_do_anything_in_a_message_without_blocks() -> None:
    """What is said of files and of cards that are missing holds no mention and no link of theirs."""
    block = people_block(WEEK.requesters)
    assert block is not None
    said = [
        refused_text(hostile_run(), {f"{BAD}.csv": BAD}),
        not_here_text(hostile_run(), "D0ADA", BAD, bot_name="lml"),
    ]
    for text in (*said, json.dumps(block)):
        assert "<!channel>" not in text
        assert "<@U0EVE>" not in text
        assert "<http" not in text
    assert "*b*" not in said[0]
    assert "`b" not in refused_text(hostile_run(), {"`b` _i_ ~s~.csv": "`c`"}).replace("`lml", "")
    check_message({"text": "x", "blocks": [block, context(markdown(said[0]))]})


def test_a_hostile_name_is_still_shown() -> None:
    """Made harmless, a name can still be read: it is text in blocks, and escaped in the message's text."""
    text, blocks = message(run_card(_failed(), [], prefix="/lml"))
    assert "&lt;!channel&gt;" in text
    assert any("<!channel>" in shown for shown in shown_texts(blocks))

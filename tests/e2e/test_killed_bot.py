"""Kill -9 of the bot at any point of a run's life: in the end one card with the right state, and each file once."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.bot_stage import CSV, BotStage, bot_stage, kill_again_and_again, send
from support.deadline import until
from support.fake_slack import Failure
from support.slack_payloads import Person

HURRIED = "support.hurried_bot"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[BotStage]:
    with bot_stage(tmp_path, module=HURRIED) as stage:
        stage.slack.share("churn.csv", CSV)
        yield stage


def lives(stage: BotStage, count: int, seed: int, *, apart_s: float) -> None:
    """Ask for so many runs, one after the other."""
    chance, person = Random(seed), Person(stage.slack)
    for number in range(count):
        stage.ask(person, f"train churn.csv seed={number}")
        time.sleep(chance.uniform(0.2, 1.8) * apart_s)  # the pace of people: kills meet runs of every age


@pytest.mark.timeout(240)
def test_a_bot_that_is_killed_five_times(stage: BotStage) -> None:
    """Five kills at seeded moments of five runs' lives lose nothing and double nothing."""
    stage.work(3)
    chance = Random(7)
    kill_again_and_again(
        stage, [chance.uniform(0.1, 1.5) for _ in range(5)], lambda: lives(stage, 5, seed=7, apart_s=1.5)
    )
    stage.wait_until_shown(5, within_s=120)
    assert stage.wrong() == []
    assert len(stage.runs()) == 5


@pytest.mark.chaos
@pytest.mark.timeout(1_200)
def test_a_bot_that_is_killed_fifty_times(tmp_path: Path) -> None:
    """Fifty kills at seeded moments of fifty runs' lives, with the product's own leases and Slack's rates."""
    with bot_stage(tmp_path, seed=11) as stage:
        stage.slack.paced = True
        stage.slack.rates.enforce()
        stage.slack.share("churn.csv", CSV)
        stage.work(6)
        chance = Random(11)
        moments = [chance.uniform(0.0, 4.0) for _ in range(50)]
        kill_again_and_again(stage, moments, lambda: lives(stage, 50, seed=11, apart_s=3.0))
        stage.wait_until_shown(50, within_s=600)
        assert stage.wrong() == []
        assert len(stage.runs()) == 50


LONGER = pytest.mark.chaos
CARD_CALLS = (
    "chat.postMessage",
    pytest.param("chat.update", marks=LONGER),
    pytest.param("files.getUploadURLExternal", marks=LONGER),
    pytest.param("upload", marks=LONGER),
    "files.completeUploadExternal",
    pytest.param("files.info", marks=LONGER),
    pytest.param("conversations.history", marks=LONGER),
    pytest.param("users.info", marks=LONGER),
)
"""Each kind of call; those that show something are looked at each time, the others by `make chaos`."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("method", CARD_CALLS)
def test_a_bot_that_is_killed_between_receipt_and_answer(stage: BotStage, method: str) -> None:
    """Slack has done what was asked, and the bot is dead before it hears of it: still one card, each file once."""
    stage.work(1)
    stage.life_s = 1.0
    bot = stage.start_bot().wait_until_ready()
    dead: list[str] = []

    def kill() -> None:
        bot.kill()
        dead.append(method)

    if method in ("files.info", "conversations.history"):  # asked for only after something was left open
        before = {"files.info": "files.completeUploadExternal", "conversations.history": "chat.postMessage"}[method]
        stage.slack.fail(before, Failure(lost=True))
    stage.slack.fail(method, Failure(lost=True, then=kill))
    person = Person(stage.slack)
    payload = person.command("train churn.csv")
    try:
        send(bot.address, payload)
    except OSError:
        assert dead  # killed while it looked who asks
    until(lambda: dead, what=f"{method} is called", within_s=60)
    stage.start_bot().wait_until_ready()
    if not stage.runs():
        stage.ask(person, "train churn.csv")
    stage.wait_until_shown(1, within_s=150)
    assert stage.wrong() == []
    assert len(stage.runs()) == 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize("method", ["views.open", pytest.param("views.update", marks=LONGER)])
def test_a_bot_that_is_killed_while_it_opens_a_form(stage: BotStage, method: str) -> None:
    """A form whose bot died opens anew from the next one, and what it asks for is one run."""
    bot = stage.start_bot().wait_until_ready()
    person = Person(stage.slack)
    stage.slack.fail(method, Failure(lost=True, then=bot.kill))
    with suppress(OSError):
        send(bot.address, person.command("train"))
    until(lambda: not bot.alive, what="the bot is dead")
    bot = stage.start_bot().wait_until_ready()
    send(bot.address, person.command("train"))
    view = until(lambda: filled(stage), what="the form is there")
    state = {"dataset": {"type": "static_select", "selected_option": {"value": "churn.csv"}}}
    payload = person.submit(answered(view, state))
    for _ in range(2):  # once by the person, once again by Slack
        assert send(bot.address, payload)[0] == 200
    stage.work(1)
    stage.wait_until_shown(1, within_s=150)
    assert stage.wrong() == []
    assert len(stage.runs()) == 1


@LONGER
@pytest.mark.timeout(240)
def test_a_bot_that_is_killed_while_it_draws_a_home_tab(stage: BotStage) -> None:
    """A home tab whose bot died is drawn by the next one when it is opened again."""
    bot = stage.start_bot().wait_until_ready()
    person = Person(stage.slack)
    stage.slack.fail("views.publish", Failure(unreached=True, then=bot.kill))
    send(bot.address, person.home())
    until(lambda: not bot.alive, what="the bot is dead")
    assert "U0ADA" not in stage.slack.homes
    bot = stage.start_bot().wait_until_ready()
    send(bot.address, person.home())
    until(lambda: "U0ADA" in stage.slack.homes, what="the home tab is there")


@LONGER
@pytest.mark.timeout(240)
@pytest.mark.parametrize("method", ["response_url", "chat.postEphemeral"])
def test_a_bot_that_is_killed_while_it_answers(stage: BotStage, method: str) -> None:
    """A command whose answer died with its bot has written its run once, and its card comes all the same."""
    bot = stage.start_bot().wait_until_ready()
    person = Person(stage.slack)
    if method == "chat.postEphemeral":
        stage.slack.fail("response_url", Failure(status=500))
    stage.slack.fail(method, Failure(lost=True, then=bot.kill))
    stage.slack.fail("users.info", Failure(delay_s=0.5))  # so that the answer does not come in the acknowledgement
    payload = person.command("train churn.csv")
    assert send(bot.address, payload)[0] == 200
    until(lambda: not bot.alive, what="the bot is dead")
    bot = stage.start_bot().wait_until_ready()
    assert send(bot.address, payload)[0] == 200
    stage.work(1)
    stage.wait_until_shown(1, within_s=150)
    assert stage.wrong() == []
    assert len(stage.runs()) == 1


def filled(stage: BotStage) -> dict[str, Any] | None:
    """The form that Ada sees, once it is more than the loading view."""
    if not stage.slack.stacks["U0ADA"]:
        return None
    view = stage.slack.modal().body
    return view if view.get("submit") else None


def answered(view: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    """The state of a form in which its first options stand, and some fields were filled."""
    state: dict[str, Any] = {}
    for block in view["blocks"]:
        if block["type"] == "input":
            element = block["element"]
            chooses = element["type"].endswith("select")
            empty = {"selected_option": element.get("initial_option")} if chooses else {"value": None}
            given = chosen.get(element["action_id"]) or {"type": element["type"], **empty}
            state[block["block_id"]] = {element["action_id"]: given}
    return state

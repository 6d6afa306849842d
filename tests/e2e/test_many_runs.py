"""Many runs at once, two bots side by side, a Slack that holds them to its rates: nothing lost, nothing twice."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.bot_stage import CSV, BotStage, bot_stage, says_its_answer, send
from support.deadline import until
from support.fake_slack import APP_TOKEN, Channel, Failure
from support.fake_socket import FakeSocket
from support.slack_payloads import Person, envelope_of, submission

FEW_OR_MANY = [10, pytest.param(50, marks=pytest.mark.chaos)]
CHANNELS = [f"C0TEAM{number}" for number in range(5)]
SHARE_REFUSED = 0.1
"""Where Redis is too slow to answer, each bot keeps to rates of its own, and both together meet a 429 now and then."""
LISTENER_S = 2.0
"""No listener takes longer, even here, where two bots, six workers and Slack itself share two cores with other tests; a
Retry-After would hold it for longer."""


def people(stage: BotStage) -> list[Person]:
    """Five people, each in a channel of their own."""
    met = []
    for number, channel in enumerate(CHANNELS):
        stage.slack.channels[channel] = Channel(name=f"team-{number}")
        stage.slack.share("churn.csv", CSV, channel=channel)
        met.append(Person(stage.slack, f"U0P{number}", channel, f"team-{number}"))
    return met


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number_of_runs", FEW_OR_MANY)
def test_many_runs_at_once_on_two_bots(tmp_path: Path, number_of_runs: int) -> None:
    """Every command goes to both bots: each run has one card, with its end, each file once, and hardly a 429."""
    with bot_stage(tmp_path, seed=3, life_s=4.0) as stage:
        everybody = people(stage)
        stage.slack.paced = True
        stage.slack.rates.enforce()
        bots = [stage.start_bot() for _ in range(2)]
        for bot in bots:
            bot.wait_until_ready()
        stage.work(12)

        def ask(number: int) -> list[tuple[float, int]]:
            payload = everybody[number % len(everybody)].command(f"train churn.csv seed={number}")
            took = []
            for bot in bots:
                since = time.monotonic()
                status, _ = send(bot.address, payload)
                took.append((time.monotonic() - since, status))
            return took

        with ThreadPoolExecutor(10) as pool:
            took = [one for both in pool.map(ask, range(number_of_runs)) for one in both]
        assert {status for _, status in took} == {200}
        assert max(seconds for seconds, _ in took) < LISTENER_S
        stage.wait_until_shown(number_of_runs, within_s=600)
        assert stage.wrong(CHANNELS) == []
        assert len(stage.runs()) == number_of_runs
        refused, calls = Counter(stage.slack.rates.refused), Counter(method for method, _ in stage.slack.calls)
        assert sum(refused.values()) <= SHARE_REFUSED * sum(calls.values()), (refused, calls)


@pytest.mark.timeout(240)
def test_a_rate_that_is_used_up_holds_no_listener(tmp_path: Path) -> None:
    """While Slack answers cards with 429 and half a minute to wait, commands are answered as quickly as ever."""
    with bot_stage(tmp_path) as stage:
        stage.slack.share("churn.csv", CSV)
        bot = stage.start_bot().wait_until_ready()
        person = Person(stage.slack)
        held = Failure(status=429, error="ratelimited", retry_after_s=30)
        for method in ("chat.postMessage", "chat.update", "chat.postEphemeral", "users.info", "conversations.info"):
            stage.slack.fail(method, *[held] * 40)
        took = []
        for number in range(20):
            since = time.monotonic()
            assert send(bot.address, person.command(f"train churn.csv seed={number}"))[0] == 200
            took.append(time.monotonic() - since)
        assert max(took) < LISTENER_S


@pytest.mark.timeout(240)
def test_what_comes_twice_is_done_once(tmp_path: Path) -> None:
    """Slack's retries and double clicks, each to both of two bots, make one run each."""
    with bot_stage(tmp_path) as stage:
        stage.slack.share("churn.csv", CSV)
        bots = [stage.start_bot() for _ in range(2)]
        for bot in bots:
            bot.wait_until_ready()
        person = Person(stage.slack)

        def to_both(payload: dict[str, Any]) -> None:
            with ThreadPoolExecutor(4) as pool:
                jobs = [pool.submit(send, bot.address, payload, retry=retry) for retry in (0, 1) for bot in bots]
                assert {job.result()[0] for job in jobs} == {200}
            if url := payload.get("response_url"):
                at_once = sum(says_its_answer(json.loads(job.result()[1] or "{}")) for job in jobs)
                until(lambda: at_once + len(stage.answers_to(url)) == len(jobs), what="each delivery has its answer")
            until(lambda: stage.unanswered() == 0, what="every message that was heard has its answer")

        def counted(wanted: int) -> None:
            assert len(stage.runs()) == wanted, [row.words for row in stage.runs()]

        to_both(person.command("train churn.csv seed=1"))
        counted(1)
        to_both(person.mention("train churn.csv seed=2"))
        counted(2)
        to_both(person.direct("describe churn.csv"))
        counted(3)
        stage.work(1)
        until(lambda: stage.ends.get(1) and stage.ends.get(2), within_s=60)
        stage.wait_until_shown(3, within_s=60)
        card = next(message for message in stage.slack.posted() if "Run 1 " in message["text"])
        name = "retry" if stage.ends[1] == "Failed" else "show"
        to_both(person.button(card, f"lml:words:{name}"))
        counted(4 if name == "retry" else 3)


@pytest.mark.timeout(240)
def test_two_bots_over_socket_mode(tmp_path: Path) -> None:
    """Whatever comes over either of two connections is done once: commands, forms, messages, retries."""
    with bot_stage(tmp_path, life_s=1.0) as stage, FakeSocket() as end:
        stage.slack.socket_url, stage.more = end.url, {"LML_SLACK_APP_TOKEN": APP_TOKEN}
        stage.slack.share("churn.csv", CSV)
        for _ in range(2):
            stage.start_bot()
        until(lambda: end.connections == 2, what="both bots are connected", within_s=60)
        person = Person(stage.slack)

        def delivered(kind: str, payload: dict[str, Any], **more: Any) -> None:
            envelope = end.send(kind, payload, **more)
            until(lambda: envelope in end.acknowledged, what="it is acknowledged")

        def twice(payload: dict[str, Any]) -> None:
            """To one bot and, as if that had not answered, to the other."""
            delivered(envelope_of(payload), payload)
            delivered(envelope_of(payload), payload, retry_attempt=1, retry_reason="timeout")

        twice(person.command("train churn.csv seed=1"))
        twice(person.mention("train churn.csv seed=2"))
        until(lambda: len(stage.runs()) == 2, what="both runs are written")
        delivered("slash_commands", person.command("train"))
        until(lambda: stage.slack.stacks["U0ADA"] and stage.slack.modal().body.get("submit"), what="the form is filled")
        view = stage.slack.modal()
        shown = {**view.body, "id": view.id, "hash": view.hash}
        twice(submission(shown, {"dataset": "churn.csv", "model": "gbdt"}))
        twice(question := person.mention("status"))
        twice(person.home())
        end.disconnect()
        stage.work(2)
        stage.wait_until_shown(3, within_s=60)
        until(lambda: "U0ADA" in stage.slack.homes, what="the home tab is drawn")
        until(lambda: stage.slack.thread(question["event"]["ts"]), what="the question is answered")
        assert len(stage.runs()) == 3, [row.words for row in stage.runs()]
        assert stage.wrong() == []
        assert len(stage.slack.thread(question["event"]["ts"])) == 1

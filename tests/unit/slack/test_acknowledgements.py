"""How soon `/lml` is acknowledged, and what comes behind it: whatever hangs, nobody is left without an answer."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from slack_sdk import WebClient
from support.deadline import until
from support.fake_slack import Failure, FakeSlack
from support.log_acts import all_runs
from support.slack_front import SlackBot, slack_bot
from support.slack_payloads import command
from support.slack_texts import texts_in
from unit.slack.conftest import Ask

from bot.slack.asked import of_command
from shared.blobs import BlobStore
from shared.log.engine import Log
from shared.settings import Settings


@contextmanager
def held(log: Log) -> Iterator[None]:
    """Somebody writes to the log for as long as this block takes."""
    holding, held = Event(), Event()

    def hold() -> None:
        with log.write():
            held.set()
            holding.wait(timeout=20)

    holder = Thread(target=hold)
    holder.start()
    held.wait()
    try:
        yield
    finally:
        holding.set()
        holder.join()


def test_a_log_that_is_away_queues_nothing(client: WebClient, settings: Settings, store: BlobStore) -> None:
    """When the database cannot be reached the person is told so, and that nothing was queued."""
    away = Log("sqlite:////nowhere/at/all/log.db")
    with slack_bot(settings, away, store, client) as bot:
        said = texts_in(bot.answered(command("train churn.csv"))["blocks"])
    assert said.startswith("Nothing was queued\nThe log's database at /nowhere/at/all/log.db does not answer")


def test_a_log_that_hangs_is_answered_in_time_and_leaves_nothing(bot: SlackBot, log: Log) -> None:
    """A log that does not answer in time queues nothing: a run that is written late is ended, with the reason."""
    with held(log):
        begun = time.monotonic()
        card = bot.desk.reply(of_command(command("train churn.csv")), within_s=0.3)
        assert time.monotonic() - begun < 1.5
        assert card.title == "Nothing was queued"
        assert card.problem is not None
        assert card.problem.message == "The experiment log did not answer within 0.3 s."
    until(lambda: [run.state for run in all_runs(log)] == ["failed"])
    problem = all_runs(log)[0].problem
    assert problem is not None
    assert problem.code == "written_too_late"


def test_words_to_written_run_take_little_of_our_own_time(ask: Ask, tmp_path: Path) -> None:
    """From words to a written run and its acknowledgement: under 100 ms at the median of 50 commands."""
    took_ms = []
    for number in range(50):
        begun = time.perf_counter()
        ask(f"train set{number}.csv target=y epochs=5")
        took_ms.append(1_000 * (time.perf_counter() - begun))
    median = statistics.median(took_ms)
    print(f"acknowledged in {median:.1f} ms at the median, {max(took_ms):.1f} ms at most")  # noqa: T201
    assert median < 100


def test_nothing_heavy_is_imported() -> None:
    """`import bot.slack.app` loads no torch and nothing else of the workers."""
    import subprocess
    import sys

    heavy = "{'torch', 'polars', 'numpy', 'onnxruntime', 'sklearn', 'workers'}"
    code = f"import bot.slack.app, sys; raise SystemExit(str({heavy} & set(sys.modules)))"
    met = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert met.stderr.strip() == "set()"


def test_nothing_is_asked_of_slack_before_the_acknowledgement(slack: FakeSlack, bot: SlackBot) -> None:
    """Who somebody is, is asked behind the acknowledgement; the answer follows, and nothing is asked again."""
    asked = command("train churn.csv", response_url=slack.response_url())
    slack.fail("users.info", Failure(delay_s=0.5))
    begun = time.monotonic()
    assert bot.answered(asked)["text"] == "Reading “train churn.csv” ... If no answer follows, type it again."
    assert time.monotonic() - begun < 0.4
    until(lambda: len(slack.responses) == 1)
    (said,) = slack.responses
    assert said["response_type"] == "ephemeral"
    assert said["text"] == "Run 1 is written: train churn.csv. Its card follows here."
    before = len(slack.calls)
    known = bot.answered(command("log", response_url=slack.response_url()))
    until(lambda: "Run 1" in texts_in(known["blocks"]) or "churn.csv" in known["text"] or len(slack.responses) == 2)
    assert len(slack.calls) == before


def test_an_answer_that_its_response_url_does_not_take_comes_as_a_message(slack: FakeSlack, bot: SlackBot) -> None:
    """Nothing is lost silently: behind a used or dead response_url stands a message for the person alone."""
    slack.fail("response_url", Failure(status=404, error="used_url"))
    assert bot.answered(command("status", response_url=slack.response_url()))["text"].startswith("Reading")
    until(lambda: len(slack.ephemerals) == 1)
    assert slack.ephemerals[0]["user"] == "U0ADA"
    assert "Nothing waits and nothing runs" in slack.ephemerals[0]["text"]


def test_twenty_times_the_same_at_once_is_one_run(bot: SlackBot, log: Log) -> None:
    """Of the same words from two processes at once one writes the run, and the others are told which one it is."""
    with ThreadPoolExecutor(20) as people:
        said = list(
            people.map(lambda _: bot.desk.reply(of_command(command("train churn.csv")), within_s=10), range(20))
        )
    assert len(all_runs(log)) == 1
    assert sum("is written" in card.headline for card in said) == 1


def test_a_log_that_hangs_holds_up_no_acknowledgement(slack: FakeSlack, bot: SlackBot, log: Log, ask: Ask) -> None:
    """Twenty commands before a log that hangs are acknowledged at once, and each is answered once that goes on."""
    ask("status")
    with held(log), ThreadPoolExecutor(20) as people:

        def one(number: int) -> float:
            begun = time.monotonic()
            answered = bot.answered(command(f"train set{number}.csv", response_url=slack.response_url()))
            assert answered["text"].startswith("Reading")
            return time.monotonic() - begun

        took_s = list(people.map(one, range(20)))
    assert max(took_s) < 1.0
    until(lambda: len(slack.responses) == 20)
    assert len(all_runs(log)) == 20


def test_a_bot_that_is_stopped_says_what_it_did_not_come_to(
    settings: Settings, log: Log, store: BlobStore, client: WebClient, slack: FakeSlack
) -> None:
    """Whoever was acknowledged and not answered when the bot is stopped is told so, or has their run."""
    with slack_bot(settings, log, store, client) as bot:
        bot.answered(command("status"))
        with held(log):
            for number in range(24):
                bot.answered(command(f"train set{number}.csv", response_url=slack.response_url()))
            stopping = Thread(target=bot.front.close)
            stopping.start()
            until(lambda: bot.desk._pool._shutdown)
        stopping.join()
    assert len(slack.responses) == 24
    stopped = sum("LML was stopped" in said["text"] for said in slack.responses)
    assert stopped > 0
    assert len(all_runs(log)) == 24 - stopped

"""`/lml` in Slack: what is written and what the person is told, through Bolt as it runs."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlencode

import pytest
from slack_bolt import App, BoltRequest
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier
from sqlalchemy import select
from support.deadline import until
from support.fake_slack import TEAM, Failure, FakeSlack
from support.slack_front import SlackBot, command, slack_bot, texts_in

from bot.slack.asked import of_command
from bot.slack.command import CommandDesk
from bot.slack.people import People
from shared.access import Visibility
from shared.blobs import BlobStore
from shared.log import runs
from shared.log.chat_tables import audit
from shared.log.engine import Log
from shared.settings import Settings

Ask = Callable[..., str]


@pytest.fixture
def bot(settings: Settings, log: Log, store: BlobStore, client: WebClient) -> Iterator[SlackBot]:
    with slack_bot(settings, log, store, client) as bot:
        yield bot


@pytest.fixture
def app(bot: SlackBot) -> App:
    return bot.app


@pytest.fixture
def desk(bot: SlackBot) -> CommandDesk:
    return bot.desk


@pytest.fixture
def written(bot: SlackBot) -> list[int]:
    """How often the preparer was woken."""
    return bot.written


def words_of(body: str) -> str:
    """Everything that an acknowledgement shows, as text."""
    answer = json.loads(body)
    assert answer["response_type"] == "ephemeral"
    return texts_in(answer["blocks"])


@pytest.fixture
def ask(app: App) -> Ask:
    """Types a command as Socket Mode brings it; returns what the person reads."""

    def ask(text: str, **more: str) -> str:
        response = app.dispatch(BoltRequest(body=command(text, **more), mode="socket_mode"))
        assert response.status == 200, response.body
        return words_of(response.body)

    return ask


def all_runs(log: Log) -> list[runs.Run]:
    from shared.access import Principal, Source

    with log.read() as connection:
        return runs.listed(connection, Principal("any", "any", Source.SHELL), limit=1_000)


def test_a_run_is_written_before_it_is_acknowledged(ask: Ask, log: Log, written: list[int]) -> None:
    """The acknowledgement carries the number of a run that stands in the log, for the person alone."""
    assert ask("train churn.csv target=churned") == (
        "Run 1 is written: train churn.csv target=churned. Its card follows here."
    )
    (run,) = all_runs(log)
    assert (run.state, run.team_id, run.requested_by, run.channel_id) == ("preparing", TEAM, "U0ADA", "C0GENERAL")
    assert written == [1]


def test_the_same_trigger_queues_nothing_twice(ask: Ask, log: Log) -> None:
    """Slack or a proxy that sends a command again is answered with the number that it has."""
    ask("train churn.csv", trigger_id="t1")
    assert ask("train churn.csv", trigger_id="t1") == (
        "Run 1 is that already: train churn.csv. Nothing was queued twice."
    )
    assert len(all_runs(log)) == 1


def test_people_and_aliases_in_words(ask: Ask, log: Log) -> None:
    """A mention means the person, `me` whoever types, and an alias is looked up before anything is written."""
    ask("train churn.csv")
    ask("train sales.csv", user_id="U0EVE")
    for words, shown, hidden in (
        ("log by:<@U0EVE|eve>", "sales.csv", "churn.csv"),
        ("log by:me state:preparing", "churn.csv", "sales.csv"),
    ):
        met = ask(words)
        assert shown in met
        assert hidden not in met
    assert "No run has the alias “champion:churn”" in ask("predict champion:churn new.csv")
    assert len(all_runs(log)) == 2


def test_every_problem_is_named_at_once(ask: Ask, log: Log) -> None:
    """Words that cannot be understood queue nothing, and each mistake is named with its fix."""
    said = ask("train churn.csv epochs=none lr=-1 tagret=x")
    assert said.startswith("Nothing was queued")
    assert "“epochs=none”: needs a whole number" in said
    assert "“lr=-1”: needs a number above 0" in said
    assert "Did you mean “target”?" in said
    assert all_runs(log) == []


def test_a_path_outside_of_the_folder_is_recorded_as_failed(ask: Ask, log: Log, written: list[int]) -> None:
    """A dataset by a path is refused in the acknowledgement; the run is recorded as failed and never prepared."""
    said = ask("train ../../etc/passwd")
    assert said.startswith("Nothing was queued: run 1 is recorded as failed")
    assert "“../../etc/passwd” is outside of them" in said
    assert "Share the file in this channel" in said
    (run,) = all_runs(log)
    assert run.state == "failed"
    assert run.problem is not None
    assert run.problem.code == "dataset_outside"
    assert written == []


def test_verbs_that_read_answer_at_once(ask: Ask) -> None:
    """`status`, `log`, `show` and `help` answer the person alone, from the log."""
    ask("train churn.csv name=\u201cfirst try\u201d")
    assert "Run 1 · train churn.csv (first try)" in ask("show 1")
    assert "Runs that wait or run now" in ask("status")
    assert "train churn.csv (first try)" in ask("log")
    assert "/lml train DATASET" in ask("help train")
    assert "Nothing waits and nothing runs" not in ask("status 1")
    assert "/lml trains, evaluates and compares" in ask("")


def test_a_run_can_be_cancelled_by_its_owner_only(ask: Ask, log: Log) -> None:
    """Whoever asked may cancel; anyone else is told why not."""
    ask("train churn.csv")
    assert "this one is someone else's" in ask("cancel 1", user_id="U0BOB")
    assert "Cancelled" in ask("cancel 1")
    assert all_runs(log)[0].state == "cancelled"


@pytest.mark.parametrize("verb", ["up", "doctor"])
def test_verbs_of_the_shell_are_refused(ask: Ask, verb: str) -> None:
    """Verbs that act on the machine cannot be used from Slack."""
    said = ask(verb)
    assert said == (
        f"Nothing was queued\n“{verb}” cannot be used from slack.\n→ Use it in a shell on the machine of the stack."
    )


def test_help_names_no_verb_of_the_shell(ask: Ask) -> None:
    """What cannot be typed in Slack is not shown there."""
    assert "doctor" not in ask("help")


def test_help_of_a_verb_of_the_shell_says_so(ask: Ask) -> None:
    """Whoever asks for such a verb by its name is told where it is typed."""
    said = ask("help up")
    assert "For a shell only" in said
    assert "/lml up" not in said


def test_a_refusal_queues_nothing_only_where_something_was_to_be_queued(ask: Ask) -> None:
    """What looks or acts at once and is refused "could not be done"; there was nothing to queue."""
    assert ask("audit").startswith("That could not be done\n“audit” needs the role admin")
    assert ask("evaluate 7 churn.csv").startswith("Nothing was queued")


def test_another_workspace_is_refused(ask: Ask, log: Log) -> None:
    """A command of a workspace that this bot does not serve is refused before it is read."""
    assert "This bot serves the Slack workspace T0TEAM; this came from T0OTHER." in ask(
        "train churn.csv", team_id="T0OTHER"
    )
    assert all_runs(log) == []


def test_another_app_is_refused(settings: Settings, log: Log, store: BlobStore, client: WebClient) -> None:
    """What another app was sent is not ours, though it comes from the same workspace."""
    people = People(settings, client)
    desk = CommandDesk(settings, log, store, team_id=TEAM, written=lambda: None, people=people, app_id="A0LML")
    card = desk.reply(of_command(command("train churn.csv", api_app_id="A0OTHER")))
    assert card.problem is not None
    assert card.problem.code == "other_team"
    desk.close()


@pytest.mark.parametrize(
    ("channel", "name", "visibility"),
    [
        ("C0GENERAL", "general", Visibility.TEAM),
        ("C0SECRET", "privategroup", Visibility.CHANNEL),
        ("G0OLD", "old-private", Visibility.CHANNEL),
        ("C0GROUP", "mpdm-ada--bob-1", Visibility.CHANNEL),
        ("C0WHO", "", None),
        ("D0ADA", "directmessage", Visibility.PRIVATE),
    ],
)
def test_visibility_follows_the_channel(channel: str, name: str, visibility: Visibility | None) -> None:
    """Only what is surely a public channel shows its runs to the team; where it is not named, Slack has to be asked."""
    typed = of_command(command("train a.csv", channel_id=channel, channel_name=name))
    assert typed.visibility is visibility


def test_runs_of_a_direct_message_stay_hidden(ask: Ask) -> None:
    """A run that was asked for in a direct message does not exist for anyone else."""
    ask("train secret.csv", channel_id="D0ADA", channel_name="directmessage")
    assert "There is no run 1." in ask("show 1", user_id="U0BOB")
    assert "secret" not in ask("log")


def test_a_log_that_is_away_queues_nothing(client: WebClient, settings: Settings, store: BlobStore) -> None:
    """When the database cannot be reached the person is told so, and that nothing was queued."""
    away = Log("sqlite:////nowhere/at/all/log.db")
    with slack_bot(settings, away, store, client) as bot:
        said = texts_in(bot.answered(command("train churn.csv"))["blocks"])
    assert said.startswith("Nothing was queued\nThe log's database at /nowhere/at/all/log.db does not answer")


def test_a_log_that_hangs_is_answered_in_time_and_leaves_nothing(desk: CommandDesk, log: Log) -> None:
    """A log that does not answer in time queues nothing: a run that is written late is ended, with the reason."""
    holding, held = Event(), Event()

    def hold() -> None:
        with log.write():
            held.set()
            holding.wait(timeout=10)

    import threading

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    begun = time.monotonic()
    card = desk.reply(of_command(command("train churn.csv")), within_s=0.3)
    assert time.monotonic() - begun < 1.5
    assert card.title == "Nothing was queued"
    assert card.problem is not None
    assert card.problem.message == "The experiment log did not answer within 0.3 s."
    holding.set()
    holder.join()
    until(lambda: [run.state for run in all_runs(log)] == ["failed"])
    problem = all_runs(log)[0].problem
    assert problem is not None
    assert problem.code == "written_too_late"


def test_a_break_of_our_own_is_said(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw is answered, not met with silence."""
    monkeypatch.setattr("bot.slack.command.understood", lambda _words, _files: 1 / 0)
    assert "LML itself broke on this command." in ask("train churn.csv")


def test_hostile_words_come_back_as_they_are(ask: Ask, app: App) -> None:
    """What a person typed cannot mention, link or format in the answer."""
    response = app.dispatch(BoltRequest(body=command("train &lt;!channel&gt;*b*.csv"), mode="socket_mode"))
    answer = json.loads(response.body)
    assert "&lt;!channel&gt;" in answer["text"]
    assert [block["text"]["type"] for block in answer["blocks"]] == ["plain_text"]
    assert "<!channel>*b*.csv" in answer["blocks"][0]["text"]["text"]


def signed(body: str, secret: str = "signing-secret", at: float | None = None) -> BoltRequest:
    stamp = str(int(at or time.time()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    headers = {
        "content-type": ["application/x-www-form-urlencoded"],
        "x-slack-signature": [signature or ""],
        "x-slack-request-timestamp": [stamp],
    }
    return BoltRequest(body=body, headers=headers)


def test_requests_over_http_are_signed(app: App, log: Log) -> None:
    """A signed request is answered; a wrong or old signature is refused before anything is read."""
    body = urlencode(command("train churn.csv"))
    assert app.dispatch(signed(body)).status == 200
    assert app.dispatch(signed(body, secret="wrong")).status == 401
    assert app.dispatch(signed(body, at=time.time() - 3_600)).status == 401
    assert len(all_runs(log)) == 1


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


def test_the_same_words_again_are_the_same_run(ask: Ask, log: Log) -> None:
    """Whoever types a command again within 30 s, with another trigger, is told its run; once that ended it is new."""
    ask("train churn.csv")
    assert ask("train churn.csv") == "Run 1 is that already: train churn.csv. Nothing was queued twice."
    ask("train churn.csv", user_id="U0BOB")
    ask("cancel 1")
    assert "Run 3 is written" in ask("train churn.csv")
    assert len(all_runs(log)) == 3


def test_twenty_times_the_same_at_once_is_one_run(bot: SlackBot, log: Log) -> None:
    """Of the same words from two processes at once one writes the run, and the others are told which one it is."""
    with ThreadPoolExecutor(20) as people:
        said = list(
            people.map(lambda _: bot.desk.reply(of_command(command("train churn.csv")), within_s=10), range(20))
        )
    assert len(all_runs(log)) == 1
    assert sum("is written" in card.headline for card in said) == 1


def test_a_guest_is_refused_and_noted(slack: FakeSlack, ask: Ask, log: Log) -> None:
    """A guest is told why not, whatever the words; the audit holds it."""
    slack.people["U0EVE"] = {"is_restricted": True}
    assert ask("train churn.csv tagret=", user_id="U0EVE").startswith("Nothing was queued")
    assert all_runs(log) == []
    with log.read() as connection:
        rows = connection.execute(select(audit.c.by, audit.c.verb, audit.c.decision, audit.c.entry)).all()
    assert [tuple(row) for row in rows] == [("U0EVE", "train", "denied", "command")]


def test_what_a_verb_itself_refuses_is_noted(ask: Ask, log: Log) -> None:
    """Whose run it is only the verb knows; its refusal stands in the audit like any other."""
    ask("train churn.csv")
    ask("cancel 1", user_id="U0BOB")
    with log.read() as connection:
        denied = connection.execute(select(audit.c.by, audit.c.verb).where(audit.c.decision == "denied")).all()
    assert [tuple(row) for row in denied] == [("U0BOB", "cancel")]


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

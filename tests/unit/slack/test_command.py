"""`/lml` in Slack: what is written and what the person is told, through Bolt as it runs."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlencode

import pytest
from slack_bolt import App, BoltRequest
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier
from support.deadline import until
from support.fake_slack import TEAM, FakeSlack

from bot.slack.app import build_app
from bot.slack.command import CommandDesk, SlashCommand
from shared.access import Visibility
from shared.blobs import BlobStore
from shared.log import runs
from shared.log.engine import Log
from shared.settings import Settings

Ask = Callable[..., str]


@pytest.fixture
def written() -> list[int]:
    """How often the preparer was woken."""
    return []


@pytest.fixture
def desk(settings: Settings, log: Log, store: BlobStore, written: list[int]) -> Iterator[CommandDesk]:
    desk = CommandDesk(settings, log, store, team_id=TEAM, written=lambda: written.append(1))
    yield desk
    desk.close()


@pytest.fixture
def app(client: WebClient, desk: CommandDesk) -> App:
    return build_app(client, desk, signing_secret="signing-secret")


def payload(text: str, **more: str) -> dict[str, str]:
    return {
        "command": "/lml",
        "text": text,
        "team_id": TEAM,
        "channel_id": "C0GENERAL",
        "channel_name": "general",
        "user_id": "U0ADA",
        "trigger_id": f"trigger-{time.monotonic_ns()}",
        **more,
    }


def words_of(body: str) -> str:
    """Everything that an acknowledgement shows, as text."""
    answer = json.loads(body)
    assert answer["response_type"] == "ephemeral"
    shown: list[str] = []

    def gather(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("text"), str):
                shown.append(value["text"])
            for inner in value.values():
                gather(inner)
        elif isinstance(value, list):
            for inner in value:
                gather(inner)

    gather(answer["blocks"])
    return "\n".join(shown)


@pytest.fixture
def ask(app: App) -> Ask:
    """Types a command as Socket Mode brings it; returns what the person reads."""

    def ask(text: str, **more: str) -> str:
        response = app.dispatch(BoltRequest(body=payload(text, **more), mode="socket_mode"))
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
        "Run 1 is written already: train churn.csv. Nothing was queued twice."
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


def test_another_workspace_is_refused(ask: Ask, log: Log) -> None:
    """A command of a workspace that this bot does not serve is refused before it is read."""
    assert "This bot serves the Slack workspace T0TEAM; the command came from T0OTHER." in ask(
        "train churn.csv", team_id="T0OTHER"
    )
    assert all_runs(log) == []


@pytest.mark.parametrize(
    ("channel", "name", "visibility"),
    [
        ("C0GENERAL", "general", Visibility.TEAM),
        ("C0SECRET", "privategroup", Visibility.CHANNEL),
        ("G0OLD", "old-private", Visibility.CHANNEL),
        ("C0GROUP", "mpdm-ada--bob-1", Visibility.CHANNEL),
        ("C0WHO", "", Visibility.CHANNEL),
        ("D0ADA", "directmessage", Visibility.PRIVATE),
    ],
)
def test_visibility_follows_the_channel(channel: str, name: str, visibility: Visibility) -> None:
    """Only what is surely a public channel shows its runs to the team."""
    typed = SlashCommand.of(payload("train a.csv", channel_id=channel, channel_name=name))
    assert typed.visibility is visibility


def test_runs_of_a_direct_message_stay_hidden(ask: Ask) -> None:
    """A run that was asked for in a direct message does not exist for anyone else."""
    ask("train secret.csv", channel_id="D0ADA", channel_name="directmessage")
    assert "There is no run 1." in ask("show 1", user_id="U0BOB")
    assert "secret" not in ask("log")


def test_a_log_that_is_away_queues_nothing(client: WebClient, settings: Settings, store: BlobStore) -> None:
    """When the database cannot be reached the person is told so, and that nothing was queued."""
    away = Log("sqlite:////nowhere/at/all/log.db")
    desk = CommandDesk(settings, away, store, team_id=TEAM, written=lambda: None)
    response = build_app(client, desk, signing_secret="").dispatch(
        BoltRequest(body=payload("train churn.csv"), mode="socket_mode")
    )
    said = words_of(response.body)
    assert said.startswith("Nothing was queued\nThe log's database at /nowhere/at/all/log.db does not answer")
    desk.close()


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
    card = desk.reply(SlashCommand.of(payload("train churn.csv")), within_s=0.3)
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
    monkeypatch.setattr("bot.slack.command.parse", lambda _words: 1 / 0)
    assert "LML itself broke on this command." in ask("train churn.csv")


def test_hostile_words_come_back_as_they_are(ask: Ask, app: App) -> None:
    """What a person typed cannot mention, link or format in the answer."""
    response = app.dispatch(BoltRequest(body=payload("train &lt;!channel&gt;*b*.csv"), mode="socket_mode"))
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
    body = urlencode(payload("train churn.csv"))
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


def test_the_fake_saw_no_surprise(slack: FakeSlack, ask: Ask) -> None:
    """A command calls nothing of Slack's before its acknowledgement."""
    before = len(slack.calls)
    ask("train churn.csv")
    assert len(slack.calls) == before

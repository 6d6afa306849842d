"""`/lml` in Slack: what is written and what the person is told, through Bolt as it runs."""

import json
import time

import pytest
from slack_bolt import App, BoltRequest
from slack_sdk import WebClient
from sqlalchemy import select
from support.fake_slack import TEAM, FakeSlack
from support.log_acts import all_runs
from support.slack_front import SlackBot
from support.slack_payloads import Json, command, signed
from unit.slack.conftest import Ask

from bot.slack.asked import of_command
from bot.slack.command import CommandDesk
from bot.slack.people import People
from shared.access import Visibility
from shared.blobs import BlobStore
from shared.log.chat_tables import audit
from shared.log.engine import Log
from shared.settings import Settings


@pytest.fixture
def app(bot: SlackBot) -> App:
    return bot.app


@pytest.fixture
def written(bot: SlackBot) -> list[int]:
    """How often the preparer was woken."""
    return bot.written


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


def request(payload: Json, secret: str = "signing-secret", at: float | None = None) -> BoltRequest:
    """A payload as Bolt is given a request over HTTP."""
    body, headers = signed(payload, secret, at=at)
    return BoltRequest(body=body.decode(), headers={name: [value] for name, value in headers.items()})


def test_requests_over_http_are_signed(app: App, log: Log) -> None:
    """A signed request is answered; a wrong or old signature is refused before anything is read."""
    asked = command("train churn.csv")
    assert app.dispatch(request(asked)).status == 200
    assert app.dispatch(request(asked, secret="wrong")).status == 401
    assert app.dispatch(request(asked, at=time.time() - 3_600)).status == 401
    assert len(all_runs(log)) == 1


def test_the_same_words_again_are_the_same_run(ask: Ask, log: Log) -> None:
    """Whoever types a command again within 30 s, with another trigger, is told its run; once that ended it is new."""
    ask("train churn.csv")
    assert ask("train churn.csv") == "Run 1 is that already: train churn.csv. Nothing was queued twice."
    ask("train churn.csv", user_id="U0BOB")
    ask("cancel 1")
    assert "Run 3 is written" in ask("train churn.csv")
    assert len(all_runs(log)) == 3


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

"""Answers that the first way does not take: the next way, and at its end a line in the bot's log."""

import pytest
from support.deadline import until
from support.fake_slack import Failure, FakeSlack
from support.log_acts import all_runs
from support.slack_front import SlackBot
from support.slack_payloads import command, home_opened, in_view
from unit.slack.conftest import MakeRun

from bot.slack.render import parts
from shared.log.engine import Log


@pytest.fixture
def behind(bot: SlackBot, slack: FakeSlack) -> SlackBot:
    """A bot whose answers have to go to a response_url that is used up."""
    slack.fail("response_url", Failure(status=404, error="used_url"))
    return bot


def ask(bot: SlackBot, slack: FakeSlack) -> None:
    """Ask what is answered behind the acknowledgement, for Slack has to be asked who this is."""
    assert bot.answered(command("status", response_url=slack.response_url()))["text"].startswith("Reading")


def test_a_message_whose_blocks_are_refused_comes_as_text(behind: SlackBot, slack: FakeSlack) -> None:
    """The last way, too, is tried without blocks."""
    slack.fail("chat.postEphemeral", Failure(error="invalid_blocks"))
    ask(behind, slack)
    until(lambda: len(slack.ephemerals) == 1)
    assert not slack.ephemerals[0].get("blocks")
    assert "Nothing waits and nothing runs" in slack.ephemerals[0]["text"]


def test_blocks_that_a_response_url_refuses_come_as_text(bot: SlackBot, slack: FakeSlack) -> None:
    """A response_url that does not take the blocks gets the words."""
    slack.fail("response_url", Failure(status=400, error="invalid_blocks"))
    ask(bot, slack)
    until(lambda: len(slack.responses) == 1)
    assert "blocks" not in slack.responses[0]
    assert slack.ephemerals == []


@pytest.mark.parametrize(
    ("failure", "code"),
    [(Failure(error="user_not_in_channel"), "user_not_in_channel"), (Failure(unreached=True), "")],
)
def test_an_answer_that_no_way_takes_is_named_in_the_log(
    behind: SlackBot, slack: FakeSlack, caplog: pytest.LogCaptureFixture, failure: Failure, code: str
) -> None:
    """What nobody can be told is told to the operator, with the reason."""
    slack.fail("chat.postEphemeral", failure)
    ask(behind, slack)
    until(lambda: f"An answer to U0ADA in C0GENERAL could not be sent: {code}" in caplog.text)
    assert slack.ephemerals == []


def test_an_answer_without_a_channel_is_named_in_the_log(
    behind: SlackBot, slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    """Where Slack names no channel there is no second way."""
    behind.send(command("status", response_url=slack.response_url(), channel_id=""))
    until(lambda: "An answer to U0ADA could not be sent: no channel is known." in caplog.text)


@pytest.mark.parametrize("method", ["views.open", "views.update"])
def test_a_click_in_the_home_tab_counts_without_its_view(
    bot: SlackBot, slack: FakeSlack, log: Log, make_run: MakeRun, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """What a button says is done, and the tab drawn anew, also where the view of its answer cannot be shown."""
    number = make_run()
    bot.send(home_opened())
    until(lambda: "U0ADA" in slack.homes)
    home = slack.homes["U0ADA"]
    before = home.hash
    slack.fail(method, Failure(error="internal_error"))
    view = {**home.body, "id": home.id, "hash": home.hash}
    bot.send(in_view("lml:words:cancel", view, value=f"cancel {number}", trigger_id=slack.trigger()))
    until(lambda: slack.homes["U0ADA"].hash != before)
    assert all_runs(log)[0].state == "cancelled"
    assert ": internal_error." in caplog.text


def test_a_home_tab_that_slack_does_not_take_is_named_in_the_log(
    bot: SlackBot, slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    """A tab that could not be drawn is drawn when it is opened again."""
    slack.fail("views.publish", Failure(error="not_enabled"))
    bot.send(home_opened())
    until(lambda: "The home tab of U0ADA could not be drawn: not_enabled." in caplog.text)
    bot.send(home_opened())
    until(lambda: "U0ADA" in slack.homes)


def test_a_long_text_is_laid_out_in_parts_of_whole_lines() -> None:
    """No part is longer than what one block takes, and none is empty."""
    lines = [f"line {number:03}" for number in range(100)]
    found = list(parts("\n".join(lines), 90))
    assert [line for part in found for line in part.splitlines()] == lines
    assert max(map(len, found)) <= 100
    assert list(parts("\n\n", 90)) == []

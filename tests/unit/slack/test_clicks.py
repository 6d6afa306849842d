"""Buttons of messages: what a click does, for whom, and how often."""

from support.deadline import until
from support.fake_slack import Channel, FakeSlack
from support.log_acts import all_runs
from support.slack_front import SlackBot, said
from support.slack_payloads import click, command
from support.slack_texts import texts_in
from unit.slack.conftest import MakeRun

from bot.slack.asked import of_click
from bot.slack.views import ids
from shared.log import runs
from shared.log.engine import Log


def test_a_click_does_its_words(bot: SlackBot, slack: FakeSlack, log: Log, make_run: MakeRun) -> None:
    """A button's words are done as if they were typed; the click is acknowledged at once, the answer follows."""
    number = make_run()
    asked = click("lml:words:cancel", f"cancel {number}", response_url=slack.response_url())
    assert bot.answered(asked) == {}
    assert "Cancelled" in said(slack)
    assert slack.responses[-1]["replace_original"] is False
    assert all_runs(log)[0].state == "cancelled"


def test_a_click_of_somebody_who_may_not_is_refused(
    bot: SlackBot, slack: FakeSlack, log: Log, make_run: MakeRun
) -> None:
    """Whoever may not is told why, and nothing happens."""
    number = make_run()
    bot.send(click("lml:words:cancel", f"cancel {number}", user="U0BOB", response_url=slack.response_url("U0BOB")))
    assert "this one is someone else's" in said(slack)
    assert all_runs(log)[0].state == "preparing"


def test_a_double_click_makes_one_run(bot: SlackBot, slack: FakeSlack, log: Log, make_run: MakeRun) -> None:
    """The same button of the same message means one run, however often and by whoever it is clicked."""
    number = make_run()
    with log.write() as connection:
        runs.cancel(connection, number, by="U0ADA")
    asked = click("lml:words:retry", f"retry {number}", response_url=slack.response_url())
    for _ in range(2):
        bot.send(asked)
    until(lambda: len(slack.responses) == 2)
    told = "\n".join(answer["text"] for answer in slack.responses)
    assert "Run 2 is written: retry 1." in told
    assert "Run 2 is that already: retry 1." in told
    with log.write() as connection:
        runs.cancel(connection, 2, by="U0ADA")
    bot.send({**asked, "response_url": slack.response_url()})
    until(lambda: len(slack.responses) == 3)
    assert len(all_runs(log)) == 2


def test_a_button_of_a_private_channels_card_works_there_only(
    bot: SlackBot, slack: FakeSlack, log: Log, make_run: MakeRun
) -> None:
    """A run of a private channel cannot be reached by a forged or forwarded click in another channel."""
    slack.channels["C0SECRET"] = Channel(private=True)
    asked = command("train secret.csv", channel_id="C0SECRET", channel_name="privategroup")
    assert "Run 1 is written" in texts_in(bot.answered(asked)["blocks"])
    bot.send(click("lml:words:show", "show 1", response_url=slack.response_url()))
    assert "There is no run 1." in said(slack)


def test_a_link_is_acknowledged(bot: SlackBot) -> None:
    """Slack reports clicks on links too; nothing is to be done."""
    assert bot.answered(click(ids.DETAILS)) == {}


def test_a_private_channel_stays_private_whatever_a_payload_calls_it(
    bot: SlackBot, slack: FakeSlack, log: Log, make_run: MakeRun
) -> None:
    """The team sees a run only where Slack's own facts too say that its channel is public."""
    slack.channels["C0SECRET"] = Channel(private=True)
    bot.send(command("train secret.csv", channel_id="C0SECRET", channel_name="secret-plans"))
    until(lambda: len(all_runs(log)) == 1)
    assert all_runs(log)[0].visibility == "channel"


def test_a_late_trigger_is_said(bot: SlackBot, slack: FakeSlack) -> None:
    """A trigger that has ended opens nothing; the person is told to click again."""
    asked = click(ids.OPEN_TRAIN, trigger_id=slack.trigger(age_s=4), response_url=slack.response_url())
    bot.send(asked)
    assert "Click again, or type the command." in said(slack)


def test_keys_are_short_whatever_a_button_says() -> None:
    """The log keeps 128 characters of a key; a longer one is told by its hash."""
    body = click("lml:words:" + "x" * 200, "y" * 1_000)
    key = of_click(body, body["actions"][0], text="y" * 1_000, channel_id=None).key
    assert key is not None
    assert len(key) <= 128

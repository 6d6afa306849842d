"""The home tab: what it shows to whom, and what its buttons do."""

from support.deadline import until
from support.fake_slack import Failure, FakeSlack
from support.log_acts import all_runs, noted
from support.slack_front import SlackBot, opened
from support.slack_payloads import command, home_opened, in_view
from support.slack_texts import texts_in
from unit.slack.conftest import MakeRun

from shared.log.engine import Log


def test_the_home_tab_shows_what_its_person_may_see(
    bot: SlackBot, slack: FakeSlack, log: Log, make_run: MakeRun
) -> None:
    """Team runs and one's own of the direct message; nothing of others' private ones."""
    make_run("churn.csv")
    bot.send(command("train mine.csv", channel_id="D0ADA", channel_name="directmessage"))
    bot.send(command("train bobs.csv", user_id="U0BOB", channel_id="D0BOB", channel_name="directmessage"))
    bot.send(home_opened())
    until(lambda: "U0ADA" in slack.homes)
    shown = texts_in(slack.homes["U0ADA"].body)
    assert "churn.csv" in shown
    assert "mine.csv" in shown
    assert "bobs.csv" not in shown


def test_a_button_of_the_home_tab_answers_in_a_view(
    bot: SlackBot, slack: FakeSlack, log: Log, make_run: MakeRun
) -> None:
    """What came of a click is shown in a view, and the tab is drawn anew."""
    number = make_run()
    bot.send(home_opened())
    until(lambda: "U0ADA" in slack.homes)
    home = slack.homes["U0ADA"]
    before = home.hash
    view = {**home.body, "id": home.id, "hash": home.hash}
    asked = in_view("lml:words:cancel", view, value=f"cancel {number}", trigger_id=slack.trigger())
    assert bot.answered(asked) == {}
    assert "Cancelled" in texts_in(opened(slack))
    until(lambda: slack.homes["U0ADA"].hash != before)
    assert all_runs(log)[0].state == "cancelled"


def test_a_home_tab_that_changed_meanwhile_is_drawn_again(bot: SlackBot, slack: FakeSlack) -> None:
    """`hash_conflict` means that another drawing came first: what is true now is drawn."""
    slack.fail("views.publish", Failure(error="hash_conflict"))
    bot.send(home_opened(view={"hash": "1.abc", "private_metadata": ""}))
    until(lambda: "U0ADA" in slack.homes)
    assert len(slack.called("views.publish")) == 2


def test_a_guests_home_says_why_it_is_empty(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """Who has no role is told so on the tab too, and that is noted."""
    slack.people["U0EVE"] = {"is_ultra_restricted": True}
    bot.send(home_opened(user="U0EVE"))
    until(lambda: "U0EVE" in slack.homes)
    assert "My runs" not in texts_in(slack.homes["U0EVE"].body)
    assert ("U0EVE", "status", "denied") in noted(log)

"""Messages that name the bot and direct messages: heard once, answered once, whatever is lost or dies in between."""

from datetime import timedelta
from typing import Any

import pytest
from slack_sdk import WebClient
from sqlalchemy import select, update
from support.deadline import until
from support.fake_slack import BOT_USER, Channel, Failure, FakeSlack
from support.log_acts import all_runs
from support.slack_front import SlackBot, slack_bot
from support.slack_payloads import direct_message, event, mention

from bot.delivery.messages import Messages
from bot.delivery.pace import Pace
from bot.slack.heard import HeardAnswers
from shared.blobs import BlobStore
from shared.log import heard
from shared.log.chat_tables import notices
from shared.log.engine import Log, now
from shared.settings import Settings


def answer_all(bot: SlackBot) -> None:
    while bot.heard.send_next():
        pass


def test_a_mention_is_answered_in_its_thread(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """Words behind the bot's name are a command; the answer stands below the message."""
    asked = mention("train churn.csv target=churned")
    assert bot.send(asked).status == 200
    answer_all(bot)
    (run,) = all_runs(log)
    assert (run.words, run.channel_id, run.visibility) == ("train churn.csv target=churned", "C0GENERAL", "team")
    (reply,) = slack.thread(asked["event"]["ts"])
    assert reply["text"] == "Run 1 is written: train churn.csv target=churned. Its card follows here."


def test_a_direct_message_is_answered_in_the_conversation(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """A message to the bot alone is a command; what it starts is seen by its person only."""
    bot.send(direct_message("train churn.csv"))
    answer_all(bot)
    assert [message["text"] for message in slack.posted("D0ADA")] == [
        "Run 1 is written: train churn.csv. Its card follows here."
    ]
    assert all_runs(log)[0].visibility == "private"


def test_the_file_of_a_mention_is_the_dataset(bot: SlackBot, log: Log) -> None:
    """A file that came along is the dataset where the words name it, or name none; alone it is described."""
    files = [{"id": "F0001", "name": "churn.csv"}]
    bot.send(mention("train target=churned", files=files, subtype="file_share"))
    bot.send(mention("train CHURN.csv", files=files))
    bot.send(mention("train other.csv", files=files))
    bot.send(mention("", files=files))
    answer_all(bot)
    met = [(run.words, run.dataset_source) for run in reversed(all_runs(log))]
    source = {"slack_file": "F0001", "name": "churn.csv"}
    assert met == [
        ("train churn.csv target=churned", source),
        ("train CHURN.csv", source),
        ("train other.csv", None),
        ("describe churn.csv", source),
    ]


def test_of_several_files_one_has_to_be_named(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """Which of two files is meant is not guessed."""
    asked = mention("train", files=[{"id": "F0001", "name": "a.csv"}, {"id": "F0002", "name": "b.csv"}])
    bot.send(asked)
    answer_all(bot)
    assert "Several files came along: “a.csv”, “b.csv”." in slack.thread(asked["event"]["ts"])[0]["text"]
    assert all_runs(log) == []


def test_an_event_that_comes_again_is_answered_once(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """Slack sends an event again that was not acknowledged in time: it is the same one."""
    asked = mention("train churn.csv", event_id="Ev1")
    bot.send(asked)
    answer_all(bot)
    assert bot.send(asked, **{"x-slack-retry-num": "1"}).status == 200
    answer_all(bot)
    assert len(all_runs(log)) == 1
    assert len(slack.thread(asked["event"]["ts"])) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"bot_id": "B0OTHER"},
        {"subtype": "message_changed"},
        {"subtype": "bot_message"},
        {"user": BOT_USER},
        {"channel_type": "channel", "channel": "C0GENERAL"},
        {"user": ""},
    ],
)
def test_what_nobody_said_is_not_heard(bot: SlackBot, log: Log, more: dict[str, Any]) -> None:
    """Bots, edits, own messages and what was said to others are no commands."""
    bot.send(direct_message("train churn.csv", **more))
    answer_all(bot)
    assert all_runs(log) == []


def test_an_event_that_cannot_be_written_is_sent_again(settings: Settings, store: BlobStore, client: WebClient) -> None:
    """An event is acknowledged once it stands in the log; else Slack is told to send it again."""
    with slack_bot(settings, Log("sqlite:////nowhere/at/all/log.db"), store, client) as bot:
        assert bot.send(mention("train churn.csv")).status == 503


def test_a_bot_that_died_is_followed_by_the_next(bot: SlackBot, slack: FakeSlack, log: Log, client: WebClient) -> None:
    """A message that a bot had heard and not answered when it was killed is answered by another, and makes one run."""
    asked = mention("train churn.csv")
    bot.send(asked)
    with log.write() as connection:
        assert heard.take(connection, owner="a bot that died", lease_s=0.01) is not None
    other = HeardAnswers(log, bot.desk, Messages(client), Pace.unlimited(), unsure_s=0.0)
    until(other.send_next)
    assert len(all_runs(log)) == 1
    assert len(slack.thread(asked["event"]["ts"])) == 1


def said_in_channel(slack: FakeSlack, body: dict[str, Any]) -> dict[str, Any]:
    """The same, with its message standing in the channel."""
    message = {"ts": body["event"]["ts"], "text": body["event"]["text"], "user": body["event"]["user"]}
    slack.channels[body["event"]["channel"]].messages.append(message)
    return body


def answer_until_done(bot: SlackBot, log: Log) -> None:
    """Answer, whatever was put off, at once."""
    for _ in range(10):
        answer_all(bot)
        with log.read() as connection:
            left = connection.execute(select(notices.c.id).where(notices.c.done_at.is_(None))).all()
        if not left:
            return
        make_due(log)
    raise AssertionError("a message was never answered")


def make_due(log: Log) -> None:
    """Whatever was put off is due now."""
    with log.write() as connection:
        connection.execute(update(notices).values(due_at=now(connection) - timedelta(seconds=1)))


def test_a_lost_answer_to_a_post_is_looked_for(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """A post whose answer was lost is found by its metadata and not made again."""
    asked = said_in_channel(slack, mention("status"))
    bot.send(asked)
    slack.fail("chat.postMessage", Failure(lost=True))
    answer_until_done(bot, log)
    assert len(slack.thread(asked["event"]["ts"])) == 1
    assert slack.ephemerals == []


def test_a_post_that_did_not_arrive_is_made_again(
    bot: SlackBot, slack: FakeSlack, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A post that surely is not there is made again; 429 and 5xx as well."""
    asked = said_in_channel(slack, mention("status"))
    bot.send(asked)
    slack.fail(
        "chat.postMessage",
        Failure(unreached=True),
        Failure(status=429, error="ratelimited", retry_after_s=1),
        Failure(status=503),
    )
    monkeypatch.setattr(Pace, "hold", lambda *_args, **_more: None)  # a second of waiting is not what is tested
    answer_until_done(bot, log)
    assert len(slack.thread(asked["event"]["ts"])) == 1


def test_a_post_that_may_arrive_yet_is_not_made_again(
    bot: SlackBot, slack: FakeSlack, log: Log, client: WebClient
) -> None:
    """A post that nobody heard of, and that is not there when it is looked for at once, may still be under way."""
    asked = said_in_channel(slack, mention("status"))
    bot.send(asked)
    slack.fail("chat.postMessage", Failure(unreached=True))
    patient = HeardAnswers(log, bot.desk, Messages(client), Pace.unlimited(), unsure_s=30.0)
    for _ in range(3):
        patient.send_next()
        make_due(log)
    assert len(slack.called("chat.postMessage")) == 1


def test_a_bot_that_took_long_keeps_its_message(bot: SlackBot, log: Log) -> None:
    """Before a post begins the lease begins anew: no other bot takes the message while Slack is at it."""
    bot.send(mention("status"))
    with log.write() as connection:
        met = heard.take(connection, owner="slow", lease_s=0.0)  # it is over before the post begins
        assert met is not None
        assert heard.mark(connection, met.id, owner="slow", lease_s=60.0)
    with log.write() as connection:
        assert heard.take(connection, owner="other", lease_s=60.0) is None


def test_the_audit_is_shown_to_its_admin_alone(
    settings: Settings, slack: FakeSlack, log: Log, store: BlobStore, client: WebClient
) -> None:
    """Asked for by a mention, the words of others do not come into a thread that everyone reads."""
    settings = settings.model_copy(update={"admins": "U0ADA"})
    with slack_bot(settings, log, store, client) as bot:
        bot.send(direct_message("train secret.csv", user="U0BOB", channel="D0BOB"))
        asked = said_in_channel(slack, mention("audit"))
        bot.send(asked)
        answer_until_done(bot, log)
    assert slack.thread(asked["event"]["ts"]) == []
    (told,) = slack.ephemerals
    assert told["user"] == "U0ADA"
    assert "secret.csv" in told["text"]


def test_where_the_bot_may_not_look_nothing_is_posted_by_guess(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """Without history scopes a lost post is not repeated: the person alone is shown the answer."""
    asked = mention("status")
    bot.send(asked)
    assert slack.scopes is not None
    slack.scopes -= {"channels:history", "groups:history", "im:history"}
    slack.fail("chat.postMessage", Failure(unreached=True))
    answer_until_done(bot, log)
    assert slack.thread(asked["event"]["ts"]) == []
    assert [said["user"] for said in slack.ephemerals] == ["U0ADA"]


def test_a_channel_that_takes_nothing_is_given_up(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """A bot that was removed meanwhile does not try for ever."""
    bot.send(mention("status", channel="C0GONE"))
    slack.channels["C0GONE"] = Channel(has_bot=False)
    answer_until_done(bot, log)
    assert slack.ephemerals == []


def test_blocks_that_are_refused_come_as_text(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """An answer whose blocks Slack does not take is said in plain text."""
    asked = mention("status")
    bot.send(asked)
    slack.fail("chat.postMessage", Failure(error="invalid_blocks"))
    answer_until_done(bot, log)
    (reply,) = slack.thread(asked["event"]["ts"])
    assert "blocks" not in reply


def test_a_look_that_is_not_answered_is_made_again(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """While Slack does not say whether a lost post is there, nothing is posted again and nobody is told twice."""
    asked = said_in_channel(slack, mention("status"))
    bot.send(asked)
    slack.fail("chat.postMessage", Failure(lost=True))
    again = Failure(status=429, error="ratelimited", retry_after_s=1)
    slack.fail("conversations.replies", again, Failure(unreached=True))
    answer_until_done(bot, log)
    assert len(slack.thread(asked["event"]["ts"])) == 1
    assert slack.ephemerals == []


def test_what_is_for_an_admin_alone_waits_for_its_turn(
    settings: Settings, slack: FakeSlack, log: Log, store: BlobStore, client: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 429 is waited for; what Slack does not show to its person then is shown to nobody."""
    monkeypatch.setattr(Pace, "hold", lambda *_args, **_more: None)  # a second of waiting is not what is tested
    settings = settings.model_copy(update={"admins": "U0ADA"})
    again = Failure(status=429, error="ratelimited", retry_after_s=1)
    with slack_bot(settings, log, store, client) as bot:
        asked = said_in_channel(slack, mention("audit"))
        bot.send(asked)
        slack.fail("chat.postEphemeral", again)
        answer_until_done(bot, log)
        assert [told["user"] for told in slack.ephemerals] == ["U0ADA"]
        bot.send(said_in_channel(slack, mention("audit")))
        slack.fail("chat.postEphemeral", Failure(error="user_not_in_channel"))
        answer_until_done(bot, log)
    assert len(slack.ephemerals) == 1
    assert slack.thread(asked["event"]["ts"]) == []


def test_groups_that_change_are_asked_about_again(bot: SlackBot, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event about a user group drops what was kept of it."""
    dropped: list[str] = []
    monkeypatch.setattr(bot.desk.people, "forget", dropped.append)
    bot.send(event("subteam_members_changed", subteam_id="S0ML"))
    bot.send(event("subteam_updated", subteam={"id": "S0OPS"}))
    until(lambda: sorted(dropped) == ["S0ML", "S0OPS"])

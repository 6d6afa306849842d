"""Every answer of Slack's that is no success ends in the right place: the rows of research/slack.md, section 8."""

import pytest
from support.fake_slack import Channel, Failure, FakeSlack
from support.sent_cards import GENERAL, card_row, notice_rows, record, sent_until, settle, start, succeed
from unit.slack.conftest import MakeRun, MakeSender

from bot.delivery import outcomes
from bot.delivery.notices import NoticeSender
from bot.delivery.outcomes import Came
from bot.delivery.sender import CardSender
from shared.blobs import BlobStore
from shared.events import Stage, StageStarted
from shared.log.engine import Log


@pytest.fixture
def run(make_run: MakeRun) -> int:
    return make_run()


def test_a_bot_outside_of_the_channel_says_how_to_invite_it(
    slack: FakeSlack, log: Log, sender: CardSender, notice_sender: NoticeSender, make_run: MakeRun
) -> None:
    """The person is told once, in a direct message, to invite the bot; the run is not touched."""
    slack.channels["C0PRIVATE"] = Channel(has_bot=False)
    run = make_run(channel="C0PRIVATE")
    settle(sender, notice_sender)
    start(log, run)
    settle(sender, notice_sender)
    (told,) = slack.posted("D-U0ADA")
    assert told["text"] == (
        "I cannot post the card of run 1 in <#C0PRIVATE>, for I am not in that channel. Type `/invite @lml` there, and"
        " later runs get their cards. Run 1 itself goes on: `/lml show 1` shows it."
    )
    assert card_row(log, run)["problem"] == "not_in_channel"


def test_an_archived_channel_is_named(
    slack: FakeSlack, log: Log, sender: CardSender, notice_sender: NoticeSender, run: int
) -> None:
    """A card of an archived channel is given up, and the person hears why."""
    slack.channels[GENERAL].archived = True
    settle(sender, notice_sender)
    assert "in <#C0GENERAL>: it is archived. Ask in another channel." in slack.posted("D-U0ADA")[0]["text"]
    assert card_row(log, run)["problem"] == "is_archived"


def test_a_channel_that_was_archived_meanwhile_tells_the_end(
    slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, notice_sender: NoticeSender, run: int
) -> None:
    """A card that stands in a channel that was archived is left as it is; the person hears of the run's end."""
    settle(sender)
    slack.channels[GENERAL].archived = True
    attempt = start(log, run)
    settle(sender, notice_sender)
    assert "D-U0ADA" not in slack.channels
    succeed(log, attempt, store, {})
    settle(sender, notice_sender)
    (told,) = slack.posted("D-U0ADA")
    assert "it is archived. Ask in another channel. Run 1 itself has ended: `/lml show 1` shows it." in told["text"]


def test_who_cannot_be_written_to_is_told_in_the_channel(
    slack: FakeSlack, log: Log, sender: CardSender, notice_sender: NoticeSender, run: int
) -> None:
    """When no direct message is possible, the words are shown to the person in the channel, for them alone."""
    slack.fail("chat.postMessage", Failure(error="restricted_action"), Failure(error="cannot_dm_bot"))
    settle(sender, notice_sender)
    (told,) = slack.ephemerals
    assert told["user"] == "U0ADA"
    assert "Slack does not allow it (restricted_action)" in told["text"]


def test_nobody_is_told_twice(
    slack: FakeSlack, log: Log, sender: CardSender, notice_sender: NoticeSender, run: int
) -> None:
    """When the answer to a direct message is lost, it is not sent again by guess."""
    slack.fail("chat.postMessage", Failure(error="restricted_action"), Failure(lost=True))
    settle(sender)
    sent_until(notice_sender, lambda: notice_rows(log)["no-card:1"]["done_at"])
    assert len(slack.posted("D-U0ADA")) == 1
    assert notice_rows(log)["no-card:1"]["problem"] == "unsure"


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_blocks_too_long", "msg_too_long", "block_mismatch"])
def test_refused_blocks_become_plain_text_once_for_each_state(
    slack: FakeSlack, log: Log, sender: CardSender, run: int, code: str
) -> None:
    """A card whose blocks Slack refuses in every form is sent as plain text; the next state is tried with blocks."""
    slack.fail("chat.postMessage", Failure(error=code), Failure(error=code))
    settle(sender)
    (message,) = slack.posted()
    assert "blocks" not in message
    assert message["text"].startswith("Run 1 · train churn.csv")
    assert len(slack.called("chat.postMessage")) == 3
    start(log, run)
    settle(sender)
    assert slack.posted()[0]["blocks"]


def test_a_workspace_without_the_newest_blocks_is_remembered(
    slack: FakeSlack, log: Log, sender: CardSender, run: int, make_run: MakeRun
) -> None:
    """Once a card was refused for its newest blocks and taken without, later ones are drawn without at once."""
    slack.fail("chat.postMessage", Failure(error="invalid_blocks"))
    settle(sender)
    make_run("b.csv")
    settle(sender)
    first, second = slack.called("chat.postMessage")[:2]
    assert "plan" in [block["type"] for block in first["blocks"]]
    assert len(slack.called("chat.postMessage")) == 3
    for call in (second, slack.called("chat.postMessage")[2]):
        assert call["blocks"]
        assert "plan" not in [block["type"] for block in call["blocks"]]


def test_a_deleted_card_is_posted_anew_once(
    slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, run: int
) -> None:
    """Someone deletes the message: the next change posts a new one. Deleted again, only the run's end gets another."""
    settle(sender)
    slack.channels[GENERAL].messages.clear()
    attempt = start(log, run)
    settle(sender)
    assert card_row(log, run)["message_ts"] == slack.posted()[0]["ts"]
    slack.channels[GENERAL].messages.clear()
    record(log, attempt, StageStarted(stage=Stage.TRAIN))
    settle(sender)
    record(log, attempt, StageStarted(stage=Stage.EVALUATE))
    settle(sender)
    assert slack.posted() == []
    succeed(log, attempt, store, {"model.onnx": b"onnx"})
    settle(sender)
    (message,) = slack.posted()
    assert "Succeeded" in message["text"]
    assert slack.shown_in(message["ts"]) == ["model.onnx"]


@pytest.mark.parametrize("code", ["edit_window_closed", "cant_update_message", "message_not_in_streaming_state"])
def test_a_card_that_cannot_be_edited_gets_a_new_one_for_its_end(
    slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, run: int, code: str
) -> None:
    """Where messages cannot be edited, progress is not posted over and over: the end is."""
    settle(sender)
    attempt = start(log, run)
    slack.fail("chat.update", Failure(error=code))
    settle(sender)
    record(log, attempt, StageStarted(stage=Stage.TRAIN))
    settle(sender)
    assert len(slack.posted()) == 1
    slack.fail("chat.update", Failure(error=code))
    succeed(log, attempt, store, {})
    settle(sender)
    assert len(slack.posted()) == 2
    assert "Succeeded" in slack.posted()[1]["text"]


@pytest.mark.parametrize("code", ["invalid_auth", "account_inactive", "token_revoked"])
def test_a_refused_token_stops_the_workspace(
    slack: FakeSlack,
    log: Log,
    sender: CardSender,
    make_run: MakeRun,
    code: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A token that Slack refuses is logged with what to do, nothing else is sent with it, and the cards stay due."""
    run, _ = make_run(), make_run("b.csv", channel="D0ADA")
    slack.fail("chat.postMessage", Failure(error=code))
    settle(sender)
    assert f"Slack refuses the bot's token ({code}): correct it; `lml doctor` checks it." in caplog.text
    assert len(slack.calls) == 1
    row = card_row(log, run)
    assert row["problem"] is None
    assert row["due_at"] is not None


def test_a_missing_scope_is_named(
    slack: FakeSlack, log: Log, sender: CardSender, run: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Without chat:write the log says which scope to add, and the card stays due."""
    assert slack.scopes is not None
    slack.scopes -= {"chat:write"}
    settle(sender)
    assert "Slack refuses chat.postMessage: the app lacks the scope chat:write. Add it under" in caplog.text
    assert card_row(log, run)["problem"] is None


def test_what_slack_refuses_for_good_is_given_up(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """A card that Slack refuses ten times for a reason that LML does not know is given up with that reason."""
    slack.fail("chat.postMessage", *[Failure(error="as_user_not_supported")] * 10)
    sent_until(sender, lambda: card_row(log, run)["problem"] is not None)
    assert card_row(log, run)["problem"] == "as_user_not_supported"


def test_a_login_page_is_no_answer(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """A page of a proxy instead of an answer leaves open what happened, so the message is looked for first."""
    slack.fail("chat.postMessage", Failure(html=True))
    sent_until(sender, lambda: slack.posted() != [])
    assert len(slack.posted()) == 1
    assert slack.called("conversations.history")


def test_a_slack_that_is_not_reached_was_not_asked(
    slack: FakeSlack, log: Log, make_sender: MakeSender, run: int
) -> None:
    """Where nobody took the connection, nothing was posted: it is simply tried again."""
    sender = make_sender()
    sender._messages._client.base_url = "http://127.0.0.1:1/api/"
    settle(sender)
    row = card_row(log, run)
    assert row["message_ts"] is None
    assert row["due_at"] is not None
    assert row["problem"] is None


MEANS = {
    "not_in_channel": Came.NOT_HERE,
    "channel_not_found": Came.NOT_HERE,
    "is_archived": Came.NOT_HERE,
    "restricted_action": Came.NOT_HERE,
    "restricted_action_read_only_channel": Came.NOT_HERE,
    "posting_to_channel_denied": Came.NOT_HERE,
    "invalid_blocks": Came.BLOCKS_REFUSED,
    "invalid_blocks_format": Came.BLOCKS_REFUSED,
    "msg_blocks_too_long": Came.BLOCKS_REFUSED,
    "msg_too_long": Came.BLOCKS_REFUSED,
    "block_mismatch": Came.BLOCKS_REFUSED,
    "message_not_found": Came.GONE,
    "cant_update_message": Came.FIXED,
    "edit_window_closed": Came.FIXED,
    "is_inactive": Came.FIXED,
    "streaming_state_conflict": Came.FIXED,
    "message_not_in_streaming_state": Came.FIXED,
    "file_type_not_allowed": Came.REFUSED,
    "file_uploads_disabled": Came.REFUSED,
    "file_uploads_except_images_disabled": Came.REFUSED,
    "storage_limit_reached": Came.REFUSED,
    "file_not_found": Came.GONE,
    "file_deleted": Came.GONE,
    "access_denied": Came.GONE,
    "not_visible": Came.GONE,
    "invalid_auth": Came.TOKEN_REFUSED,
    "account_inactive": Came.TOKEN_REFUSED,
    "token_revoked": Came.TOKEN_REFUSED,
    "missing_scope": Came.METHOD_REFUSED,
    "ratelimited": Came.LATER,
    "rate_limited": Came.LATER,
    "fatal_error": Came.UNKNOWN,
    "internal_error": Came.UNKNOWN,
}


@pytest.mark.parametrize("code", MEANS)
def test_each_word_of_slacks_has_its_meaning(slack: FakeSlack, sender: CardSender, code: str) -> None:
    """The error words that Slack's pages name are each told from the others."""
    slack.fail("auth.test", Failure(error=code))
    outcome, answer = outcomes.attempt("auth.test", sender._messages._client.auth_test)
    assert outcome.came is MEANS[code]
    assert answer is None

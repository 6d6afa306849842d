"""Cards arrive: posted once, updated in place, whatever Slack answers."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update
from support.deadline import until
from support.fake_slack import Channel, Failure, FakeSlack

from bot.delivery.pace import Pace
from bot.delivery.sender import CardSender
from shared.blobs import BlobStore
from shared.errors import Problem
from shared.events import EpochDone, Stage, StageStarted
from shared.log import attempts, runs, tables
from shared.log.attempts import Attempt, Outcome
from shared.log.engine import Log
from shared.log.runs import Artifact

GENERAL = "C0GENERAL"


def settle(sender: CardSender) -> None:
    """Send until nothing is behind."""
    while sender.send_next():
        pass


def sent_until(sender: CardSender, condition: Callable[[], object]) -> None:
    """Send, as the notifier does, until a condition holds."""

    def sent() -> object:
        sender.send_next()
        return condition()

    until(sent)


def card_row(log: Log, run: int) -> dict[str, object]:
    with log.read() as connection:
        return dict(connection.execute(select(tables.cards).where(tables.cards.c.run_id == run)).one()._mapping)


def start(log: Log, run: int) -> Attempt:
    """Queue a run and let a worker claim it."""
    with log.write() as connection:
        runs.queue(connection, run)
        claimed = attempts.claim(connection, worker="w1", lease_s=60)
        assert claimed is not None
        return claimed[0]


def succeed(log: Log, attempt: Attempt, store: BlobStore, files: dict[str, bytes]) -> None:
    made = []
    for name, body in files.items():
        blob = store.put_chunks([body])
        made.append(Artifact(name=name, sha256=blob.sha256, size_bytes=blob.size_bytes))
    metrics = {"test": {"accuracy": 0.91}, "baseline": {"accuracy": 0.7}}
    result = {"task": "binary", "headline": "accuracy", "model": "mlp", "metrics": metrics}
    with log.write() as connection:
        attempts.succeed(connection, attempt, Outcome(result=result, metrics=metrics, artifacts=made))


@pytest.fixture
def run(make_run: Callable[..., int]) -> int:
    return make_run()


def test_one_message_is_updated_and_its_thread_gets_the_files(
    slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, run: int
) -> None:
    """A run's card is one message that is edited until the end; plots, model and report go into its thread."""
    settle(sender)
    attempt = start(log, run)
    settle(sender)
    with log.write() as connection:
        attempts.record(connection, attempt, StageStarted(stage=Stage.TRAIN))
        done = EpochDone(model="mlp", epoch=3, epochs=20, train_loss=0.5, validation_loss=0.6, eta_s=9)
        attempts.record(connection, attempt, done)
    settle(sender)
    assert "mlp: epoch 3 of at most 20" in slack.posted()[0]["text"]
    files = {"loss_curve.png": b"png", "model.onnx": b"onnx", "report.json": b"{}", "weights.safetensors": b"w"}
    succeed(log, attempt, store, files)
    settle(sender)
    message = slack.posted()[0]
    assert len(slack.posted()) == 1
    assert message["edits"] == 3
    assert message["text"].splitlines()[1].startswith("✅ Succeeded: accuracy 0.9100")
    del files["weights.safetensors"]
    assert slack.files_in(message["ts"]) == files
    assert card_row(log, run)["files_sent"] is True
    assert len(slack.called("files.completeUploadExternal")) == 1


def test_a_lost_answer_does_not_post_twice(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """When the answer to a post is lost, the message is found by its metadata and taken over."""
    slack.fail("chat.postMessage", Failure(lost=True))
    sent_until(sender, lambda: card_row(log, run)["shown_event"] == 0)
    assert len(slack.posted()) == 1
    assert card_row(log, run)["message_ts"] == slack.posted()[0]["ts"]


def test_a_bot_that_died_while_posting_is_followed_by_one_that_looks(
    slack: FakeSlack, log: Log, sender: CardSender, run: int, make_sender: Callable[[], CardSender]
) -> None:
    """A mark in the place of the ts makes the next bot look for the message instead of posting it."""
    sender.send_next()
    with log.write() as connection:  # as if the bot had died between Slack's answer and the note of it
        connection.execute(update(tables.cards).values(message_ts="?1700000000.0", shown_event=-1))
    settle(make_sender())
    assert len(slack.posted()) == 1
    assert card_row(log, run)["message_ts"] == slack.posted()[0]["ts"]


def test_a_post_that_never_arrived_is_posted_again(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """When the connection broke and the message is not there, it is posted."""
    slack.fail("chat.postMessage", Failure(unreached=True))
    sent_until(sender, lambda: card_row(log, run)["shown_event"] == 0)
    assert len(slack.posted()) == 1


def test_an_unsure_post_without_history_says_so(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """A bot that may not read the history posts anew after a lost answer, and says that a card may stand above."""
    assert slack.scopes is not None
    slack.scopes -= {"channels:history"}
    slack.fail("chat.postMessage", Failure(lost=True))
    sent_until(sender, lambda: card_row(log, run)["shown_event"] == 0)
    assert len(slack.posted()) == 2
    assert "an earlier one may stand above" in slack.posted()[1]["text"]


def test_server_errors_are_tried_again(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """After 5xx answers and dropped connections an update arrives."""
    settle(sender)
    slack.fail("chat.update", Failure(status=503), Failure(unreached=True), Failure(error="fatal_error"))
    start(log, run)
    sent_until(sender, lambda: slack.posted()[0]["edits"] == 1)
    assert len(slack.posted()) == 1


def test_retry_after_is_kept(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """A 429 puts the card off for as long as Slack asks, and loses nothing."""
    slack.fail("chat.postMessage", Failure(status=429, error="ratelimited", retry_after_s=1))
    settle(sender)
    row = card_row(log, run)
    assert slack.posted() == []
    assert row["message_ts"] is None
    sent_until(sender, lambda: slack.posted() != [])
    assert len(slack.called("chat.postMessage")) == 2


def test_two_bots_post_once(
    slack: FakeSlack, log: Log, make_sender: Callable[[], CardSender], make_run: Callable[..., int]
) -> None:
    """Two bot processes side by side post each of twenty cards once."""
    for number in range(20):
        make_run(f"set{number}.csv")
    bots = [threading.Thread(target=settle, args=(make_sender(),)) for _ in range(2)]
    for bot in bots:
        bot.start()
    for bot in bots:
        bot.join()
    payloads = [message["metadata"]["event_payload"]["run"] for message in slack.posted()]
    assert sorted(payloads) == list(range(1, 21))


def test_messages_in_a_channel_keep_their_distance(
    slack: FakeSlack, log: Log, make_run: Callable[..., int], sender: CardSender
) -> None:
    """With the pace of the product, cards of one channel do not run into Slack's limit of one message a second."""
    slack.paced = True
    sender._pace = Pace()
    make_run("a.csv")
    make_run("b.csv")
    make_run("c.csv", channel="D0ADA")
    sent_until(sender, lambda: len(slack.posted()) == 2)
    assert len(slack.posted("D0ADA")) == 1
    assert len(slack.called("chat.postMessage")) == 3


def test_a_bot_outside_of_the_channel_says_how_to_invite_it(
    slack: FakeSlack, log: Log, sender: CardSender, make_run: Callable[..., int]
) -> None:
    """The person is told once, in a direct message, to invite the bot; the run is not touched."""
    slack.channels["C0PRIVATE"] = Channel(has_bot=False)
    run = make_run(channel="C0PRIVATE")
    settle(sender)
    start(log, run)
    settle(sender)
    (told,) = slack.posted("D-U0ADA")
    assert told["text"] == (
        "I cannot post the card of run 1 in <#C0PRIVATE>, for I am not in that channel. Type `/invite @lml` there, and"
        " later runs get their cards. Run 1 itself goes on: `/lml show 1` shows it."
    )
    assert card_row(log, run)["problem"] == "not_in_channel"


def test_an_archived_channel_is_named(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """A card of an archived channel is given up, and the person hears why."""
    slack.channels[GENERAL].archived = True
    settle(sender)
    assert "in <#C0GENERAL>: it is archived. Ask in another channel." in slack.posted("D-U0ADA")[0]["text"]
    assert card_row(log, run)["problem"] == "is_archived"


def test_who_cannot_be_written_to_is_told_in_the_channel(
    slack: FakeSlack, log: Log, sender: CardSender, run: int
) -> None:
    """When no direct message is possible, the words are shown to the person in the channel, for them alone."""
    slack.fail("chat.postMessage", Failure(error="restricted_action"), Failure(error="cannot_dm_bot"))
    settle(sender)
    (told,) = slack.ephemerals
    assert told["user"] == "U0ADA"
    assert "Slack does not allow it (restricted_action)" in told["text"]


def test_refused_blocks_become_plain_text(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """A card whose blocks Slack refuses is sent once more as plain text."""
    slack.fail("chat.postMessage", Failure(error="invalid_blocks"))
    settle(sender)
    (message,) = slack.posted()
    assert "blocks" not in message
    assert message["text"].startswith("Run 1 · train churn.csv")


def test_a_deleted_card_is_posted_anew(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """When someone deleted the message, the next change posts a new one."""
    settle(sender)
    slack.channels[GENERAL].messages.clear()
    start(log, run)
    sent_until(sender, lambda: len(slack.posted()) == 1)
    assert card_row(log, run)["message_ts"] == slack.posted()[0]["ts"]


def test_a_refused_token_waits_for_the_operator(
    slack: FakeSlack, log: Log, sender: CardSender, run: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A token that Slack refuses is logged with what to do, and the card stays due."""
    slack.fail("chat.postMessage", Failure(error="token_revoked"))
    settle(sender)
    assert "Slack refuses the bot's token (token_revoked): correct it; `lml doctor` checks it." in caplog.text
    row = card_row(log, run)
    assert row["problem"] is None
    assert row["due_at"] is not None


def test_what_slack_refuses_for_good_is_given_up(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """A card that Slack refuses ten times for a reason that LML does not know is given up with that reason."""
    slack.fail("chat.postMessage", *[Failure(error="as_user_not_supported")] * 10)
    sent_until(sender, lambda: card_row(log, run)["problem"] is not None)
    assert card_row(log, run)["problem"] == "as_user_not_supported"


def test_a_failed_run_shows_its_problem(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """A run that failed before it was queued shows why, in the first message already."""
    with log.write() as connection:
        runs.fail_waiting(connection, run, Problem("dataset_missing", "There is no dataset `churn.csv`.", "Share it."))
    settle(sender)
    (message,) = slack.posted()
    assert "There is no dataset `churn.csv`. Share it." in message["text"]


def test_a_file_that_slack_refuses_is_named_in_the_thread(
    slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, run: int
) -> None:
    """When an admin forbids a type of file, the others arrive, the thread names the refused one, and nothing loops."""
    slack.refused_files["model.onnx"] = "file_type_not_allowed"
    succeed(log, start(log, run), store, {"loss_curve.png": b"png", "model.onnx": b"onnx"})
    settle(sender)
    ts = slack.posted()[0]["ts"]
    assert slack.files_in(ts) == {"loss_curve.png": b"png"}
    assert slack.thread(ts)[0]["text"] == (
        "Not put into this thread: model.onnx (file_type_not_allowed). `lml show 1` in a shell lays every file out."
    )
    assert card_row(log, run)["files_sent"] is True


def test_files_are_not_sent_twice(slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, run: int) -> None:
    """When the answer to an upload is lost, the files that are there are known by their titles."""
    slack.fail("files.completeUploadExternal", Failure(lost=True))
    succeed(log, start(log, run), store, {"loss_curve.png": b"png", "model.onnx": b"onnx"})
    sent_until(sender, lambda: card_row(log, run)["files_sent"])
    assert len(slack.called("files.completeUploadExternal")) == 1
    titles = sorted(str(file["title"]) for file in slack.files.values() if file["channels"])
    assert titles == ["Run 1 · loss_curve.png", "Run 1 · model.onnx"]


def test_a_missing_scope_for_files_is_said(
    slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, run: int
) -> None:
    """Without files:write the thread says which scope to add, and the run's card stays."""
    assert slack.scopes is not None
    slack.scopes -= {"files:write"}
    succeed(log, start(log, run), store, {"model.onnx": b"onnx"})
    settle(sender)
    said = slack.thread(slack.posted()[0]["ts"])[0]["text"]
    assert "model.onnx (missing_scope). The app needs the scope files:write; add it and install the app again." in said


def test_a_file_that_the_store_lost_is_named(
    slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, run: int, tmp_path: Path
) -> None:
    """A blob that is not in this machine's store is said in the thread, not tried for ever."""
    succeed(log, start(log, run), store, {"model.onnx": b"onnx"})
    for file in store.folder.rglob("*"):
        if file.is_file():
            file.unlink()
    settle(sender)
    said = slack.thread(slack.posted()[0]["ts"])[0]["text"]
    assert "model.onnx (the store does not hold it)" in said

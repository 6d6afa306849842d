"""Cards arrive: posted once, updated in place, whatever Slack answers and whoever dies."""

import threading
import time

import pytest
from sqlalchemy import update
from support.fake_slack import Failure, FakeSlack
from support.sent_cards import GENERAL, card_row, record, sent_until, settle, start, succeed
from unit.slack.conftest import MakeRun, MakeSender

from bot.delivery.card_view import CardView
from bot.delivery.pace import Pace
from bot.delivery.rates import Rate
from bot.delivery.sender import CardSender, Duties, Rhythm
from bot.slack.blocks import Block
from shared.blobs import BlobStore
from shared.errors import Problem
from shared.events import EpochDone, Stage, StageStarted
from shared.log import cards, runs, tables
from shared.log.engine import Log


@pytest.fixture
def run(make_run: MakeRun) -> int:
    return make_run()


def test_one_message_is_updated_and_its_thread_gets_the_files(
    slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, run: int
) -> None:
    """A run's card is one message that is edited until the end; plots, model and report go into its thread."""
    settle(sender)
    attempt = start(log, run)
    settle(sender)
    done = EpochDone(model="mlp", epoch=3, epochs=20, train_loss=0.5, validation_loss=0.6, eta_s=9)
    record(log, attempt, StageStarted(stage=Stage.TRAIN), done)
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
    assert sorted(slack.shown_in(message["ts"])) == sorted(files)
    assert card_row(log, run)["files_sent"] is True
    assert len(slack.called("files.completeUploadExternal")) == 1


def test_a_card_has_the_buttons_of_its_state(
    slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, run: int
) -> None:
    """A run that waits can be cancelled from its card, one that succeeded can be used."""
    settle(sender)
    assert "cancel 1" in str(slack.posted()[0]["blocks"])
    succeed(log, start(log, run), store, {"model.onnx": b"onnx"})
    settle(sender)
    shown = str(slack.posted()[0]["blocks"])
    assert "promote 1" in shown
    assert "cancel 1" not in shown


def test_an_ended_card_is_measured_against_the_best_before(
    slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, run: int
) -> None:
    """Among the notes of a train run that succeeded stands how it compares to earlier runs on the same data."""
    succeed(log, start(log, run), store, {"model.onnx": b"onnx"})
    settle(sender)
    assert "The first model that is measured on these test rows." in str(slack.posted()[0])


def test_a_lost_answer_does_not_post_twice(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """When the answer to a post is lost, the message is found by its metadata and taken over."""
    slack.fail("chat.postMessage", Failure(lost=True))
    sent_until(sender, lambda: card_row(log, run)["shown_event"] == 0)
    assert len(slack.posted()) == 1
    assert card_row(log, run)["message_ts"] == slack.posted()[0]["ts"]


def test_a_bot_that_died_while_posting_is_followed_by_one_that_looks(
    slack: FakeSlack, log: Log, sender: CardSender, run: int, make_sender: MakeSender
) -> None:
    """A mark in the place of the ts makes the next bot look for the message instead of posting it."""
    sender.send_next()
    with log.write() as connection:  # as if the bot had died between Slack's answer and the note of it
        connection.execute(update(tables.cards).values(message_ts=f"?{time.time():.6f}", shown_event=-1))
    settle(make_sender())
    assert len(slack.posted()) == 1
    assert card_row(log, run)["message_ts"] == slack.posted()[0]["ts"]


def test_a_message_is_found_behind_many_others(
    slack: FakeSlack, log: Log, sender: CardSender, run: int, make_sender: MakeSender
) -> None:
    """A busy channel is read page by page until the message is met."""
    sender.send_next()
    others = [{"ts": slack._ts(), "user": "U0BOB", "text": "hello"} for _ in range(450)]
    slack.channels[GENERAL].messages.extend(others)
    with log.write() as connection:
        connection.execute(update(tables.cards).values(message_ts=f"?{time.time():.6f}", shown_event=-1))
    settle(make_sender())
    assert len(slack.called("chat.postMessage")) == 1
    assert len(slack.called("conversations.history")) == 3


def test_a_post_that_never_arrived_is_posted_again(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """When the connection broke and the message is not there, it is posted."""
    slack.fail("chat.postMessage", Failure(unreached=True))
    sent_until(sender, lambda: card_row(log, run)["shown_event"] == 0)
    assert len(slack.posted()) == 1


def test_what_slack_may_still_do_is_waited_for(slack: FakeSlack, log: Log, make_sender: MakeSender, run: int) -> None:
    """A message that is not there yet is not posted again before Slack has surely given up on the first request."""
    sender = make_sender()
    sender._rhythm = Rhythm(running_every_s=0, waiting_every_s=0, backoff_s=0.01, unsure_s=1.5)
    slack.fail("chat.postMessage", Failure(unreached=True))
    began = time.monotonic()
    sent_until(sender, lambda: slack.posted() != [])
    assert time.monotonic() - began > 1.4
    assert len(slack.posted()) == 1


def test_an_unsure_post_without_history_says_so(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """A bot that may not read the history posts anew after a lost answer, and says that a card may stand above."""
    assert slack.scopes is not None
    slack.scopes -= {"channels:history"}
    slack.fail("chat.postMessage", Failure(lost=True))
    sent_until(sender, lambda: card_row(log, run)["shown_event"] == 0)
    assert len(slack.posted()) == 2
    start(log, run)
    settle(sender)
    assert "an earlier one may stand above, which does not change any more" in slack.posted()[1]["text"]
    assert slack.posted()[0]["edits"] == 0


def test_a_bot_that_lost_its_card_sends_nothing(
    slack: FakeSlack, log: Log, sender: CardSender, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot whose lease passed to another while it drew the card posts nothing and notes nothing."""
    place_of = sender._take

    def taken_by_another() -> object:
        place = place_of()
        with log.write() as connection:
            connection.execute(update(tables.cards).values(lease_owner="another"))
        return place

    monkeypatch.setattr(sender, "_take", taken_by_another)
    sender.send_next()
    assert slack.called("chat.postMessage") == []
    assert card_row(log, run)["message_ts"] is None


def test_a_bot_that_stood_still_does_not_post(
    slack: FakeSlack, log: Log, sender: CardSender, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot that was stopped between its note and its post does not post: another may have the card by now."""
    noted = cards.note_posting
    sender._rhythm = Rhythm(backoff_s=0.01, lease_s=0.2, unsure_s=0)

    def slowly(*args: object, **more: object) -> object:
        mark = noted(*args, **more)  # type: ignore[arg-type]
        time.sleep(0.3)
        return mark

    monkeypatch.setattr(cards, "note_posting", slowly)
    sender.send_next()
    assert slack.called("chat.postMessage") == []
    monkeypatch.undo()
    sent_until(sender, lambda: len(slack.posted()) == 1)


def test_a_bot_that_stood_still_edits_nothing(
    slack: FakeSlack, log: Log, sender: CardSender, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot that was stopped between its look at a run and its edit does not edit: another may show more by now."""
    settle(sender)
    start(log, run)
    drawn = sender._drawn
    sender._rhythm = Rhythm(running_every_s=0, waiting_every_s=0, backoff_s=0.01, lease_s=0.2, unsure_s=0)

    def slowly(view: CardView) -> tuple[str, list[Block]]:
        time.sleep(0.3)
        return drawn(view)

    monkeypatch.setattr(sender, "_drawn", slowly)
    sender.send_next()
    assert slack.called("chat.update") == []
    monkeypatch.undo()
    sent_until(sender, lambda: slack.posted()[0]["edits"] == 1)


def test_server_errors_are_tried_again(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """After 5xx answers and dropped connections an update arrives."""
    settle(sender)
    slack.fail("chat.update", Failure(status=503), Failure(unreached=True), Failure(error="fatal_error"))
    start(log, run)
    sent_until(sender, lambda: slack.posted()[0]["edits"] == 1)
    assert len(slack.posted()) == 1


def test_an_end_after_an_unsure_edit_is_sent_twice(
    slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, run: int
) -> None:
    """An edit that Slack did not answer may be done late, over the end: so the end is sent once more."""
    settle(sender)
    sender._rhythm = Rhythm(running_every_s=0, waiting_every_s=0, backoff_s=0.01, unsure_s=0.9)
    attempt = start(log, run)
    slack.fail("chat.update", Failure(unreached=True))
    sender.send_next()
    succeed(log, attempt, store, {"model.onnx": b"onnx"})
    sent_until(sender, lambda: card_row(log, run)["files_sent"])
    ends = [call for call in slack.called("chat.update") if "Succeeded" in call["text"]]
    assert len(ends) == 2


def test_a_429_is_waited_out_and_loses_nothing(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """A 429 puts the card off for as long as Slack asks, and loses nothing."""
    slack.fail("chat.postMessage", Failure(status=429, error="ratelimited", retry_after_s=1))
    settle(sender)
    row = card_row(log, run)
    assert slack.posted() == []
    assert row["message_ts"] is None
    sent_until(sender, lambda: slack.posted() != [])
    assert len(slack.called("chat.postMessage")) == 2


def test_a_429_holds_the_method_for_every_card(
    slack: FakeSlack, log: Log, sender: CardSender, make_run: MakeRun
) -> None:
    """While Slack asks to be left alone, no other card calls that method, in whatever channel."""
    make_run("a.csv")
    make_run("b.csv", channel="D0ADA")
    slack.fail("chat.postMessage", Failure(status=429, error="ratelimited", retry_after_s=1))
    settle(sender)
    assert len(slack.called("chat.postMessage")) == 1
    sent_until(sender, lambda: len(slack.posted()) + len(slack.posted("D0ADA")) == 2)
    assert len(slack.called("chat.postMessage")) == 3


def test_two_bots_post_once(slack: FakeSlack, log: Log, make_sender: MakeSender, make_run: MakeRun) -> None:
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
    slack: FakeSlack, log: Log, make_run: MakeRun, sender: CardSender
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


def test_an_end_is_edited_before_progress(
    slack: FakeSlack, log: Log, store: BlobStore, sender: CardSender, make_run: MakeRun
) -> None:
    """With one edit left, the run that has ended gets it, however long the others have waited."""
    for name in "abc":
        make_run(f"{name}.csv")
    settle(sender)
    first, _, last = [start(log, number) for number in (1, 2, 3)]
    sender._pace = Pace(rates={"chat.update": Rate(per_minute=1, burst=2, reserve=1)}, channel_rate=None)
    sender.send_next()
    sender.send_next()
    succeed(log, last, store, {})
    record(log, first, StageStarted(stage=Stage.TRAIN))
    settle(sender)
    edited = [call["text"].splitlines()[0] for call in slack.called("chat.update")]
    assert edited[0].startswith("Run 1")
    assert edited[1:] == ["Run 3 · train c.csv"]


def test_progress_is_rarer_the_more_runs_there_are(
    slack: FakeSlack, log: Log, sender: CardSender, make_run: MakeRun
) -> None:
    """Ten cards share what Slack takes for the workspace: each waits for its share before it is drawn again."""
    for number in range(10):
        make_run(f"set{number}.csv")
    settle(sender)
    for number in range(1, 11):
        start(log, number)
    rate = Rate(per_minute=40, burst=20)
    sender._pace = Pace(rates={"chat.update": rate}, channel_rate=None)
    settle(sender)
    with log.read() as connection:
        moment = cards.now(connection)
    waits = [(card_row(log, number)["lease_until"] - moment).total_seconds() for number in range(1, 11)]
    assert min(waits) > 10 * rate.every_s
    assert sorted(call["ts"] for call in slack.called("chat.update")) == sorted(m["ts"] for m in slack.posted())


def test_what_failed_before_a_worker_had_it_is_shown(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """A run that failed before it was queued shows why, in the first message already."""
    with log.write() as connection:
        runs.fail_waiting(connection, run, Problem("dataset_missing", "There is no dataset `churn.csv`.", "Share it."))
    settle(sender)
    (message,) = slack.posted()
    assert "There is no dataset “churn.csv”. Share it." in message["text"]


def test_a_problem_shows_no_token(slack: FakeSlack, log: Log, sender: CardSender, run: int) -> None:
    """A token or password that an error quotes is masked in the card."""
    problem = Problem("dataset_missing", "GET with xoxb-123-abc failed.", "See postgres://ada:swordfish@db/x.")
    with log.write() as connection:
        runs.fail_waiting(connection, run, problem)
    settle(sender)
    shown = str(slack.posted())
    assert "GET with *** failed." in shown
    assert "xoxb" not in shown
    assert "swordfish" not in shown


def test_cards_and_files_can_be_sent_apart(
    slack: FakeSlack, log: Log, store: BlobStore, make_sender: MakeSender, run: int
) -> None:
    """A sender of cards leaves files alone, and one of files leaves cards alone: a large file holds up no card."""
    of_cards, of_files = make_sender(), make_sender()
    of_cards._duties, of_files._duties = Duties(files=False), Duties(cards=False)
    settle(of_files)
    assert slack.posted() == []
    succeed(log, start(log, run), store, {"model.onnx": b"onnx"})
    settle(of_cards)
    assert slack.files == {}
    settle(of_files)
    assert slack.shown_in(slack.posted()[0]["ts"]) == ["model.onnx"]


def test_a_card_that_is_long_behind_is_found(
    slack: FakeSlack, log: Log, store: BlobStore, make_sender: MakeSender, run: int
) -> None:
    """A bot that was away for a day shows what ended meanwhile, though it looks back an hour most of the time."""
    succeed(log, start(log, run), store, {})
    with log.write() as connection:
        long_ago = cards.now(connection) - 24 * cards.timedelta(hours=1)
        connection.execute(update(tables.runs).values(ended_at=long_ago))
    late = make_sender()
    late._full_look_at = time.monotonic() + 60
    settle(late)
    assert slack.posted() == []
    settle(make_sender())
    assert len(slack.posted()) == 1

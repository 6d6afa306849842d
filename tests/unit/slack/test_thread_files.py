"""A run's files arrive in the thread of its card, each once, whatever Slack answers and whoever dies."""

import tracemalloc
from collections.abc import Callable

import pytest
from sqlalchemy import update
from support.fake_slack import Failure, FakeSlack
from support.sent_cards import card_row, file_rows, sent_until, settle, start, succeed
from unit.slack.conftest import MakeRun, MakeSender

from bot.delivery.lease import Lease
from bot.delivery.notices import NoticeSender
from bot.delivery.sender import CardSender, Rhythm
from shared.blobs import BlobStore
from shared.log import tables
from shared.log.engine import Log

FILES = {"loss_curve.png": b"png", "model.onnx": b"onnx"}
Ended = Callable[..., int]


@pytest.fixture
def ended(log: Log, store: BlobStore, make_run: MakeRun) -> Ended:
    """A run that succeeded with files."""

    def make(files: dict[str, bytes] | None = None) -> int:
        run = make_run()
        succeed(log, start(log, run), store, FILES if files is None else files)
        return run

    return make


@pytest.fixture
def senders(sender: CardSender, notice_sender: NoticeSender) -> tuple[CardSender, NoticeSender]:
    return sender, notice_sender


def told(slack: FakeSlack) -> list[str]:
    """What is said in the card's thread."""
    return [message["text"] for message in slack.thread(slack.posted()[0]["ts"]) if message.get("text")]


def shown(slack: FakeSlack) -> list[str]:
    """The files in the card's thread, each as often as it is there."""
    return sorted(slack.shown_in(slack.posted()[0]["ts"]))


def test_files_are_shown_at_once_with_their_names(slack: FakeSlack, sender: CardSender, log: Log, ended: Ended) -> None:
    """All files of a run come in one message, plots with a text for those who do not see them."""
    ended()
    settle(sender)
    assert shown(slack) == sorted(FILES)
    assert len(slack.called("files.completeUploadExternal")) == 1
    asked = {call["filename"]: call for call in slack.called("files.getUploadURLExternal")}
    assert asked["loss_curve.png"]["alt_txt"] == "Plot of run 1: loss_curve.png"
    assert {row["file_id"][0] for row in file_rows(log).values()} == {"?"}
    assert all(row["sent_at"] for row in file_rows(log).values())
    assert told(slack) == []


@pytest.mark.parametrize("late_shares", [0, 2])
def test_a_lost_answer_shows_no_file_twice(
    slack: FakeSlack, log: Log, sender: CardSender, ended: Ended, late_shares: int
) -> None:
    """When the answer to the last step is lost, each file is asked for by its id, also while Slack is slow to tell."""
    slack.late_shares = late_shares
    slack.fail("files.completeUploadExternal", Failure(lost=True))
    run = ended()
    sent_until(sender, lambda: card_row(log, run)["files_sent"])
    assert shown(slack) == sorted(FILES)
    assert len(slack.called("files.completeUploadExternal")) == 1


def test_what_was_not_shown_comes_anew(slack: FakeSlack, log: Log, sender: CardSender, ended: Ended) -> None:
    """When the last step never reached Slack, the files are gone there, and are sent again."""
    slack.fail("files.completeUploadExternal", Failure(unreached=True))
    run = ended()
    sent_until(sender, lambda: card_row(log, run)["files_sent"])
    assert shown(slack) == sorted(FILES)


@pytest.mark.parametrize(
    "method", ["files.getUploadURLExternal", "upload", "files.completeUploadExternal", "files.info"]
)
@pytest.mark.parametrize(
    "failure", [Failure(lost=True), Failure(unreached=True), Failure(status=503), Failure(html=True)]
)
def test_whatever_step_goes_wrong_each_file_is_there_once(
    slack: FakeSlack, log: Log, sender: CardSender, ended: Ended, method: str, failure: Failure
) -> None:
    """Lost, unreached, a server error, a login page, at each of the steps: in the end each file is there once."""
    slack.fail(method, failure)
    if method == "files.info":
        slack.fail("files.completeUploadExternal", Failure(lost=True))
    run = ended()
    sent_until(sender, lambda: card_row(log, run)["files_sent"])
    assert shown(slack) == sorted(FILES)


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "upload", "files.completeUploadExternal"])
def test_another_bot_takes_over_at_each_step(
    slack: FakeSlack, log: Log, make_sender: MakeSender, ended: Ended, method: str
) -> None:
    """A bot that dies after Slack did a step is followed by one that shows no file twice."""

    class Died(BaseException):
        pass

    def die() -> None:
        with log.write() as connection:
            connection.execute(update(tables.cards).values(lease_owner=None, lease_until=None))

    run, first = ended(), make_sender()
    sent_until(first, lambda: slack.posted() and card_row(log, run)["shown_event"] > 0)
    slack.fail(method, Failure(lost=True, then=die))
    first.send_next()
    assert not card_row(log, run)["files_sent"]
    second = make_sender()
    sent_until(second, lambda: card_row(log, run)["files_sent"])
    assert shown(slack) == sorted(FILES)


def test_bytes_that_are_there_are_not_sent_again(
    slack: FakeSlack, log: Log, make_sender: MakeSender, ended: Ended
) -> None:
    """A bot that has no turn to show files leaves them to whichever bot has one, and that sends no bytes."""
    run, first = ended(), make_sender()
    sent_until(first, lambda: slack.posted() and card_row(log, run)["shown_event"] > 0)
    first._pace.hold("files.completeUploadExternal", 60)
    settle(first)
    assert shown(slack) == []
    with log.write() as connection:
        connection.execute(update(tables.cards).values(due_at=None))
    settle(make_sender())
    assert shown(slack) == sorted(FILES)
    assert len(slack.called("upload")) == 2


def test_a_bot_that_lost_its_card_shows_nothing(
    slack: FakeSlack, log: Log, make_sender: MakeSender, ended: Ended
) -> None:
    """When another bot has the card by the time the bytes are there, they are not shown by this one."""

    def stolen() -> None:
        with log.write() as connection:
            connection.execute(update(tables.cards).values(lease_owner="another"))

    run, first = ended({"model.onnx": b"onnx"}), make_sender()
    sent_until(first, lambda: slack.posted() and card_row(log, run)["shown_event"] > 0)
    slack.fail("upload", Failure(delay_s=0.01, then=stolen))
    first.send_next()
    assert slack.called("files.completeUploadExternal") == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("file_type_not_allowed", "this workspace takes no files of this type: file_type_not_allowed"),
        ("file_uploads_disabled", "this workspace takes no files: file_uploads_disabled"),
        (
            "file_uploads_except_images_disabled",
            "this workspace takes images alone: file_uploads_except_images_disabled",
        ),
        ("storage_limit_reached", "this workspace has no room for more files: storage_limit_reached"),
    ],
)
def test_a_file_that_slack_refuses_is_named_once_and_the_rest_goes_on(
    slack: FakeSlack, log: Log, senders: tuple[CardSender, NoticeSender], ended: Ended, code: str, words: str
) -> None:
    """When a file is refused, the others arrive, the thread names it once with the way to get it, and nothing loops."""
    slack.refused_files["model.onnx"] = code
    run = ended()
    settle(*senders)
    assert shown(slack) == ["loss_curve.png"]
    assert told(slack) == [
        f"Not put into this thread: model.onnx ({words}). `lml show 1` in a shell lays every file out;"
        " `lml export 1` packs them."
    ]
    assert card_row(log, run)["files_sent"] is True
    assert file_rows(log)["model.onnx"]["problem"] == code


def test_a_missing_scope_for_files_is_said(
    slack: FakeSlack, sender: CardSender, notice_sender: NoticeSender, ended: Ended, caplog: pytest.LogCaptureFixture
) -> None:
    """Without files:write the thread says which scope to add, and the run's card stays."""
    assert slack.scopes is not None
    slack.scopes -= {"files:write"}
    ended({"model.onnx": b"onnx"})
    settle(sender, notice_sender)
    said = "model.onnx (the app may not upload: missing_scope). The app needs the scope files:write; add it and install"
    assert said in told(slack)[0]
    assert "the app lacks the scope files:write" in caplog.text


def test_a_file_that_cannot_be_looked_for_is_not_shown_twice_by_guess(
    slack: FakeSlack, log: Log, sender: CardSender, notice_sender: NoticeSender, ended: Ended
) -> None:
    """Without files:read a lost answer stays open: the thread says so instead of showing the file again."""
    assert slack.scopes is not None
    slack.scopes -= {"files:read"}
    slack.fail("files.completeUploadExternal", Failure(lost=True))
    run = ended({"model.onnx": b"onnx"})
    sent_until(sender, lambda: card_row(log, run)["files_sent"])
    settle(notice_sender)
    assert shown(slack) == ["model.onnx"]
    assert "model.onnx (Slack does not say whether it arrived)" in told(slack)[0]


def test_a_file_that_the_store_lost_is_named(
    slack: FakeSlack, store: BlobStore, sender: CardSender, notice_sender: NoticeSender, ended: Ended
) -> None:
    """A blob that is not in this machine's store is said in the thread, not tried for ever."""
    ended({"model.onnx": b"onnx"})
    for file in store.folder.rglob("*"):
        if file.is_file():
            file.unlink()
    settle(sender, notice_sender)
    assert "model.onnx (the store does not hold it)" in told(slack)[0]


def test_an_archived_channel_takes_no_files(
    slack: FakeSlack, log: Log, sender: CardSender, notice_sender: NoticeSender, ended: Ended
) -> None:
    """When the channel is archived before the files are shown, the person is told, and nothing loops."""
    run = ended()
    sent_until(sender, lambda: slack.posted() and card_row(log, run)["shown_event"] > 0)
    slack.channels["C0GENERAL"].archived = True
    settle(sender, notice_sender)
    assert card_row(log, run)["problem"] == "is_archived"
    assert "it is archived" in slack.posted("D-U0ADA")[0]["text"]


def test_a_large_file_is_not_held_in_memory(slack: FakeSlack, sender: CardSender, log: Log, ended: Ended) -> None:
    """32 MB go from the disk to Slack in parts."""
    size_bytes = 32 * 1024 * 1024
    run = ended({"predictions.csv": b"x" * size_bytes})
    sent_until(sender, lambda: slack.posted() and card_row(log, run)["shown_event"] > 0)
    tracemalloc.start()
    settle(sender)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert slack.bodies[next(iter(slack.files))] == b"x" * size_bytes
    assert peak_bytes < 1.5 * size_bytes  # the strict Slack, in this process, holds it once


def test_a_lease_is_kept_while_bytes_go(
    slack: FakeSlack, log: Log, sender: CardSender, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that takes longer than a lease keeps the card, so that no other bot begins it too."""
    monkeypatch.setattr("bot.delivery.uploads.BEAT_EVERY_S", 0.0)
    sender._rhythm = Rhythm(running_every_s=0, waiting_every_s=0, backoff_s=0.01, unsure_s=0, lease_s=30)
    run = ended({"predictions.csv": b"x" * 1024 * 1024})
    sent_until(sender, lambda: slack.posted() and card_row(log, run)["shown_event"] > 0)
    kept: list[int] = []
    keep = Lease.keep
    monkeypatch.setattr(Lease, "keep", lambda lease: (kept.append(1), keep(lease)))
    settle(sender)
    assert len(kept) > 4
    assert card_row(log, run)["files_sent"] is True

"""Notices, files of cards and digests in the log, on both engines."""

from datetime import timedelta
from typing import Any

from sqlalchemy import update
from support.deadline import until
from support.log_acts import ADA, NEW, OUTCOME, at_once, change, claimed, everything, queued

from shared.log import attempts, card_files, cards, notices, runs, tables
from shared.log.digest import week_of
from shared.log.engine import Log, now
from shared.log.notices import NewNotice, Notice, NoticeKind

TELL = NewNotice("no-card:1", NoticeKind.TELL, "T1", "U0ADA", {"text": "x", "else_channel": "C1"})
BEGUN = NewNotice(notices.begun_key("C9"), NoticeKind.BEGUN, "T1", "C9")


def ended(log: Log) -> int:
    """A run that succeeded."""
    number = queued(log)
    attempt = claimed(log)
    change(log, lambda connection: attempts.succeed(connection, attempt, OUTCOME))
    return number


def taken(log: Log, owner: str = "bot", **more: Any) -> Notice | None:
    return change(log, lambda connection: notices.take(connection, owner=owner, lease_s=30, **more))


def test_a_key_is_written_once_by_whoever_is_first(log: Log) -> None:
    """Eight bots that write the same notice at once write it once."""
    written = at_once(lambda _: change(log, lambda connection: notices.write(connection, TELL)))
    assert written.count(True) == 1


def test_a_notice_is_one_bots_at_a_time(log: Log) -> None:
    """Of bots that take at once one gets the notice; given back it is taken again, done it is not."""
    change(log, lambda connection: notices.write(connection, TELL))
    got = [met for met in at_once(lambda index: taken(log, f"bot{index}")) if met]
    assert len(got) == 1
    (met,) = got
    assert (met.key, met.kind, met.body, met.marked_s) == (TELL.key, TELL.kind, TELL.body, None)
    before = everything(log)
    with log.write() as connection:
        assert not notices.note_posting(connection, met, owner="another", lease_s=30)
        notices.done(connection, met, owner="another", message_ts="1.2")
        notices.later(connection, met, owner="another", seconds=9)
    assert everything(log) == before
    [owner] = [name for name in (f"bot{index}" for index in range(8)) if _keeps(log, met, name)]
    change(log, lambda at: notices.later(at, met, owner=owner, seconds=0.2, tried=True))
    assert taken(log) is None
    again = until(lambda: taken(log, full_channels=["C1"]), what="its time has come")
    assert again is not None
    assert again.tries == 1
    assert again.marked_s is not None
    change(log, lambda at: notices.done(at, again, owner="bot", message_ts="1.2"))
    assert taken(log) is None


def _keeps(log: Log, met: Notice, owner: str) -> bool:
    return change(log, lambda at: notices.note_posting(at, met, owner=owner, lease_s=30))


def test_a_full_channel_is_left_out(log: Log) -> None:
    """A notice for a channel that takes nothing now is not taken, and keeps its place."""
    change(log, lambda connection: notices.write(connection, TELL))
    with log.read() as connection:
        assert notices.is_due(connection)
        assert not notices.is_due(connection, full_channels=["U0ADA"])
    assert taken(log, full_channels=["U0ADA"]) is None
    assert taken(log) is not None


def test_ends_are_enrolled_once_from_the_first_start_on(log: Log) -> None:
    """Bots that look at once write one line for each end after the channel was named, however often they look."""
    ended(log)
    with log.write() as connection:
        connection.execute(update(tables.runs).values(ended_at=now(connection) - timedelta(minutes=1)))
        notices.write(connection, BEGUN)
    numbers = [ended(log) for _ in range(3)]
    where = {"team_id": "T1", "channel_id": "C9"}
    with log.read() as connection:
        assert notices.ends_are_behind(connection, **where)
    at_once(lambda _: change(log, lambda connection: notices.enroll_ends(connection, **where)), threads=4)
    with log.read() as connection:
        assert not notices.ends_are_behind(connection, **where)
    told = []
    while met := taken(log):
        told.append(met.run)
        change(log, lambda at, met=met: notices.done(at, met, owner="bot", message_ts="1.2"))  # type: ignore[misc]
    assert told == numbers


def test_files_of_a_card_are_its_owners(log: Log) -> None:
    """Whoever has lost the card writes nothing about its files; the owner's notes stand, each with its step."""
    number = ended(log)
    change(log, lambda connection: cards.place(connection, number, channel_id="C1"))
    change(log, lambda connection: cards.take_behind(connection, owner="new"))
    before = everything(log)
    with log.write() as connection:
        assert not card_files.note_file(connection, number, "a.png", owner="old", file_id="F1")
        assert not card_files.note_showing(connection, number, {"a.png": "F1"}, owner="old")
        assert not card_files.note_sent(connection, number, ["a.png"], owner="old")
        assert not card_files.note_problem(connection, number, "a.png", owner="old", problem="x")
    assert everything(log) == before

    def file() -> card_files.CardFile:
        with log.read() as connection:
            return card_files.of_run(connection, number)["a.png"]

    change(log, lambda at: card_files.note_file(at, number, "a.png", owner="new", file_id="F1"))
    assert (file().file_id, file().showing, file().settled) == ("F1", False, False)
    change(log, lambda at: card_files.note_uploaded(at, number, "a.png", owner="new", file_id="F1"))
    assert (file().file_id, file().uploaded, file().showing) == ("F1", True, False)
    change(log, lambda at: card_files.note_showing(at, number, {"a.png": "F1"}, owner="new"))
    assert (file().file_id, file().showing, file().settled) == ("F1", True, False)
    change(log, lambda at: card_files.note_sent(at, number, ["a.png"], owner="new"))
    assert file().settled
    change(log, lambda at: card_files.note_problem(at, number, "b.png", owner="new", problem="x"))
    with log.read() as connection:
        assert card_files.of_run(connection, number)["b.png"].problem == "x"


def test_a_week_counts_what_the_team_sees(log: Log) -> None:
    """Runs by kind and state, the best of a dataset, and who asked; what is private or older counts for nothing."""
    numbers = [ended(log) for _ in range(4)]
    scores = {"kind": "train", "headline": "accuracy", "model": "mlp", "dataset_name": "a.csv", "content_sha256": "c"}
    with log.write() as connection:
        for number, score in zip(numbers, (0.7, 0.9, 0.95, 0.99), strict=True):
            mine = tables.runs.c.id == number
            connection.execute(update(tables.runs).where(mine).values(**scores, score=score))
        connection.execute(update(tables.runs).where(tables.runs.c.id == numbers[2]).values(visibility="channel"))
        moment = now(connection)
        old = moment - timedelta(days=8)
        connection.execute(update(tables.runs).where(tables.runs.c.id == numbers[3]).values(ended_at=old))
        failed = {"state": "failed", "problem": {"code": "dataset_missing", "message": "x"}, "score": None}
        queued_and(connection, moment, failed)
        attempt = tables.attempts.c
        connection.execute(
            update(tables.attempts)
            .where(attempt.run_id == numbers[0])
            .values(device="gpu", started_at=moment - timedelta(hours=2), ended_at=moment - timedelta(hours=1))
        )
    with log.read() as connection:
        week = week_of(connection, ADA.team_id, moment - timedelta(days=7), moment + timedelta(seconds=5))
    assert week.ended == {"train": {"succeeded": 2, "failed": 1}}
    assert [(best.dataset, best.run, best.score, best.of) for best in week.best] == [("a.csv", numbers[1], 0.9, 2)]
    assert 3_590 < week.gpu_s < 3_610
    assert week.failures == (("dataset_missing", 1),)
    assert week.requesters == (("U0ADA", 3),)


def queued_and(connection: Any, moment: Any, values: dict[str, Any]) -> None:
    """A run of Ada's that ended a second ago, with these values."""
    number, _ = runs.create(connection, NEW)
    mine = tables.runs.c.id == number
    connection.execute(update(tables.runs).where(mine).values(ended_at=moment - timedelta(seconds=1), **values))

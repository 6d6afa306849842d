"""Cards and their leases, on both engines."""

from datetime import timedelta
from typing import Any

from sqlalchemy import update
from support.deadline import until
from support.log_acts import OUTCOME, at_once, change, claimed, everything, queued

from shared.log import attempts, cards, tables
from shared.log.cards import Wanted
from shared.log.engine import Log, now


def carded(log: Log) -> int:
    """A waiting run with a card that was never shown."""
    number = queued(log)
    change(log, lambda connection: cards.place(connection, number, channel_id="C1"))
    return number


def test_two_owners_never_have_the_same_card(log: Log) -> None:
    """Four senders that take cards at once get each card once."""
    numbers = [carded(log) for _ in range(12)]

    def take(index: int) -> list[int]:
        mine = []
        while place := change(log, lambda connection: cards.take_behind(connection, owner=f"bot{index}")):
            mine.append(place.run)
        return mine

    assert sorted(number for part in at_once(take, threads=4) for number in part) == numbers


def test_a_card_is_behind_until_it_shows_the_last_event(log: Log) -> None:
    """A card is taken while it is behind its run, given back when shown, and taken again after the next event."""
    number = carded(log)

    def take() -> cards.CardPlace | None:
        return change(log, lambda connection: cards.take_behind(connection, owner="bot"))

    place = take()
    assert place == cards.CardPlace(run=number, channel_id="C1", message_ts=None, shown_event=-1, files_sent=False)
    assert take() is None
    change(log, lambda at: cards.shown(at, number, owner="bot", message_ts="1.2", event=1, again_in_s=0))
    assert take() is None
    attempt = claimed(log)
    place = take()
    assert place is not None
    assert (place.message_ts, place.shown_event) == ("1.2", 1)
    change(log, lambda connection: attempts.succeed(connection, attempt, OUTCOME))
    change(log, lambda at: cards.shown(at, number, owner="bot", message_ts="1.2", event=3, again_in_s=0))
    place = take()
    assert place is not None
    assert not place.files_sent
    change(log, lambda connection: cards.files_sent(connection, number, owner="bot"))
    assert take() is None


def test_ends_come_first_then_new_cards_then_progress(log: Log) -> None:
    """Of cards that are behind, a run that has ended is taken first, then what was never posted, then progress."""
    progress, ended, new = carded(log), carded(log), carded(log)
    attempt = {number: claimed(log) for number in (progress, ended, new)}[ended]
    with log.write() as connection:
        connection.execute(
            update(tables.cards)
            .where(tables.cards.c.run_id.in_([progress, ended]))
            .values(message_ts="1.2", shown_event=1)
        )
        attempts.succeed(connection, attempt, OUTCOME)
    places = [change(log, lambda connection: cards.take_behind(connection, owner="bot")) for _ in range(3)]
    assert [place.run for place in places if place] == [ended, new, progress]


def test_a_card_that_rests_shows_its_end(log: Log) -> None:
    """While a card rests from progress it is not taken for more of it, and is at once when its run ends."""
    number = carded(log)
    attempt = claimed(log)
    change(log, lambda connection: cards.take_behind(connection, owner="bot"))
    change(
        log,
        lambda at: cards.shown(at, number, owner="bot", message_ts="1.2", event=1, again_in_s=0, rests_s=60),
    )
    assert change(log, lambda connection: cards.take_behind(connection, owner="bot")) is None
    change(log, lambda connection: attempts.succeed(connection, attempt, OUTCOME))
    place = change(log, lambda connection: cards.take_behind(connection, owner="bot"))
    assert place is not None
    assert place.run == number
    assert change(log, lambda connection: cards.take_behind(connection, owner="other")) is None


def test_what_has_no_turn_is_left_out(log: Log) -> None:
    """Cards for full channels, and edits without a turn, are not taken; an end may have one where progress has none."""
    new, progress = carded(log), carded(log)
    attempt = claimed(log)
    assert attempt.run == new
    with log.write() as connection:
        stands = tables.cards.c.run_id == progress
        connection.execute(update(tables.cards).where(stands).values(message_ts="1.2", shown_event=0))

    def found(**wanted: Any) -> bool:
        with log.read() as connection:
            return cards.is_behind(connection, Wanted(**wanted))

    assert found()
    assert found(full_channels=["C1"])
    assert not found(full_channels=["C1"], progress=False)
    assert found(full_channels=["C2"], progress=False)
    with log.read() as connection:
        later = now(connection) + timedelta(hours=1)
    assert found(ended_since=later)
    change(log, lambda connection: attempts.succeed(connection, attempt, OUTCOME))
    assert not found(ended_since=later, progress=False)
    assert found(progress=False)
    assert not found(cards=False)


def test_a_mark_keeps_the_card_and_knows_when(log: Log) -> None:
    """Who notes that a post is under way keeps the card; who takes it over knows how long ago that was."""
    number = carded(log)
    change(log, lambda connection: cards.take_behind(connection, owner="old", lease_s=0.2))
    mark = change(log, lambda at: cards.note_posting(at, number, owner="old", lease_s=0.2))
    assert mark is not None
    assert mark.startswith("?")
    place = until(lambda: change(log, lambda at: cards.take_behind(at, owner="new")), what="the lease passed")
    assert place is not None
    assert place.message_ts == mark
    assert place.marked_s == float(mark[1:])
    assert 0.2 <= place.unheard_for_s < 30
    assert change(log, lambda at: cards.note_posting(at, number, owner="old", lease_s=9)) is None
    assert not change(log, lambda at: cards.keep(at, number, owner="old", lease_s=9))
    assert change(log, lambda at: cards.keep(at, number, owner="new", lease_s=9))
    change(log, lambda at: cards.give_back(at, number, owner="new"))
    assert change(log, lambda at: cards.take_behind(at, owner="third")) is not None


def test_a_card_that_is_put_off_waits(log: Log) -> None:
    """A card that was put off is not taken before its time, and one that was given up never."""
    later, never = carded(log), carded(log)
    for _ in range(2):
        change(log, lambda connection: cards.take_behind(connection, owner="bot"))
    change(log, lambda connection: cards.put_off(connection, later, owner="bot", seconds=0.3))
    change(log, lambda connection: cards.give_up(connection, never, owner="bot", problem="not_in_channel"))
    assert change(log, lambda connection: cards.take_behind(connection, owner="bot")) is None
    again = until(lambda: change(log, lambda at: cards.take_behind(at, owner="bot")), what="its time has come")
    assert again is not None
    assert again.run == later


def test_an_owner_whose_lease_passed_changes_nothing(log: Log) -> None:
    """A sender that was away for longer than its lease can neither show, put off nor give up the card of another."""
    number = carded(log)
    change(log, lambda connection: cards.take_behind(connection, owner="old", lease_s=-1))
    assert change(log, lambda connection: cards.take_behind(connection, owner="new")) is not None
    before = everything(log)
    with log.write() as connection:
        cards.shown(connection, number, owner="old", message_ts="9.9", event=9, again_in_s=0)
        cards.put_off(connection, number, owner="old", seconds=99)
        cards.give_up(connection, number, owner="old", problem="x")
        cards.files_sent(connection, number, owner="old")
    assert everything(log) == before

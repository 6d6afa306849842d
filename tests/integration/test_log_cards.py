"""Cards and their leases, on both engines."""

from support.deadline import until
from support.log_acts import OUTCOME, at_once, change, claimed, everything, queued

from shared.log import attempts, cards
from shared.log.engine import Log


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

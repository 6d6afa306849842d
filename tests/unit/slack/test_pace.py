"""Turns at Slack's Web API: by method and channel, with room for what may not wait; Redis away changes nothing."""

from collections.abc import Sequence

import pytest

from bot.delivery.pace import OwnBuckets, Pace
from bot.delivery.rates import ANY_METHOD, CHANNEL, RATES, Bucket, Rate
from bot.delivery.redis_buckets import ASKED_AGAIN_AFTER_S, RedisBuckets


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(pace: Pace, clock: Clock, method: str, *, seconds: float, channel: str = "", urgent: bool = False) -> int:
    """How many turns are had when one asks every 10 ms."""
    number, end = 0, clock.now + seconds
    while clock.now < end:
        number += pace.take(method, channel=channel, urgent=urgent) == 0
        clock.now += 0.01
    return number


TIERS = {"chat.update": 50, "conversations.history": 50, "files.info": 100, "files.completeUploadExternal": 100}


@pytest.mark.parametrize("method", TIERS)
def test_no_minute_has_more_calls_than_the_tier(method: str, clock: Clock) -> None:
    """Whoever asks all the time is let through nearly as often as Slack takes it, and never more often."""
    pace = Pace(clock=clock)
    moments = []
    while clock.now < 1_300.0:
        if pace.take(method) == 0:
            moments.append(clock.now)
        clock.now += 0.05
    most = max(sum(start <= moment < start + 60 for moment in moments) for start in moments)
    assert 0.8 * TIERS[method] < most <= TIERS[method]


def test_each_channel_takes_a_message_a_second(clock: Clock) -> None:
    """A channel's messages keep their distance; those of other channels do not wait for them."""
    pace = Pace(clock=clock)
    assert pace.take("chat.postMessage", channel="C1") == 0
    assert pace.take("chat.postMessage", channel="C1") == pytest.approx(CHANNEL.every_s)
    assert pace.take("chat.postMessage", channel="C2") == 0
    assert pace.closed_channels("chat.postMessage") == {"C1"}
    assert pace.take("chat.update") == 0
    assert taken(pace, clock, "chat.postMessage", seconds=60, channel="C1") <= 57


def test_what_may_not_wait_has_room_left(clock: Clock) -> None:
    """Progress that takes every turn it can get leaves some to the cards of runs that have ended."""
    pace = Pace(clock=clock)
    while pace.take("chat.update") == 0:
        pass
    assert [pace.take("chat.update", urgent=True) for _ in range(RATES["chat.update"].reserve)] == [0.0, 0.0]
    assert pace.take("chat.update", urgent=True) > 0


def test_a_call_takes_all_its_turns_or_none(clock: Clock) -> None:
    """A message that its channel does not take yet costs the workspace nothing."""
    pace = Pace(rates={"chat.postMessage": Rate(per_minute=1, burst=2)}, clock=clock)
    assert pace.take("chat.postMessage", channel="C1") == 0
    assert pace.take("chat.postMessage", channel="C1") > 0
    assert pace.take("chat.postMessage", channel="C2") == 0


def test_what_slack_asks_for_holds_the_method(clock: Clock) -> None:
    """After a 429 the method is left alone for as long as it says, and others are not."""
    pace = Pace(clock=clock)
    pace.hold("chat.update", 30)
    assert pace.take("chat.update", urgent=True) == 30
    assert pace.closed_for_s("chat.update", urgent=True) == 30
    assert pace.take("chat.postMessage") == 0
    clock.now += 31
    assert pace.take("chat.update") == 0
    assert pace.closed_for_s("chat.update", urgent=True) == 0


def test_a_refused_token_holds_everything(clock: Clock) -> None:
    """Nothing is called with a token that Slack refuses, for a while."""
    pace = Pace(clock=clock)
    pace.hold(ANY_METHOD, 300)
    assert [pace.take(method) for method in RATES] == [300.0] * len(RATES)


def test_the_soonest_turn_is_known_however_it_was_asked_for(clock: Clock) -> None:
    """Whoever waits hears of the turns of others too: in any channel, and of what may not wait."""
    pace = Pace(clock=clock)
    assert pace.soonest_s("chat.update", "chat.postMessage") is None
    pace.hold("chat.postMessage", 20, channel="C1")
    pace.hold("chat.update", 30)
    assert pace.take("chat.postMessage", channel="C1", urgent=True) == 20
    assert pace.take("chat.update") == 30
    assert pace.soonest_s("chat.update", "chat.postMessage") == 20
    assert pace.soonest_s("chat.update") == 30
    clock.now += 25
    assert pace.soonest_s("chat.update", "chat.postMessage") == 5
    assert pace.soonest_s("files.info") is None


class Away:
    """A Redis that does not answer."""

    def take(self, buckets: Sequence[Bucket], held: Sequence[str], *, urgent: bool) -> float | None:
        return None

    def hold(self, name: str, seconds: float) -> None:
        """Nobody hears it."""


def test_without_redis_a_process_keeps_its_own_pace(clock: Clock) -> None:
    """While nobody answers, the turns that this process took, shared ones too, count."""

    class Answering(OwnBuckets):
        away = False

        def take(self, buckets: Sequence[Bucket], held: Sequence[str], *, urgent: bool) -> float:
            return None if self.away else super().take(buckets, held, urgent=urgent)  # type: ignore[return-value]

    shared = Answering(clock)
    pace = Pace(shared=shared, clock=clock)
    assert pace.take("chat.postMessage", channel="C1") == 0
    shared.away = True
    assert pace.take("chat.postMessage", channel="C1") > 0
    assert Pace(shared=Away(), clock=clock).take("chat.postMessage", channel="C1") == 0


def test_a_redis_that_is_away_is_not_asked_all_the_time(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, and asked again after a second: no turn waits for it twice."""
    buckets = RedisBuckets("redis://127.0.0.1:1/0", "T1", clock=clock)
    wanted = [Bucket("chat.update", RATES["chat.update"])]
    assert buckets.take(wanted, ["*"], urgent=False) is None
    client = buckets._client
    assert client is not None
    client.close()
    buckets._client = None
    assert buckets.take(wanted, ["*"], urgent=False) is None
    assert buckets._client is None
    clock.now += ASKED_AGAIN_AFTER_S + 0.1
    assert buckets.take(wanted, ["*"], urgent=False) is None
    assert buckets._client is not None
    assert caplog.text.count("each keeps its own") == 1

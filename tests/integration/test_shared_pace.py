"""Bots share Slack's rates through a real Redis."""

import socket
import time
import uuid

import pytest
from redis import Redis
from support.log_acts import at_once

from bot.delivery.pace import Pace
from bot.delivery.rates import RATES, Bucket, Rate
from bot.delivery.redis_buckets import ANSWERS_WITHIN_S, RedisBuckets

SLOW = Bucket("chat.update", Rate(per_minute=6, burst=5, reserve=2))


@pytest.fixture
def team() -> str:
    return f"T{uuid.uuid4().hex[:8]}"


def patient(redis_url: str, team: str, monkeypatch: pytest.MonkeyPatch) -> RedisBuckets:
    """A bot's buckets, on a machine that other tests keep busy."""
    monkeypatch.setattr("bot.delivery.redis_buckets.ANSWERS_WITHIN_S", 5.0)
    return RedisBuckets(redis_url, team)


def test_bots_together_take_no_more_than_one_alone(redis_url: str, team: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight bots that ask at once get the turns of one bucket between them: with its reserve only what is urgent."""
    bots = [patient(redis_url, team, monkeypatch) for _ in range(8)]
    answers = at_once(lambda index: [bots[index].take([SLOW], [], urgent=False) for _ in range(3)])
    assert sum(wait_s == 0 for part in answers for wait_s in part) == 3
    urgent = at_once(lambda index: bots[index].take([SLOW], [], urgent=True))
    assert sum(wait_s == 0 for wait_s in urgent) == 2
    waits = [wait_s for wait_s in urgent if wait_s]
    assert len(waits) == 6
    assert all(8 < wait_s <= 10 for wait_s in waits)


def test_a_hold_is_heard_by_every_bot(redis_url: str, team: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Slack asked one bot for, all keep; a shorter wish does not end it."""
    first, second = (patient(redis_url, team, monkeypatch) for _ in range(2))
    one, other = Pace(shared=first), Pace(shared=second)
    one.hold("chat.update", 20)
    one.hold("chat.update", 1)
    assert 15 < other.take("chat.update", urgent=True) <= 20
    assert other.take("chat.postMessage", channel="C1") == 0
    assert Pace(shared=patient(redis_url, team + "X", monkeypatch)).take("chat.update") == 0


def test_a_turn_comes_back_in_time(redis_url: str, team: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty bucket says when it has a turn again, and has it then."""
    buckets = patient(redis_url, team, monkeypatch)
    quick = Bucket("x", Rate(per_minute=120))
    assert buckets.take([quick], [], urgent=False) == 0
    wait_s = buckets.take([quick], [], urgent=False)
    assert wait_s is not None
    assert 0 < wait_s <= 0.5
    time.sleep(wait_s)  # as the product waits: not longer than the bucket asked for
    assert buckets.take([quick], [], urgent=False) == 0


def test_nothing_is_left_in_redis(redis_url: str, team: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key has the workspace in its name and ends by itself; a clock that was set back holds nobody up."""
    buckets = patient(redis_url, team, monkeypatch)
    buckets.take([SLOW], [], urgent=True)
    with Redis.from_url(redis_url, decode_responses=True) as client:
        [key] = client.keys(f"lml:pace:*{team}*")
        assert 0 < client.pttl(key) <= 10_000
        client.set(key, str(int((time.time() + 3600) * 1_000_000)))
    assert buckets.take([SLOW], [], urgent=True) == 0


def test_a_frozen_redis_costs_a_moment_once(team: str) -> None:
    """A Redis that takes connections and says nothing is waited for a moment, and then not at all for a while."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        pace = Pace(shared=RedisBuckets(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", team))
        pace.take("auth.test")  # imports redis-py
        pace = Pace(shared=RedisBuckets(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", team))
        began = time.monotonic()
        turns = [pace.take("chat.postMessage", channel=f"C{number}") == 0 for number in range(20)]
        took_s = time.monotonic() - began
    rate = RATES["chat.postMessage"]
    assert sum(turns) >= rate.burst - rate.reserve
    assert took_s < 10 * ANSWERS_WITHIN_S

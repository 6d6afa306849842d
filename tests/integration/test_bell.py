"""The bell: a real Redis stream."""

import pytest
from redis import RedisError

from shared import bell


def test_a_ring_is_heard_once(redis_url: str) -> None:
    """Whoever waits after the last ring hears the next one, and then nothing."""
    with bell.connect(redis_url) as client:
        before = bell.last_ring(client)
        bell.ring(client, 1)
        bell.ring(client, 2)
        heard = bell.wait(client, before, timeout_s=5)
        assert heard == bell.last_ring(client) != before
        assert bell.wait(client, heard, timeout_s=0.05) == heard


def test_a_redis_that_is_away_is_an_error_at_once() -> None:
    """Nobody waits for a bell that cannot ring."""
    with bell.connect("redis://127.0.0.1:1/0") as client, pytest.raises(RedisError):
        bell.wait(client, "0-0", timeout_s=5)

"""Token buckets in Redis, one script for each turn, so that all bot processes of a workspace share them."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bot.delivery.rates import Bucket

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

ANSWERS_WITHIN_S = 0.25
"""A Redis that is slower than this is not waited for: the process's own buckets decide."""

ASKED_AGAIN_AFTER_S = 1.0
PREFIX = "lml:pace"

# KEYS: buckets, then holds. ARGV: how many buckets; for each its interval, the room of this caller and all of its room
# [microseconds]. Returns the microseconds to wait, 0 when the turn was taken. What lies further ahead than a bucket can
# be is left from a clock that was set back.
TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local count, wait = tonumber(ARGV[1]), 0
local full_at = {}
for i = count + 1, #KEYS do
  local left = redis.call('PTTL', KEYS[i])
  if left > 0 then wait = math.max(wait, left * 1000) end
end
for i = 1, count do
  local every, room, all = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local at = tonumber(redis.call('GET', KEYS[i]) or '0')
  if at < now or at > now + all + 2 * every then at = now end
  full_at[i] = at
  wait = math.max(wait, at - room - now)
end
if wait > 0 then return math.ceil(wait) end
for i = 1, count do
  local at = full_at[i] + tonumber(ARGV[3 * i - 1])
  redis.call('SET', KEYS[i], string.format('%.0f', at), 'PX', math.max(1, math.ceil((at - now) / 1000)))
end
return 0
"""

HOLD = """
local left = redis.call('PTTL', KEYS[1])
if left < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
return 0
"""


class RedisBuckets:
    """The buckets of a workspace in a Redis; says nothing while that does not answer in time."""

    def __init__(self, redis_url: str, team_id: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._team, self._clock = redis_url, team_id, clock
        self._client: Redis | None = None
        self._take: Any = None
        self._hold: Any = None
        self._away_until = 0.0

    def take(self, buckets: Sequence[Bucket], held: Sequence[str], *, urgent: bool) -> float | None:
        """Take from all of these, or from none and say how long to wait; None when nobody answers."""
        numbers: list[int] = [len(buckets)]
        for one in buckets:
            sizes_s = (one.rate.every_s, one.room_s(urgent=urgent), one.room_s(urgent=True))
            numbers += [int(size * 1_000_000) for size in sizes_s]
        keys = [*(self._key("bucket", one.name) for one in buckets), *(self._key("hold", name) for name in held)]
        answer = self._run("_take", keys, numbers)
        return None if answer is None else int(answer) / 1_000_000

    def hold(self, name: str, seconds: float) -> None:
        """Give nothing under this name for so long, to any bot."""
        self._run("_hold", [self._key("hold", name)], [max(1, int(seconds * 1000))])

    def _key(self, what: str, name: str) -> str:
        return f"{PREFIX}:{{{self._team}}}:{what}:{name}"

    def _run(self, script: str, keys: Sequence[str], numbers: Sequence[int]) -> Any:
        if self._clock() < self._away_until:
            return None
        try:
            if self._client is None:
                self._client = _connect(self._url)
                self._take, self._hold = self._client.register_script(TAKE), self._client.register_script(HOLD)
            return getattr(self, script)(keys=keys, args=numbers)
        except Exception as error:  # noqa: BLE001 - whatever redis-py raises, the process's own buckets decide
            if self._away_until == 0.0:
                logger.warning("Redis does not share Slack's rates between bots now, each keeps its own: %s", error)
            self._away_until = self._clock() + ASKED_AGAIN_AFTER_S
            return None


def _connect(redis_url: str) -> "Redis":
    """A client that does not try again: a second try would take as long as the first."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    times: Any = {"socket_connect_timeout": ANSWERS_WITHIN_S, "socket_timeout": ANSWERS_WITHIN_S}
    return Redis.from_url(redis_url, retry=Retry(NoBackoff(), 0), **times)

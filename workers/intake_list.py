"""The lists of the intake on Redis: messages that wait, the one in hand, those that were refused, and the answers.

A message is in exactly one list at any moment. It leaves the list of what is in hand in the same step in which its
answer or its refusal is written, so whatever dies in between, it is still there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis

from shared.intake_message import INTAKE_LIST, MOST_BYTES, REJECTED_LIST

HAND_LIST = "lml.intake.hand"
"""The message that is being read, at most one while no intake has died."""
EMPTY_KEY = "lml.intake.empty"
"""When the list was last seen empty, in seconds since 1970."""
ANSWER_PREFIX = "lml.answer:"
ANSWER_S = 24 * 3600
MOST_REJECTED = 1000
SHOWN_BYTES = 2048

# A longer message is cut on the server, where its length is known: it never comes over the connection. What is cut is
# refused, and what is left of it is enough to find its sender.
_TAKE = """
local raw = redis.call('RPOP', KEYS[1])
if not raw then
  redis.call('SET', KEYS[3], ARGV[3])
  return {-1, ''}
end
local size = string.len(raw)
if size > tonumber(ARGV[1]) then raw = string.sub(raw, 1, tonumber(ARGV[2])) end
redis.call('LPUSH', KEYS[2], raw)
return {size, raw}
"""

# Nothing is written when the message is in hand no more: another intake has finished it.
_FINISH = """
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[4]) end
if ARGV[3] ~= '' then
  redis.call('LPUSH', KEYS[3], ARGV[3])
  redis.call('LTRIM', KEYS[3], 0, ARGV[5] - 1)
end
return 1
"""


@dataclass(frozen=True)
class Taken:
    """A message in hand."""

    raw: bytes
    size_bytes: int

    @property
    def too_long(self) -> bool:
        """Whether it is more than may be sent; `raw` is its beginning then."""
        return self.size_bytes > MOST_BYTES


class IntakeList:
    """What the intake does on Redis. Raises `RedisError`."""

    def __init__(self, redis_url: str) -> None:
        # A Redis that hangs never hangs its caller.
        self._redis = Redis.from_url(redis_url, socket_connect_timeout=3, socket_timeout=5)
        self._take = self._redis.register_script(_TAKE)
        self._finish = self._redis.register_script(_FINISH)

    def take(self, now: float) -> Taken | None:
        """Take the oldest message in hand; None when there is none, which is noted with the time."""
        taken: Any = self._take(keys=[INTAKE_LIST, HAND_LIST, EMPTY_KEY], args=[MOST_BYTES, SHOWN_BYTES, f"{now:.0f}"])
        size_bytes, raw = taken
        return None if size_bytes < 0 else Taken(raw=raw, size_bytes=size_bytes)

    def put_back(self) -> int:
        """Let what an intake that died had in hand wait again, in its order; returns how many those were."""
        count = 0
        while self._redis.lmove(HAND_LIST, INTAKE_LIST, "LEFT", "RIGHT") is not None:
            count += 1
        return count

    def last_empty(self) -> float:
        """When the list was last seen empty; 0 when it never was."""
        noted: Any = self._redis.get(EMPTY_KEY)
        return float(noted or 0)

    def answered(self, service: str, id: str) -> bool:  # noqa: A002 - its name in the message
        """Whether a message of this id has been answered."""
        return bool(self._redis.exists(answer_key(service, id)))

    def finish(
        self, taken: Taken, *, answer: tuple[str, Mapping[str, Any]] | None, rejection: Mapping[str, Any] | None
    ) -> bool:
        """Write the answer under its key and the rejection into its list, and let go of the message.

        False, and nothing is written, when another intake had finished it.
        """
        key, body = answer if answer is not None else (f"{ANSWER_PREFIX}none", None)
        finished = self._finish(
            keys=[HAND_LIST, key, REJECTED_LIST],
            args=[
                taken.raw,
                json.dumps(body) if body is not None else "",
                json.dumps(rejection) if rejection is not None else "",
                ANSWER_S,
                MOST_REJECTED,
            ],
        )
        return bool(finished)


def answer_key(service: str, id: str) -> str:  # noqa: A002 - its name in the message
    """Where the answer to a message lies for a day."""
    return f"{ANSWER_PREFIX}{service}:{id}"

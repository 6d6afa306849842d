"""How fast Slack may be spoken to. One process's view: what others send shows as 429, which `hold` takes in."""

import time
from collections.abc import Callable
from threading import Lock

MESSAGE_EVERY_S = 1.05
"""Slack takes about one message a second in a channel."""

UPDATE_EVERY_S = 1.25
"""`chat.update` is a tier 3 method: 50 a minute for a workspace, whatever the channel."""


class Pace:
    """Turns in time, by channel and for all updates together."""

    def __init__(
        self,
        *,
        message_every_s: float = MESSAGE_EVERY_S,
        update_every_s: float = UPDATE_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s = {"channel": message_every_s, "update": update_every_s}
        self._clock = clock
        self._free_at: dict[tuple[str, str], float] = {}
        self._lock = Lock()

    def take(self, channel: str, *, updates: bool) -> float:
        """Take the next turn in a channel: 0 when it is now, else how long to wait before asking again."""
        keys = [("channel", channel), *([("update", "")] if updates else [])]
        with self._lock:
            moment = self._clock()
            wait_s = max(self._free_at.get(key, 0.0) for key in keys) - moment
            if wait_s > 0:
                return wait_s
            for key in keys:
                self._free_at[key] = moment + self._every_s[key[0]]
            return 0.0

    def hold(self, channel: str, seconds: float) -> None:
        """Leave a channel alone for so long, as Slack asked."""
        with self._lock:
            key = ("channel", channel)
            self._free_at[key] = max(self._free_at.get(key, 0.0), self._clock() + seconds)

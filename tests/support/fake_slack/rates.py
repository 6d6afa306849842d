"""Slack's rates: what is refused with 429, and who calls again too soon."""

import time
from collections import defaultdict, deque

from support.fake_slack.model import Failure, RefusedError
from support.slack_limits import calls_a_minute


class Rates:
    """Counts the calls of each method over a sliding window; off until `enforce`."""

    def __init__(self) -> None:
        self.on = False
        self.refused: list[str] = []
        """The method of each call that was one too many."""
        self.too_soon: list[str] = []
        """The method of each call that came before its Retry-After was over."""
        self._window_s = 60.0
        self._calls: dict[str, deque[float]] = defaultdict(deque)
        self._held_until: dict[str, float] = {}

    def enforce(self, *, window_s: float = 60.0) -> None:
        """Refuse what is too much from now on; a shorter window has as much less room."""
        self.on, self._window_s = True, window_s

    def take(self, method: str) -> None:
        """Count a call; refuses it when there were too many."""
        if not self.on:
            return
        now, calls = time.monotonic(), self._calls[method]
        if now < self._held_until.get(method, 0.0):
            self.too_soon.append(method)
        while calls and calls[0] <= now - self._window_s:
            calls.popleft()
        if len(calls) >= max(1, int(calls_a_minute(method) * self._window_s / 60.0)):
            wait_s = max(1, round(calls[0] + self._window_s - now + 0.5))
            self.refuse(method, wait_s)
        calls.append(now)

    def refuse(self, method: str, wait_s: int) -> None:
        """Answer with 429."""
        self.refused.append(method)
        self._held_until[method] = time.monotonic() + wait_s
        raise RefusedError("ratelimited", failure=Failure(status=429, retry_after_s=wait_s))

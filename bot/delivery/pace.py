"""Turns at Slack's Web API, shared by all bot processes of a workspace through Redis, else this process's own view.

Nobody sleeps here: who gets no turn is told when to ask again. What Slack itself asks for in a 429 holds the method for
the whole workspace. GCRA: a bucket is one number, the moment at which it would be full again.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Protocol

from bot.delivery.rates import ANY_METHOD, CHANNEL, RATES, Bucket, Rate, buckets_of

logger = logging.getLogger(__name__)

LONGEST_HOLD_S = 600.0


class Buckets(Protocol):
    """Where buckets are kept."""

    def take(self, buckets: Sequence[Bucket], held: Sequence[str], *, urgent: bool) -> float | None:
        """Take from all of these, or from none and say how long to wait; None when nobody answers."""

    def hold(self, name: str, seconds: float) -> None:
        """Give nothing under this name for so long."""


class OwnBuckets:
    """The buckets of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._held_until: dict[str, float] = {}
        self._lock = Lock()

    def take(self, buckets: Sequence[Bucket], held: Sequence[str], *, urgent: bool) -> float:
        """Take from all of these, or from none and say how long to wait."""
        with self._lock:
            moment = self._clock()
            waits = [self._held_until.get(name, 0.0) - moment for name in held]
            waits += [self._full_at.get(one.name, 0.0) - one.room_s(urgent=urgent) - moment for one in buckets]
            wait_s = max(waits, default=0.0)
            if wait_s <= 0:
                self._spend(buckets, moment)
            return max(wait_s, 0.0)

    def spend(self, buckets: Sequence[Bucket]) -> None:
        """Note a turn that was given elsewhere, so that this view is no staler than it must be."""
        with self._lock:
            self._spend(buckets, self._clock())

    def hold(self, name: str, seconds: float) -> None:
        """Give nothing under this name for so long."""
        with self._lock:
            self._held_until[name] = max(self._held_until.get(name, 0.0), self._clock() + seconds)

    def _spend(self, buckets: Sequence[Bucket], moment: float) -> None:
        for one in buckets:
            self._full_at[one.name] = max(self._full_at.get(one.name, 0.0), moment) + one.rate.every_s


class Pace:
    """Turns by method and channel. One for a process; used by many threads."""

    def __init__(
        self,
        *,
        shared: Buckets | None = None,
        rates: Mapping[str, Rate] | None = None,
        channel_rate: Rate | None = CHANNEL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rates = RATES if rates is None else rates
        self._channel_rate, self._shared, self._clock = channel_rate, shared, clock
        self._own = OwnBuckets(clock)
        self._refused: dict[tuple[str, str, bool], float] = {}

    @classmethod
    def unlimited(cls) -> "Pace":
        """Turns for everybody at once, but for what Slack asks: for tests."""
        return cls(rates={}, channel_rate=None)

    def take(self, method: str, *, channel: str = "", urgent: bool = False) -> float:
        """Take the next turn of a method: 0 when it is now, else how long to wait before asking again."""
        buckets = buckets_of(method, channel, self._rates, channel_rate=self._channel_rate)
        held = [ANY_METHOD, method, *([f"channel:{channel}"] if channel else [])]
        wait_s = self._shared.take(buckets, held, urgent=urgent) if self._shared is not None else None
        if wait_s is None:
            wait_s = self._own.take(buckets, held, urgent=urgent)
        elif wait_s <= 0:
            self._own.spend(buckets)
        if wait_s > 0:
            self._refused[method, channel, urgent] = self._clock() + wait_s
        return wait_s

    def closed_for_s(self, method: str, *, channel: str = "", urgent: bool = False) -> float:
        """How long it makes no sense to ask for a turn, as far as this process was told; 0 when it may be had."""
        until = self._refused.get((method, channel, urgent), 0.0)
        return max(until - self._clock(), 0.0)

    def soonest_s(self, *methods: str) -> float | None:
        """How soon one of these may have a turn that it asked for in vain, anywhere; None when none did."""
        moment = self._clock()
        waits = [until - moment for (named, _, _), until in list(self._refused.items()) if named in methods]
        return min((wait_s for wait_s in waits if wait_s > 0), default=None)

    def closed_channels(self, method: str) -> frozenset[str]:
        """The channels in which it makes no sense now to ask for a turn of a method."""
        moment = self._clock()
        met = list(self._refused.items())
        return frozenset(channel for (named, channel, _), until in met if named == method and until > moment)

    def hold(self, method: str, seconds: float, *, channel: str = "") -> None:
        """Leave a method alone for so long, as Slack asked; in a channel only, where one is given.

        What concerns every method of the workspace, such as a token that is refused, holds `ANY_METHOD`.
        """
        seconds = min(seconds, LONGEST_HOLD_S)
        name = f"channel:{channel}" if channel else method
        logger.info("Slack is not asked for %s for %.0f s.", name, seconds)
        self._own.hold(name, seconds)
        if self._shared is not None:
            self._shared.hold(name, seconds)

    @property
    def progress_every_s(self) -> float:
        """How often one card of many may be edited: the time that all edits together leave between two."""
        rate = self._rates.get("chat.update")
        return 0.0 if rate is None else rate.every_s

"""Requests of Slack that have arrived and are not acknowledged yet: what is not urgent lets them pass.

All of a bot's threads share one interpreter, and what a command does takes some milliseconds of it. Twenty commands at
once would make each other's acknowledgements wait for all of that work; so the work waits for the acknowledgements.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Condition
from time import monotonic
from typing import Any

ARRIVED = "lml_arrived"
"""Where Bolt's context holds the moment, on this process's clock, at which a request arrived."""

LET_PASS_S = 0.1
"""For how long work lets requests pass; they come for ever when many people are at it."""


def arrived(context: Mapping[str, Any]) -> float:
    """The moment at which a request arrived, on the clock of `time.monotonic`."""
    return float(context.get(ARRIVED) or monotonic())


class Arrivals:
    """Counts them. One for a process; used by many threads."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._unacknowledged = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """A block that acknowledges a request."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    @contextmanager
    def waits_for_its_answer(self) -> Iterator[None]:
        """A part of such a block in which it needs nothing but the answer that it waits for."""
        self._count(-1)
        try:
            yield
        finally:
            self._count(1)

    def let_pass(self, *, within_s: float = LET_PASS_S) -> None:
        """Wait until every request is acknowledged, or for so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._unacknowledged <= 0, timeout=within_s)

    def _count(self, change: int) -> None:
        with self._changed:
            self._unacknowledged += change
            if self._unacknowledged <= 0:
                self._changed.notify_all()

"""Waiting in tests: look until it is so, or fail at a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    look: Callable[[], T],
    *,
    what: str | Callable[[], str] = "it happens",
    within_s: float = 30.0,
    every_s: float = 0.02,
) -> T:
    """What `look` gives once it gives something true; an AssertionError when it does not in time.

    `what` says what was waited for; where it is a function, it is asked at the deadline, and can tell how far it came.
    """
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        met = look()
        if met:
            return met
        time.sleep(every_s)
    raise AssertionError(f"not within {within_s} s: {what if isinstance(what, str) else what()}")

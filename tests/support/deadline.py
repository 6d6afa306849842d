"""Waiting in tests: look until it is so, or fail at a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], *, what: str = "it happens", within_s: float = 30.0) -> T:
    """What `look` gives once it gives something true; an AssertionError when it does not in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        met = look()
        if met:
            return met
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s: {what}")

"""What a run's result says of its scores on the test rows, and how far they may be off. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal


def on_test(result: Mapping[str, Any] | None, what: Literal["metrics", "sd", "intervals"]) -> Mapping[str, Any]:
    """The scores on the test rows by name, their standard deviations over seeds, or their 95 % intervals.

    >>> on_test({"metrics": {"test": {"r2": 0.5}}}, "metrics"), on_test({}, "sd"), on_test(None, "intervals")
    ({'r2': 0.5}, {}, {})
    """
    return ((result or {}).get(what) or {}).get("test") or {}


def interval_of(result: Mapping[str, Any] | None, metric: str | None) -> Sequence[float] | None:
    """The 95 % interval of a score; None where there is none, or not both of its ends."""
    interval = on_test(result, "intervals").get(metric or "")
    return interval if isinstance(interval, list) and len(interval) == 2 and None not in interval else None


def are_overlapping(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether two intervals have a value in common."""
    return first[0] <= second[1] and second[0] <= first[1]

"""What is searched for in the experiment log: plain values, with no word of how they were typed or are looked up."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

MOST_FOUND = 1_000
Operator = Literal[">", ">=", "<", "<="]
ME = "me"
"""Whoever asks."""


@dataclass(frozen=True)
class Bound:
    """What a metric on the test rows has to reach, or to stay below."""

    metric: str
    operator: Operator
    value: float


@dataclass(frozen=True)
class Order:
    """By what runs are ordered: their number, their start, the time that they took, or a metric on the test rows."""

    by: str = "run"
    descending: bool = True


@dataclass(frozen=True)
class Query:
    """Which runs are looked for; what is empty or None asks for nothing."""

    kinds: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    dataset: str | None = None
    """What the dataset's name contains."""
    target: str | None = None
    name: str | None = None
    tags: tuple[str, ...] = ()
    """All of them."""
    words: tuple[str, ...] = ()
    """Each of them stands in the run's name, its notes, or its dataset's name."""
    since: datetime | timedelta | None = None
    """A moment, or how long ago."""
    first: int | None = None
    last: int | None = None
    """The least and the highest number."""
    parent: int | None = None
    """Only the seeds of this run. Without it seeds are left out, but where a single number is asked for."""
    bounds: tuple[Bound, ...] = ()
    order: Order = Order()
    limit: int = 20

    @property
    def hides_seeds(self) -> bool:
        """Whether runs that are seeds of others are passed over."""
        return self.parent is None and (self.first is None or self.first != self.last)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it is about."""
        ordered = () if self.order.by in ("run", "time", "started") else (self.order.by,)
        return tuple(dict.fromkeys([*(bound.metric for bound in self.bounds), *ordered]))

"""What a run tells while it works, and when it has to end: one object that the long stages ask."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.errors import RunStopped
from shared.events import AnyEvent, CheckpointSaved, EpochDone, Stage, StageStarted
from workers.core.checkpoints import Part
from workers.core.keeper import Keeper

Report = Callable[[AnyEvent], None]
ShouldStop = Callable[[], bool]

_BETWEEN_EPOCHS_S = 1.0
_BETWEEN_POLLS_S = 0.5


@dataclass
class Progress:
    """Reports events, throttled, asks whether to go on, and lets what was learnt be saved."""

    report: Report
    should_stop: ShouldStop
    keeper: Keeper | None = None
    _polled: float = field(default=0.0, init=False)
    _told: float = field(default=0.0, init=False)
    _untold: EpochDone | None = field(default=None, init=False)

    def stage(self, stage: Stage) -> None:
        """Say that a stage begins. Raises RunStopped."""
        self.check()
        self.report(StageStarted(stage=stage))

    def check(self) -> None:
        """Raise RunStopped when the run was asked to stop; before that, and when it is time, save what was learnt."""
        self._polled = time.monotonic()
        stop = self.should_stop()
        if self.keeper is not None and (stop or self.keeper.is_due()) and self.keeper.save():
            self.report(CheckpointSaved())
        if stop:
            raise RunStopped

    def check_now_and_then(self) -> None:
        """`check`, at most twice a second: cheap enough for every step."""
        if time.monotonic() - self._polled >= _BETWEEN_POLLS_S:
            self.check()

    def epoch(self, event: EpochDone) -> None:
        """Say that an epoch is done, at most once a second."""
        self.check()
        self._untold = event
        if time.monotonic() - self._told >= _BETWEEN_EPOCHS_S:
            self.last_epoch()

    def kept(self, name: str) -> Part | None:
        """What the stage `name` had done in an earlier attempt of the run."""
        return None if self.keeper is None else self.keeper.kept(name)

    def keep(self, name: str, part: Part | Callable[[], Part]) -> None:
        """From now on, `part`, or what `part()` says at any `check`, is all that the stage `name` needs to go on."""
        if self.keeper is not None:
            self.keeper.keep(name, part)

    def forget(self, name: str) -> None:
        """The stage `name` begins anew."""
        if self.keeper is not None:
            self.keeper.forget(name)

    def last_epoch(self) -> None:
        """Say the epoch that was held back, if there is one."""
        if self._untold is not None:
            self.report(self._untold)
            self._told, self._untold = time.monotonic(), None


class Clock:
    """The time that one model may train; it decides when to stop, and nothing else.

    Whoever trains asks it at points that depend on the data and the seed alone, so the numbers of the questions that it
    answered with yes say all that the clock did: a repeat that follows them needs no clock.
    """

    def __init__(self, budget_s: float, *, follow: Sequence[int] | None = None) -> None:
        """`follow` holds the numbers of the questions to answer with yes; the time counts for nothing then."""
        self.started, self.budget_s = time.monotonic(), budget_s
        self.follow = None if follow is None else frozenset(follow)
        self.asked, self.over_at = 0, list[int]()

    def mark(self) -> dict[str, Any]:
        """Where it stands, in plain values."""
        marks = {"budget_s": self.budget_s, "seconds": self.seconds()}
        return marks | {"asked": self.asked, "over_at": list(self.over_at)}

    def go_on(self, mark: Mapping[str, Any]) -> None:
        """Go on from a mark of an earlier attempt: the time that it took counts."""
        self.started, self.budget_s = time.monotonic() - mark["seconds"], mark["budget_s"]
        self.asked, self.over_at = mark["asked"], list(mark["over_at"])

    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def is_over(self, share: float = 1.0) -> bool:
        """Whether this share of the time has passed."""
        self.asked += 1
        over = self.seconds() >= share * self.budget_s if self.follow is None else self.asked in self.follow
        if over:
            self.over_at.append(self.asked)
        return over

    def eta_s(self, done: int, of: int) -> float:
        """Seconds until the last of `of` epochs, or until the time is over, whichever comes first."""
        left = max(0.0, self.budget_s - self.seconds())
        return round(min(left, self.seconds() / max(1, done) * max(0, of - done)), 1)

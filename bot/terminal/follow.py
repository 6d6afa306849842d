"""Follows a run until it ends: the log says where it stands, the bell only when to look."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis import RedisError

from bot.desk import Desk
from shared import bell
from shared.errors import Problem
from shared.events import AnyEvent
from shared.log import runs
from shared.log.forecast import Forecast, forecasts
from shared.log.runs import Run, RunState

if TYPE_CHECKING:
    from redis import Redis

LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class View:
    """A run as it stands."""

    run: Run
    events: tuple[AnyEvent, ...]
    expected: Forecast | None


def follow(
    desk: Desk, number: int, *, redis_url: str, trouble: Callable[[], Problem | None] = lambda: None
) -> Iterator[View]:
    """Each change of a run, the last one when it has ended.

    `trouble` says why no worker will come; a run that still waits then ends as failed with that problem.
    """
    listener = _Listener(redis_url)
    events: list[AnyEvent] = []
    seen = -1
    while True:
        with desk.log.read() as connection:
            run = runs.get(connection, number)
            if run.last_event != seen:
                events += [event for _, event in runs.events_after(connection, number, max(seen, 0))]
            expected = forecasts(connection, [run]).get(run.id) if run.state is RunState.QUEUED else None
        if run.last_event != seen:
            seen = run.last_event
            yield View(run=run, events=tuple(events), expected=expected)
            if run.state.ended:
                return
        problem = trouble() if run.state in (RunState.QUEUED, RunState.GATHERING) else None
        if problem is not None:
            with desk.log.write() as connection:
                runs.fail_waiting(connection, number, problem)
            continue
        listener.wait(LOOK_EVERY_S)


class _Listener:
    """The bell, or the clock while Redis is away."""

    def __init__(self, redis_url: str) -> None:
        self.client: Redis = bell.connect(redis_url)
        self.heard: str | None = None

    def wait(self, timeout_s: float) -> None:
        try:
            if self.heard is None:
                self.heard = bell.last_ring(self.client)
                return
            self.heard = bell.wait(self.client, self.heard, timeout_s=timeout_s)
        except RedisError:
            time.sleep(timeout_s)

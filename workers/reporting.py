"""Events of an attempt -> the log (the truth), then a ring (only a bell)."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from redis import RedisError

from shared import bell
from shared.errors import ServiceUnavailable
from shared.events import AnyEvent
from shared.log import attempts
from shared.log.attempts import Attempt
from shared.log.engine import Log

if TYPE_CHECKING:
    from sqlalchemy import Connection

logger = logging.getLogger(__name__)

RETRY_S = (0.2, 1.0, 3.0, 5.0, *[10.0] * 60)
"""How long an outcome waits between its tries while the log is away: ten minutes in all."""
AWAY_S = 5.0
"""How long progress is not written after the log did not answer."""
BELL_TIMEOUT_S = 0.5
"""How long training waits for a Redis that is frozen, once in `SILENT_S`."""
SILENT_S = 30.0
"""How long the bell is not rung after Redis did not answer."""


class Reporter:
    """Writes what happens to one attempt.

    Training never waits for a log that is away: an epoch that cannot be written is dropped, other events wait for the
    next one that can. An outcome is tried again for minutes.
    """

    def __init__(self, log: Log, attempt: Attempt, *, redis_url: str) -> None:
        self.log = log
        self.attempt = attempt
        self._redis = bell.connect(redis_url, timeout_s=BELL_TIMEOUT_S)
        self._waiting: list[AnyEvent] = []
        self._not_before = self._silent_until = 0.0

    def report(self, event: AnyEvent) -> None:
        """Write an event, after those that wait, and ring. Raises `FenceLost`."""
        if event.kind != "epoch_done":
            self._waiting.append(event)
        if time.monotonic() < self._not_before:
            return
        due = self._waiting if event.kind != "epoch_done" else [*self._waiting, event]
        try:
            with self.log.write() as connection:
                self._record(connection, due)
        except ServiceUnavailable:
            logger.warning("progress was not written, the log is away")
            self._not_before = time.monotonic() + AWAY_S
            return
        self._waiting = []
        self._ring()

    def write(self, change: "Callable[[Connection], None]") -> None:
        """Make a change under this attempt's fence and ring; raises `FenceLost`, or `ServiceUnavailable` at last."""
        for wait_s in (*RETRY_S, None):
            try:
                with self.log.write() as connection:
                    self._record(connection, self._waiting)
                    change(connection)
                break
            except ServiceUnavailable:
                if wait_s is None:
                    raise
                time.sleep(wait_s)
        self._waiting = []
        self._ring()

    def _record(self, connection: "Connection", events: list[AnyEvent]) -> None:
        for event in events:
            attempts.record(connection, self.attempt, event)

    def _ring(self) -> None:
        """Whoever listens looks at the log once a second anyway, so a Redis that is away or frozen is left in peace."""
        if time.monotonic() < self._silent_until:
            return
        try:
            bell.ring(self._redis, self.attempt.run)
        except RedisError:
            self._silent_until = time.monotonic() + SILENT_S

"""Events of an attempt -> the log (the truth), then a ring (only a bell)."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
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

RETRY_S = (0.2, 1.0, 3.0, 5.0, 10.0)


class Reporter:
    """Writes what happens to one attempt. An epoch that cannot be written is dropped; anything else is tried again."""

    def __init__(self, log: Log, attempt: Attempt, *, redis_url: str) -> None:
        self.log = log
        self.attempt = attempt
        self._redis = bell.connect(redis_url)

    def report(self, event: AnyEvent) -> None:
        """Write an event and ring."""
        self.write(
            lambda connection: attempts.record(connection, self.attempt, event), patient=event.kind != "epoch_done"
        )

    def write(self, change: "Callable[[Connection], None]", *, patient: bool = True) -> None:
        """Make a change under this attempt's fence and ring; raises `FenceLost` or `ServiceUnavailable`."""
        for wait_s in (*RETRY_S, None) if patient else (None,):
            try:
                with self.log.write() as connection:
                    change(connection)
                break
            except ServiceUnavailable:
                if not patient:
                    logger.warning("run %d: progress was not written, the log is away", self.attempt.run)
                    return
                if wait_s is None:
                    raise
                time.sleep(wait_s)
        with suppress(RedisError):  # whoever listens looks at the log once a second anyway
            bell.ring(self._redis, self.attempt.run)

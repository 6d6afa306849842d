"""The sweep: a process of its own beside each worker that finds what was lost, and says that the worker lives.

A run whose lease has passed waits again; a waiting run whose doorbell was lost is rung again; a run past its deadline
ends, and one that no worker takes is told to its owner. What nobody needs any more is removed from the disk. Doorbells
that came twice are harmless: they find nothing to claim. Of several sweeps one at a time does all this, under a lock in
the log.
"""

import json
import logging
import secrets
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kombu.exceptions import OperationalError
from redis import RedisError

from shared import bell
from shared.errors import LmlError
from shared.log import attempts, waiting
from shared.log.engine import Log
from shared.log.workers import gone, seen, take_lock
from shared.logs import log_to_stderr
from shared.retention import tidy
from shared.settings import Settings, load_settings
from shared.wire import doorbell_queue
from shared.work import Slot
from workers.intake_child import IntakeChild
from workers.ringing import doorbell_app, ring

if TYPE_CHECKING:
    from sqlalchemy import Connection

logger = logging.getLogger(__name__)

EVERY_S = 2.0
RUNG_LONG_AGO_S = 5.0
TIDY_EVERY_S = 60.0


class Sweep:
    """The rounds of one sweep."""

    def __init__(self, settings: Settings, worker: str, slots: Sequence[Slot]) -> None:
        self.settings, self.worker, self.slots = settings, worker, slots
        self.log = Log(settings.log_url)
        self.app = doorbell_app(settings.require_redis_url())
        self.intake = IntakeChild(self.log, worker)
        self._owner = f"{worker}/{secrets.token_hex(4)}"  # containers may share a name and a process number
        self._got_through_at = self._wait_until = self._tidy_at = _elapsed_s()

    def round(self) -> int:
        """One round; returns how many doorbells it rang.

        While the log is slow or away, no lease can be renewed, and while a machine sleeps neither: after that every
        worker gets a whole lease to do so.
        """
        with self.log.write() as connection:
            seen(connection, self.worker, self.slots)
            mine = take_lock(connection, "sweep", owner=self._owner, seconds=3 * EVERY_S)
        if _elapsed_s() > self._got_through_at + EVERY_S + self.settings.lease_s / 3:
            self._wait_until = _elapsed_s() + self.settings.lease_s
        self._say_log_answers()
        self.intake.keep()
        if mine and _elapsed_s() >= self._wait_until:
            self._release_lapsed()
        if mine:
            self._tell()
        self._got_through_at = _elapsed_s()
        return self._ring_lost() if mine else 0

    def stop(self) -> None:
        """Say that the worker is gone."""
        self.intake.stop()
        with self.log.write() as connection:
            gone(connection, self.worker)

    def _say_log_answers(self) -> None:
        with suppress(RedisError), bell.connect(self.settings.require_redis_url()) as client:
            bell.say_log_answers(client)

    def _release_lapsed(self) -> None:
        for run in self._each(lambda connection: attempts.release_lapsed(connection, lease_s=self.settings.lease_s)):
            logger.warning("run %d: its lease has passed; it waits again", run)

    def _tell(self) -> None:
        for run in self._each(waiting.end_late):
            logger.info("run %d: its deadline has passed", run)
        for run in self._each(waiting.end_abandoned):
            logger.info("run %d: its command has ended before it had brought the dataset", run)
        for run in self._each(waiting.tell_worker_missing):
            logger.info("run %d: no worker takes it", run)
        if _elapsed_s() >= self._tidy_at:
            self._tidy_at = _elapsed_s() + TIDY_EVERY_S
            for removed in tidy(self.log, self.settings):
                logger.info("removed: %s", removed)

    def _each(self, change: "Callable[[Connection], list[int]]") -> Iterator[int]:
        """The runs that a change has met, some in each transaction, so that none takes long."""
        while True:
            with self.log.write() as connection:
                met = change(connection)
            yield from met
            if not met:
                return

    def _ring_lost(self) -> int:
        with self.log.read() as connection:
            lost = waiting.longer_than(connection, seconds=RUNG_LONG_AGO_S)
        by_queue: defaultdict[str, list[int]] = defaultdict(list)
        for run, device, length in lost:
            by_queue[doorbell_queue(device, length)].append(run)
        if not by_queue:
            return 0
        prefix = self.app.conf.broker_transport_options["global_keyprefix"]
        with bell.connect(self.settings.require_redis_url()) as client:
            missing = {queue: runs[int(client.llen(prefix + queue)) :] for queue, runs in by_queue.items()}
        return sum(ring(self.app, queue, runs) for queue, runs in missing.items() if runs)


def main(worker: str, slots: Sequence[Slot]) -> int:
    """Sweep until the worker ends."""
    settings = load_settings()
    log_to_stderr("sweep", as_json=settings.log == "json")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sweep = Sweep(settings, worker, slots)
    try:
        while True:
            try:
                sweep.round()
            except (LmlError, RedisError, OperationalError) as error:
                logger.warning("not now: %s", error)
            except Exception:  # a sweep that ends would leave every lost run lost
                logger.exception("a round failed; the next one comes")
            time.sleep(EVERY_S)
    finally:
        try:
            sweep.stop()
        except LmlError as error:
            logger.warning("the log was not told: %s", error)


def _elapsed_s() -> float:
    """A clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _slots(plain: str) -> list[Slot]:
    met: list[dict[str, Any]] = json.loads(plain)
    return [Slot.of_plain(slot) for slot in met]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], _slots(sys.argv[2])))

"""The sweep: a process of its own beside each worker that finds what was lost, and says that the worker lives.

A run whose lease has passed waits again; a waiting run whose doorbell was lost is rung again; a run past its deadline
ends, and one that no worker takes is told to its owner. Doorbells that came twice are harmless: they find nothing to
claim. Of several sweeps one at a time does all this, under a lock in the log.
"""

import json
import logging
import shutil
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from kombu.exceptions import OperationalError
from redis import RedisError

from shared import bell
from shared.errors import LmlError, ServiceUnavailable
from shared.log import attempts, waiting
from shared.log.engine import Log
from shared.log.workers import gone, seen, take_lock
from shared.logs import log_to_stderr
from shared.settings import Settings, load_settings
from shared.wire import doorbell_queue
from shared.work import Slot
from workers.intake_child import IntakeChild
from workers.ringing import doorbell_app, ring

logger = logging.getLogger(__name__)

EVERY_S = 2.0
RUNG_LONG_AGO_S = 5.0
CHECKPOINTS_KEPT_DAYS = 14


class Sweep:
    """The rounds of one sweep."""

    def __init__(self, settings: Settings, worker: str, slots: Sequence[Slot]) -> None:
        self.settings, self.worker, self.slots = settings, worker, slots
        self.log = Log(settings.log_url)
        self.app = doorbell_app(settings.require_redis_url())
        self.intake = IntakeChild(self.log, worker)
        self._wait_until = 0.0
        self._away = False

    def round(self) -> int:
        """One round; returns how many doorbells it rang.

        While the log answers nobody, no lease can be renewed: after that every worker gets a whole lease to do so.
        """
        try:
            with self.log.write() as connection:
                seen(connection, self.worker, self.slots)
                mine = take_lock(connection, "sweep", owner=self.worker, seconds=3 * EVERY_S)
        except ServiceUnavailable:
            self._away = True
            raise
        if self._away:
            self._away = False
            self._wait_until = time.monotonic() + self.settings.lease_s
        self.intake.keep()
        if not mine:
            return 0
        if time.monotonic() >= self._wait_until:
            self._release_lapsed()
        self._tell()
        return self._ring_lost()

    def stop(self) -> None:
        """Say that the worker is gone."""
        self.intake.stop()
        with self.log.write() as connection:
            gone(connection, self.worker)

    def _release_lapsed(self) -> None:
        with self.log.write() as connection:
            lapsed = attempts.release_lapsed(connection, lease_s=self.settings.lease_s)
        for run in lapsed:
            logger.warning("run %d: its lease has passed; it waits again", run)

    def _tell(self) -> None:
        with self.log.write() as connection:
            late = waiting.end_late(connection)
            waiting.tell_worker_missing(connection)
            old = waiting.checkpoints_to_forget(connection, days=CHECKPOINTS_KEPT_DAYS)
        for run in late:
            logger.info("run %d: its deadline has passed", run)
        for run in old:
            shutil.rmtree(self.settings.checkpoints_folder / str(run), ignore_errors=True)

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


def _slots(plain: str) -> list[Slot]:
    met: list[dict[str, Any]] = json.loads(plain)
    return [Slot.of_plain(slot) for slot in met]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], _slots(sys.argv[2])))

"""Brings the datasets of runs that services asked for into the store, and rings for workers, behind the intake.

What it does stands in the log: an intake that dies here leaves a run preparing, and the next one takes it up.
"""

import logging
from threading import Event, Thread
from typing import Any

from kombu.exceptions import OperationalError
from redis import RedisError

from shared import submission
from shared.access import Source
from shared.blobs import BlobStore
from shared.errors import LmlError
from shared.log import runs
from shared.log.engine import Log
from shared.log.preparing import PREPARING_LEASE_S, keep_preparing, take_preparing
from shared.settings import Settings
from shared.wire import doorbell_queue
from workers.ringing import doorbell_app, ring

logger = logging.getLogger(__name__)


class Preparing:
    """A thread that prepares one run after another, woken when one is written."""

    def __init__(self, settings: Settings, log: Log, owner: str, *, poll_s: float = 5.0) -> None:
        self._settings, self._log, self._owner = settings, log, owner
        self._store = BlobStore(settings.store_folder)
        self._app: Any = doorbell_app(settings.require_redis_url())
        self._poll_s = poll_s
        self._wake, self._stopping = Event(), False
        self._thread = Thread(target=self._loop, name="lml-intake-preparing", daemon=True)

    def start(self) -> None:
        """Begin, with whatever an earlier intake left."""
        self._thread.start()

    def wake(self) -> None:
        """A run was written."""
        self._wake.set()

    def stop(self, *, within_s: float = 5.0) -> None:
        """Begin nothing more; what is not done by then is taken up by the next intake."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=within_s)

    def prepare_next(self) -> bool:
        """Prepare the oldest run that waits for it; False when none does."""
        with self._log.write() as connection:
            run = take_preparing(connection, owner=self._owner, lease_s=PREPARING_LEASE_S, sources=(Source.SERVICE,))
        if run is None:
            return False
        if submission.prepare(self._log, self._store, self._settings, run.id, keep=lambda: self._keep(run.id)):
            self._ring(run.id)
        return True

    def _keep(self, number: int) -> None:
        """Somebody is at it still."""
        with self._log.write() as connection:
            keep_preparing(connection, number, owner=self._owner, lease_s=PREPARING_LEASE_S)

    def _ring(self, number: int) -> None:
        with self._log.read() as connection:
            run = runs.get(connection, number)
        try:
            ring(self._app, doorbell_queue(run.device, run.length), [number])
        except (RedisError, OperationalError, OSError) as error:
            # The run is queued in the log; the sweep rings again.
            logger.warning("The doorbell of run %d did not ring: %s", number, error)

    def _loop(self) -> None:
        while not self._stopping:
            try:
                if self.prepare_next():
                    continue
            except LmlError as error:
                logger.warning("Runs are not prepared now: %s", error)
            except Exception:  # a thread that ends would leave every later run preparing
                logger.exception("The preparing stumbled and goes on.")
            self._wake.wait(timeout=self._poll_s)
            self._wake.clear()

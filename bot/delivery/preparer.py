"""The preparer: brings datasets of runs into the store and rings for workers, behind the answer to whoever asked.

What it does stands in the log: a bot that dies here leaves a run preparing, and the next one takes it up.
"""

import logging
import time
import uuid
from collections.abc import Callable, Iterable
from threading import Event, Thread

from bot.delivery.doorbell import Doorbell
from shared import submission
from shared.access import Source
from shared.blobs import BlobStore
from shared.errors import LmlError, failed
from shared.log import runs
from shared.log.engine import Log
from shared.log.preparing import PREPARING_LEASE_S, keep_preparing, take_preparing
from shared.log.runs import Run, RunState
from shared.settings import Settings

logger = logging.getLogger(__name__)

QUIET_S = 5.0
"""For how long nothing is rung for after Redis did not answer: each such ring waits for seconds, and runs behind it."""

Fetch = Callable[[Run, Callable[[], object]], Iterable[bytes] | None]
"""Finds the dataset of a run from a chat there; is handed what to call while bytes come."""


class Preparer:
    """Threads that prepare runs, one run each at a time, woken when one is written.

    Without `fetch`, the runs of a chat are left to a bot that reaches it.
    """

    def __init__(  # noqa: PLR0913 - the parts that it brings together
        self,
        settings: Settings,
        log: Log,
        store: BlobStore,
        *,
        doorbell: Doorbell,
        fetch: Fetch | None = None,
        poll_s: float = 2.0,
        threads: int = 4,
    ) -> None:
        self._settings, self._log, self._store = settings, log, store
        self._doorbell, self._fetch = doorbell, fetch
        self._sources = (Source.SERVICE,) if fetch is None else (Source.SLACK, Source.SERVICE)
        self._quiet_until = float("-inf")
        self._owner = f"bot-{uuid.uuid4().hex[:12]}"
        self._poll_s = poll_s
        self._wake, self._stopping = Event(), False
        self._threads = [Thread(target=self._loop, name=f"lml-preparer-{n}", daemon=True) for n in range(threads)]

    def start(self) -> None:
        """Begin, with whatever an earlier bot left."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """A run was written."""
        self._wake.set()

    def stop(self, *, within_s: float = 5.0) -> None:
        """Begin nothing more; what is not done by then is taken up by the next bot."""
        self._stopping = True
        self._wake.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=within_s)

    def prepare_next(self) -> bool:
        """Prepare the oldest run that waits for it; False when none does."""
        with self._log.write() as connection:
            run = take_preparing(connection, owner=self._owner, lease_s=PREPARING_LEASE_S, sources=self._sources)
        if run is None:
            return False
        ready = submission.prepare(
            self._log, self._store, self._settings, run.id, fetch=self._fetched, keep=lambda: self._keep(run.id)
        )
        if ready:
            self._ring(run.id)
        return True

    def _fetched(self, run: Run) -> Iterable[bytes] | None:
        if self._fetch is None or run.source is not Source.SLACK:
            return None
        return self._fetch(run, lambda: self._keep(run.id))

    def _keep(self, run: int) -> None:
        with self._log.write() as connection:
            kept = keep_preparing(connection, run, owner=self._owner, lease_s=PREPARING_LEASE_S)
            if not kept and runs.get(connection, run).state is not RunState.PREPARING:
                raise failed("not_preparing", f"Run {run} was ended while its dataset came.")

    def _ring(self, run: int) -> None:
        """The run is queued in the log: when it is not rung for now, the workers' sweep does it."""
        if time.monotonic() < self._quiet_until:
            return
        try:
            with self._log.read() as connection:
                waiting = runs.get(connection, run)
            self._doorbell.ring(waiting)
        except LmlError as error:
            self._quiet_until = time.monotonic() + QUIET_S
            logger.warning("The doorbell of run %s did not ring: %s", run, error)

    def _loop(self) -> None:
        while not self._stopping:
            try:
                if self.prepare_next():
                    continue
            except LmlError as error:
                logger.warning("Runs are not prepared now: %s", error)
            except Exception:  # a thread that ends would leave every later run preparing
                logger.exception("The preparer stumbled and goes on.")
            self._wake.wait(timeout=self._poll_s)
            self._wake.clear()

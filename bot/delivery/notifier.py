"""The notifier: threads that keep cards up to date or send webhooks, woken by the bell of the workers.

There is no position to lose: which card is behind is a question to the log. Redis away means a little later, not never.
"""

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Protocol, runtime_checkable

from shared import bell
from shared.errors import LmlError

logger = logging.getLogger(__name__)

BELL_WAIT_S = 2.0
_LEAST_WAIT_S = 0.02


class Sender(Protocol):
    """Sends what is due, one thing at a time. Used by one thread."""

    def send_next(self) -> bool:
        """Send the next thing; False when none is due."""


@runtime_checkable
class Paced(Protocol):
    """A sender that knows when it will have a turn."""

    def soonest_s(self) -> float | None:
        """How soon it makes sense to look again; None when only news would be a reason."""


class Notifier:
    """Sends from as many threads as it makes senders; without a Redis to listen to, it looks every `poll_s`."""

    def __init__(
        self,
        make_sender: Callable[[], Sender],
        *,
        redis_url: str | None,
        what: str = "Cards",
        poll_s: float = 1.0,
        threads: int = 2,
    ) -> None:
        self._redis_url, self._poll_s, self._what = redis_url, poll_s, what
        self._wake, self._stopping = Event(), Event()
        self._threads = [
            Thread(target=self._loop, args=(make_sender(),), name=f"lml-notifier-{n}", daemon=True)
            for n in range(threads)
        ]
        if redis_url is not None:
            self._threads.append(Thread(target=self._listen, name="lml-bell", daemon=True))

    def start(self) -> None:
        """Begin, with whatever happened while no bot ran."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Something happened to a run."""
        self._wake.set()

    def stop(self, *, within_s: float = 5.0) -> None:
        """Send nothing more; what is under way ends."""
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=within_s)

    def _loop(self, sender: Sender) -> None:
        while not self._stopping.is_set():
            try:
                if sender.send_next():
                    continue
            except LmlError as error:
                logger.warning("%s are not sent now: %s", self._what, error)
            except Exception:  # a thread that ends would leave everything later unsent
                logger.exception("The notifier stumbled and goes on; this is tried again when its lease ends.")
            self._wake.wait(timeout=self._wait_s(sender))
            self._wake.clear()

    def _wait_s(self, sender: Sender) -> float:
        soonest_s = sender.soonest_s() if isinstance(sender, Paced) else None
        return self._poll_s if soonest_s is None else min(max(soonest_s, _LEAST_WAIT_S), self._poll_s)

    def _listen(self) -> None:
        """Hear the bell. The socket's own time limit is longer than each wait."""
        client = bell.connect(self._redis_url or "", timeout_s=2 * BELL_WAIT_S)
        after: str | None = None
        while not self._stopping.is_set():
            try:
                after = after or bell.last_ring(client)
                heard = bell.wait(client, after, timeout_s=BELL_WAIT_S)
                if heard != after:
                    after = heard
                    self._wake.set()
            except Exception as error:  # noqa: BLE001 - whatever redis-py raises, polling goes on without the bell
                logger.warning("The bell is not heard, cards are polled for: %s", error)
                after = None
                self._stopping.wait(BELL_WAIT_S)
        client.close()

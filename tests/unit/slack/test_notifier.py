"""The notifier: goes on whatever a sender meets, and looks again when there is a turn."""

import threading
import time

from support.deadline import until

from bot.delivery.notifier import Notifier
from shared.errors import unavailable


class Waiting:
    """A sender that has nothing to send, and knows when it will have a turn."""

    def __init__(self, soonest_s: float | None) -> None:
        self.looks: list[float] = []
        self._soonest_s = soonest_s

    def send_next(self) -> bool:
        self.looks.append(time.monotonic())
        return False

    def soonest_s(self) -> float | None:
        return self._soonest_s


def looks_within(sender: Waiting, *, poll_s: float, seconds: float) -> int:
    notifier = Notifier(lambda: sender, redis_url=None, poll_s=poll_s, threads=1)
    notifier.start()
    threading.Event().wait(seconds)
    notifier.stop()
    return len(sender.looks)


def test_it_looks_again_when_there_is_a_turn() -> None:
    """A sender that is paced is asked again as soon as it has a turn, else after the usual time, never in a rush."""
    assert looks_within(Waiting(0.05), poll_s=5.0, seconds=1.0) > 5
    assert looks_within(Waiting(None), poll_s=5.0, seconds=0.5) == 1
    assert looks_within(Waiting(0.0), poll_s=5.0, seconds=0.5) < 30


def test_it_goes_on_after_whatever_a_sender_raises() -> None:
    """A log that is away, or a mistake of ours, ends no thread."""

    class Stumbling:
        calls = 0

        def send_next(self) -> bool:
            self.calls += 1
            if self.calls == 1:
                raise unavailable("database_unavailable", "The log does not answer.")
            if self.calls == 2:
                raise RuntimeError("a mistake")
            return False

    sender = Stumbling()
    notifier = Notifier(lambda: sender, redis_url=None, poll_s=0.01, threads=1)
    notifier.start()
    until(lambda: sender.calls > 3)
    notifier.stop()

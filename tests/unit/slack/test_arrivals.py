"""Requests that are not acknowledged yet, and work that lets them pass."""

import time
from threading import Thread

from support.deadline import until

from bot.slack.arrivals import ARRIVED, Arrivals, arrived


def test_work_lets_requests_pass() -> None:
    """Work begins when every request is acknowledged, and not later than it is told."""
    arrivals, begun = Arrivals(), []
    arrivals.let_pass(within_s=5)

    def work() -> None:
        arrivals.let_pass(within_s=5)
        begun.append(time.monotonic())

    with arrivals.one():
        worker = Thread(target=work)
        worker.start()
        with arrivals.one():
            assert begun == []
        assert begun == []
    worker.join(timeout=5)
    assert len(begun) == 1
    with arrivals.one():
        start = time.monotonic()
        arrivals.let_pass(within_s=0.05)
        assert time.monotonic() - start < 2


def test_a_request_that_waits_for_its_answer_holds_up_no_work() -> None:
    """Who waits for work does not make it wait."""
    arrivals, begun = Arrivals(), []
    with arrivals.one(), arrivals.waits_for_its_answer():
        worker = Thread(target=lambda: (arrivals.let_pass(within_s=60), begun.append(1)))
        worker.start()
        until(lambda: begun == [1])


def test_the_moment_of_arrival_is_kept() -> None:
    """The transport notes it; without a note it is now."""
    assert arrived({ARRIVED: 12.5}) == 12.5
    assert abs(arrived({}) - time.monotonic()) < 5

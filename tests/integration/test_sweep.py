"""What a sweep and a supervisor do while the log is slow, or answers others only."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import Connection
from support.empty_logs import empty_log
from support.log_acts import queued, run_of

from shared import bell
from shared.errors import unavailable
from shared.log import attempts
from shared.log.attempts import Attempt
from shared.log.engine import Log
from shared.log.runs import RunState
from shared.settings import Settings
from shared.wire import EMPTY_DOORBELLS
from shared.work import Slot
from workers import supervise, sweep


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    """A home of its own, and a Redis."""
    return Settings(home=tmp_path, redis_url=redis_url, lease_s=10.0)


@pytest.fixture
def log(settings: Settings) -> Log:
    """Its log."""
    return empty_log(settings.log_url)


def lapsed_run(log: Log) -> int:
    """A run whose lease has passed."""
    number = queued(log)
    with log.write() as connection:
        attempts.claim(connection, worker="w", lease_s=-1)
    return number


def test_a_log_that_was_slow_gives_everyone_a_lease(
    settings: Settings, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a round that took longer than leases are renewed, no run is taken from its worker for a whole lease."""
    clock = 1000.0
    monkeypatch.setattr(sweep, "_elapsed_s", lambda: clock)
    sweeping = sweep.Sweep(settings, "w:1", [Slot()])
    sweeping.round()
    number = lapsed_run(log)
    clock += 12.5  # the log was locked for so long
    sweeping.round()
    assert run_of(log, number).state is RunState.RUNNING
    clock += 2.0
    sweeping.round()
    assert run_of(log, number).state is RunState.RUNNING
    for _ in range(5):
        clock += 2.0
        sweeping.round()
    assert run_of(log, number).state is RunState.QUEUED


def test_a_sweep_that_keeps_pace_takes_a_lost_run_at_once(settings: Settings, log: Log) -> None:
    """Without such a pause nothing waits."""
    sweeping = sweep.Sweep(settings, "w:1", [Slot()])
    number = lapsed_run(log)
    sweeping.round()
    assert run_of(log, number).state is RunState.QUEUED


def test_doorbells_for_nothing_are_counted(settings: Settings, log: Log) -> None:
    """A claim that finds no run leaves a count in Redis, which /metrics shows."""
    with bell.connect(settings.require_redis_url()) as client:
        before = int(client.get(EMPTY_DOORBELLS) or 0)  # type: ignore[arg-type]  # no awaitable
        assert log.revision() is not None
        assert supervise.run_next(settings, Slot(), draining=lambda: False) is None
        assert int(client.get(EMPTY_DOORBELLS) or 0) == before + 1  # type: ignore[arg-type]


class CutOff:
    """A log that does not answer."""

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Raise."""
        raise unavailable("database_unavailable", "The log does not answer.", "Wait.")
        yield

    write = read


@pytest.mark.parametrize("others_are_answered", [True, False])
def test_a_supervisor_that_is_cut_off_judges_itself(settings: Settings, *, others_are_answered: bool) -> None:
    """Once its lease has passed by its own clock it ends its child if the log answers others, and not otherwise."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    watch = supervise._Watch(child.pid, CutOff(), Attempt(1, 1), settings, draining=lambda: False)  # type: ignore[arg-type]
    with Redis.from_url(settings.require_redis_url()) as client:
        client.flushdb()
    with bell.connect(settings.require_redis_url()) as client:
        if others_are_answered:
            bell.say_log_answers(client)
        watch._tick()
        assert watch.asked is None
        watch.renewed_at -= settings.lease_s + 1
        watch._tick()
        assert watch.asked is None  # it may have been said before the log went away
        assert watch.away_since is not None
        watch.away_since -= bell.LOG_ANSWERS_S + 1
        watch._tick()
    assert watch.asked == ("fence" if others_are_answered else None)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()

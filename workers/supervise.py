"""Forks a process for each run, watches it, and ends it: the part of a worker that must never hang.

This process only imports heavy libraries; it runs none of their operations, has no thread, and holds no connection
across a fork. A child forked from a parent that had run a threaded operation would hang (docs/decisions/0001).
"""

import logging
import os
import select
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from redis import RedisError

from shared import bell
from shared.errors import Problem, ServiceUnavailable
from shared.log import attempts
from shared.log.attempts import Attempt, FenceLost
from shared.log.engine import Log
from shared.log.runs import Run
from shared.settings import Settings
from workers.attempt_process import Exit, run_attempt
from workers.claims import claim

logger = logging.getLogger(__name__)

TICK_S = 0.5
STOP_GRACE_S = 10.0


@dataclass(frozen=True)
class Ended:
    """How the process of an attempt ended, and why it was asked to, if it was."""

    status: int
    asked: str | None = None
    """`cancel`, `drain` or `fence`."""


def run_next(settings: Settings, *, draining: Callable[[], bool]) -> int | None:
    """Claim the best waiting run and see it through; returns its number, None when nothing waited."""
    log = Log(settings.log_url)
    claimed = claim(log, lease_s=settings.lease_s)
    if claimed is None:
        return None
    attempt, run = claimed
    folder = settings.home_folder / "work" / f"{attempt.run}-{attempt.fence}"
    try:
        ended = _supervised(settings, log, attempt, run, folder=folder, draining=draining)
        _settle(log, attempt, ended)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(RedisError):
        client = bell.connect(settings.require_redis_url())
        bell.ring(client, attempt.run)
        client.close()
    return attempt.run


def _supervised(
    settings: Settings, log: Log, attempt: Attempt, run: Run, *, folder: Path, draining: Callable[[], bool]
) -> Ended:
    """Fork, and watch until the process has ended."""
    parent_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        run_attempt(settings, attempt, run, folder=folder, parent_pid=parent_pid)
    return _Watch(pid, log, attempt, lease_s=settings.lease_s, draining=draining).until_ended()


class _Watch:
    """One process under one lease."""

    def __init__(self, pid: int, log: Log, attempt: Attempt, *, lease_s: float, draining: Callable[[], bool]) -> None:
        self.pid = pid
        self.log = log
        self.attempt = attempt
        self.lease_s = lease_s
        self.draining = draining
        self.asked: str | None = None
        self.kill_at = float("inf")
        self.renew_at = time.monotonic() + lease_s / 3

    def until_ended(self) -> Ended:
        """Renew the lease, pass on what is asked, until the process has ended."""
        handle = os.pidfd_open(self.pid)
        try:
            poller = select.poll()
            poller.register(handle, select.POLLIN)
            while not poller.poll(TICK_S * 1000):
                self._tick()
        finally:
            os.close(handle)
        _, status = os.waitpid(self.pid, 0)
        return Ended(status=status, asked=self.asked)

    def _tick(self) -> None:
        if time.monotonic() > self.kill_at:
            self._signal(signal.SIGKILL)
        elif self.asked is None:
            asked = self._ask()
            if asked is not None:
                self.asked = asked
                self.kill_at = time.monotonic() + (0.0 if asked == "fence" else STOP_GRACE_S)
                self._signal(signal.SIGTERM)
        elif self.asked != "fence":
            self._ask()  # the lease is kept while the process winds up

    def _ask(self) -> str | None:
        """Whether the process has to stop, and why; the lease is renewed on the way."""
        try:
            with self.log.read() as connection:
                if attempts.cancel_requested(connection, self.attempt):
                    return "cancel"
            if time.monotonic() >= self.renew_at:
                with self.log.write() as connection:
                    attempts.renew(connection, self.attempt, lease_s=self.lease_s)
                self.renew_at = time.monotonic() + self.lease_s / 3
        except FenceLost:
            return self._fence_lost()
        except ServiceUnavailable as error:
            # The log answers nobody, so nobody can take the run either; the child goes on.
            logger.warning("run %d: %s", self.attempt.run, error)
        return "drain" if self.draining() else None

    def _fence_lost(self) -> str | None:
        """The row is no longer ours: because the child has just ended its run, or because someone took it."""
        with suppress(ProcessLookupError):
            poller = select.poll()
            handle = os.pidfd_open(self.pid)
            poller.register(handle, select.POLLIN)
            ending = bool(poller.poll(2000))
            os.close(handle)
            if ending:
                return None
        return "fence"

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


def _settle(log: Log, attempt: Attempt, ended: Ended) -> None:
    """Write what the process could not write itself: that it was stopped, or that it crashed."""
    code = os.waitstatus_to_exitcode(ended.status)
    if code == Exit.RECORDED or ended.asked == "fence" or code == Exit.FENCE_LOST:
        return
    try:
        with log.write() as connection:
            if ended.asked == "cancel":
                attempts.cancelled(connection, attempt)
            elif ended.asked == "drain" or code == Exit.LOG_AWAY:
                attempts.release(connection, attempt, reason="its worker was stopped")
            else:
                attempts.fail(connection, attempt, _crash(code))
    except FenceLost:
        logger.warning("run %d: its attempt %d had been taken over or ended", attempt.run, attempt.fence)
    except ServiceUnavailable:
        logger.exception("run %d: how it ended (%d) was not written", attempt.run, code)


def _crash(code: int) -> Problem:
    if code == -signal.SIGKILL:
        return Problem(
            code="worker_killed",
            message="The run's process was killed (signal 9), most likely because the machine had no memory left.",
            hint="Train on a sample, or on a machine with more memory.",
        )
    what = f"by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"with exit code {code}"
    return Problem(
        code="worker_crashed",
        message=f"The run's process ended {what} before it had written an outcome.",
        hint="The worker's log has its last words; please report it.",
    )

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from redis import Redis, RedisError

from shared import bell
from shared.errors import Problem, ServiceUnavailable
from shared.log import attempts
from shared.log.attempts import Attempt, FenceLost
from shared.log.engine import Log
from shared.log.runs import Run
from shared.logs import about
from shared.settings import Settings
from shared.specs import Device
from shared.wire import doorbell_queue
from shared.work import Slot
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
    """`cancel`, `drain`, `fence`, `time` or `memory`."""


def run_next(settings: Settings, slot: Slot, *, rung_on: str | None = None, draining: Callable[[], bool]) -> int | None:
    """Claim the best waiting run for a slot and see it through; returns its number, None when nothing waited.

    `rung_on` is the queue of the doorbell: when the best run is of another class of work, it is rung there again.
    """
    log = Log(settings.log_url)
    claimed = claim(log, settings, slot)
    if claimed is None:
        with _bell(settings) as client:
            bell.found_nothing(client)
        return None
    attempt, run = claimed
    passed_over = rung_on if rung_on not in (None, doorbell_queue(run.device, run.length)) else None
    folder = settings.home_folder / "work" / f"{attempt.run}-{attempt.fence}"
    parent_pid = os.getpid()
    with about(attempt.run, attempt.fence):
        try:
            pid = os.fork()
            if pid == 0:
                os.environ["CUDA_VISIBLE_DEVICES"] = _gpu_of(slot, run)
                run_attempt(settings, attempt, run, folder=folder, parent_pid=parent_pid, passed_over=passed_over)
            logger.info("%s began in process %d", run.kind, pid)
            ended = _Watch(pid, log, attempt, settings, draining=draining).until_ended()
            logger.info("the process ended (%d)%s", ended.status, f", asked to: {ended.asked}" if ended.asked else "")
            _settle(log, attempt, ended, settings)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    with _bell(settings) as client:
        bell.ring(client, attempt.run)
    return attempt.run


@contextmanager
def _bell(settings: Settings) -> Iterator["Redis"]:
    """Redis for a moment; what it does not answer is not missed."""
    with suppress(RedisError), bell.connect(settings.require_redis_url()) as client:
        yield client


def _gpu_of(slot: Slot, run: Run) -> str:
    """What a run may see of the machine's GPUs."""
    return "" if slot.gpu is None or run.device is Device.CPU else slot.gpu


class _Watch:
    """One process under one lease, one time limit and one memory limit."""

    def __init__(
        self, pid: int, log: Log, attempt: Attempt, settings: Settings, *, draining: Callable[[], bool]
    ) -> None:
        self.pid = pid
        self.log = log
        self.attempt = attempt
        self.settings = settings
        self.draining = draining
        self.asked: str | None = None
        self.kill_at = float("inf")
        self.away_since: float | None = None
        self.renewed_at = time.monotonic()
        self.time_up_at = time.monotonic() + (settings.max_run_s or float("inf"))

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
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # whatever it started and left; the group's number is still its own
        _, status = os.waitpid(self.pid, 0)
        return Ended(status=status, asked=self.asked)

    def _tick(self) -> None:
        if time.monotonic() > self.kill_at:
            self._signal(signal.SIGKILL)
        elif self.asked is None:
            asked = self._ask() or self._over_limit()
            if asked is not None:
                self.asked = asked
                self.kill_at = time.monotonic() + self._grace_s(asked)
                self._signal(signal.SIGTERM)
        elif self.asked != "fence":
            self._ask()  # the lease is kept while the process winds up

    def _grace_s(self, asked: str) -> float:
        """How long the process may take to checkpoint and leave."""
        if asked in ("fence", "memory"):
            return 0.0
        return self.settings.grace_s if asked == "drain" else STOP_GRACE_S

    def _over_limit(self) -> str | None:
        if time.monotonic() > self.time_up_at:
            return "time"
        most = self.settings.max_run_bytes
        return "memory" if most is not None and memory_bytes(self.pid) > most else None

    def _ask(self) -> str | None:
        """Whether the process has to stop, and why; the lease is renewed on the way."""
        try:
            with self.log.read() as connection:
                if attempts.cancel_requested(connection, self.attempt):
                    return "cancel"
            if time.monotonic() >= self.renewed_at + self.settings.lease_s / 3:
                with self.log.write() as connection:
                    attempts.renew(connection, self.attempt, lease_s=self.settings.lease_s)
                self.renewed_at = time.monotonic()
            self.away_since = None
        except FenceLost:
            return self._fence_lost()
        except ServiceUnavailable as error:
            return self._away(error)
        return "drain" if self.draining() else None

    def _away(self, error: ServiceUnavailable) -> str | None:
        """The log does not answer. If it answers nobody, nobody can take the run either, and the child goes on; if it
        answers others, they take the run once its lease has passed, so the child ends by then.
        """
        moment = time.monotonic()
        if self.away_since is None:
            self.away_since = moment
            logger.warning("%s", error)
        # What was said before the log went away counts no more by then.
        if moment > max(self.renewed_at + self.settings.lease_s, self.away_since + bell.LOG_ANSWERS_S):
            with _bell(self.settings) as client:
                if bell.log_answers(client):
                    logger.warning("the log answers others; this attempt is theirs now")
                    return "fence"
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


def memory_bytes(pid: int) -> int:
    """What the processes of an attempt's session use that they do not share with the worker; 0 where Linux is not."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            if os.getsid(int(folder.name)) == pid:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                private = (line.split() for line in lines if line.startswith(("Private_", "Swap:")))
                total += sum(int(words[1]) for words in private) * 1024
    return total


def _settle(log: Log, attempt: Attempt, ended: Ended, settings: Settings) -> None:
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
            elif ended.asked in ("time", "memory"):
                attempts.fail(connection, attempt, _limit(ended.asked, settings))
            else:
                attempts.crash(connection, attempt, _crash(code), most=settings.max_crashes)
    except FenceLost:
        logger.warning("this attempt had been taken over or ended")
    except ServiceUnavailable:
        logger.exception("how it ended (%d) was not written", code)


def _limit(asked: str, settings: Settings) -> Problem:
    if asked == "time":
        return Problem(
            code="time_limit",
            message=f"An attempt may take {settings.max_run_s:g} s here (LML_MAX_RUN_S), and this one took longer.",
            hint="`resume` goes on from its last checkpoint; time= gives training a budget of its own.",
        )
    most_gb = (settings.max_run_bytes or 0) / 1e9
    return Problem(
        code="out_of_memory",
        message=f"A run may use {most_gb:.1f} GB of memory here (LML_MAX_RUN_BYTES), and this one used more.",
        hint="Train on a sample, or on a worker with a higher limit.",
    )


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

"""The ways in which things break under a run, for `make chaos` and the tests of faults."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from redis import RedisError
from sqlalchemy import Table, select, update

from shared.log import tables
from support.chaos import LEASE_S, Stage, below, outlived

Act = Callable[[Stage, int], str]
"""Breaks something, most of them where a run is; returns why it could not, or nothing."""
NOBODY = "nobody there"
MINUTE = "the log locked for a minute"
LOCKED_S = 1.5 * LEASE_S
FROZEN_S = 8.0
"""Longer than any time limit of a socket."""


@dataclass(frozen=True)
class Fault:
    """What breaks, and what that is to the run that it meets."""

    weight: int
    """How often `make chaos` draws it."""
    act: Act
    ends: str | None = None
    """How the log says that the attempt ended; None for a fault that ends no attempt."""


def signal_part(part: str, number: signal.Signals) -> Act:
    """A signal to one process of those that have the run."""

    def act(stage: Stage, run: int) -> str:
        place = stage.whereabouts(run)
        return NOBODY if place is None else _signal(getattr(place, part), number)

    return act


def kill_main(stage: Stage, run: int) -> str:
    """kill -9 of the main process of the run's worker alone, which is started again; nothing of it may stay."""
    place = stage.whereabouts(run)
    if place is None:
        return NOBODY
    family = below(place.main)
    _signal(place.main, signal.SIGKILL)
    stage.workers[place.worker].child.process.wait()
    stage.orphans += len(outlived(family))
    stage.start_worker(place.worker)
    return ""


def kill_worker(stage: Stage, run: int) -> str:
    """kill -9 of all processes of the run's worker, which is started again."""
    place = stage.whereabouts(run)
    if place is None:
        return NOBODY
    for pid in (place.main, *below(place.main)):
        _signal(pid, signal.SIGKILL)
    stage.workers[place.worker].child.process.wait()
    stage.start_worker(place.worker)
    return ""


def stop_worker(stage: Stage, run: int) -> str:
    """SIGTERM to the run's worker, which is started again when it has left."""
    place = stage.whereabouts(run)
    if place is None:
        return NOBODY
    stage.workers[place.worker].child.stop(grace_s=20)
    stage.start_worker(place.worker)
    return ""


def kill_sweep(stage: Stage, _run: int) -> str:
    """kill -9 of the sweep that has the lock; the one beside it may take it, or the one that is started anew."""
    deadline = time.monotonic() + 15.0
    while time.monotonic() < deadline:  # for some seconds a worker that was killed has it
        for pid in below(int(stage.lock_owner("sweep").partition("/")[0].rpartition(":")[2])):
            with suppress(OSError):
                if b"workers.sweep" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return _signal(pid, signal.SIGKILL)
        time.sleep(0.1)
    return NOBODY


def freeze(part: str, seconds: float) -> Act:
    """SIGSTOP to a process of those that have the run, and SIGCONT after a while."""

    def act(stage: Stage, run: int) -> str:
        place = stage.whereabouts(run)
        if place is None:
            return NOBODY
        pid: int = getattr(place, part)
        threading.Timer(seconds, _signal, (pid, signal.SIGCONT)).start()
        return _signal(pid, signal.SIGSTOP)

    return act


def cut_redis(stage: Stage, _run: int) -> str:
    """Every connection to Redis is closed."""
    with suppress(RedisError), stage.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    return ""


def forget_redis(stage: Stage, _run: int) -> str:
    """Redis loses everything, as a server without persistence does."""
    with suppress(RedisError), stage.client() as client:
        client.flushall()
    return ""


def restart_redis(number: signal.Signals, away_s: float) -> Act:
    """Redis ends and comes back."""

    def act(stage: Stage, _run: int) -> str:
        stage.redis.process.send_signal(number)
        stage.redis.process.wait()
        time.sleep(away_s)
        stage.start_redis_again()
        return ""

    return act


def freeze_redis(stage: Stage, _run: int) -> str:
    """Redis takes connections and answers nobody, for longer than any time limit of a socket."""
    stage.redis.process.send_signal(signal.SIGSTOP)
    time.sleep(FROZEN_S)
    stage.redis.process.send_signal(signal.SIGCONT)
    return ""


def lock_log(seconds: float) -> Act:
    """The log takes no write for a while."""

    def act(stage: Stage, _run: int) -> str:
        with stage.log.write():
            time.sleep(seconds)
        return ""

    return act


def cut_checkpoint(stage: Stage, run: int) -> str:
    """The newest checkpoint of the run loses its end, and the run its process, before it can write another."""
    place = stage.whereabouts(run)
    if place is None:
        return NOBODY
    _signal(place.run, signal.SIGSTOP)
    folder = stage.settings.checkpoints_folder / str(run)
    whole = [file.with_suffix(".safetensors") for file in folder.glob("*/*.json")]
    if whole:
        newest = max(whole, key=lambda file: (int(file.parent.name), int(file.stem)))
        os.truncate(newest, newest.stat().st_size // 2)
    _signal(place.run, signal.SIGKILL)
    return "" if whole else "no checkpoint"


def kill_bot(stage: Stage, _run: int) -> str:
    """kill -9 of the bot, which is started again."""
    if stage.bot is not None:
        stage.bot.process.kill()
        stage.bot.process.wait()
    stage.start_bot()
    return ""


def set_clock_back(stage: Stage, by: timedelta) -> None:
    """Move every time ahead that the log holds for later use, as if the clock had been set back by that much."""
    moved: list[tuple[Table, Any]] = [
        (tables.runs, tables.runs.c.lease_until),
        (tables.runs, tables.runs.c.queued_at),
        (tables.locks, tables.locks.c.until),
        (tables.cards, tables.cards.c.due_at),
        (tables.cards, tables.cards.c.lease_until),
        (tables.workers, tables.workers.c.seen_at),
    ]
    with stage.log.write() as connection:
        for table, column in moved:
            key = next(iter(table.primary_key))
            for value, at in connection.execute(select(key, column).where(column.is_not(None))).all():
                connection.execute(update(table).where(key == value).values({column.name: at + by}))


def _signal(pid: int, number: signal.Signals) -> str:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return NOBODY
    return ""


FAULTS: dict[str, Fault] = {
    "kill -9 of a run's process": Fault(6, signal_part("run", signal.SIGKILL), "crashed"),
    "kill -9 of a pool process": Fault(3, signal_part("pool", signal.SIGKILL), "lost"),
    "kill -9 of a slot's process": Fault(3, signal_part("slot", signal.SIGKILL), "lost"),
    "kill -9 of a main process alone": Fault(2, kill_main, "lost"),
    "kill -9 of a whole worker": Fault(2, kill_worker, "lost"),
    "kill -9 of the sweep": Fault(1, kill_sweep),
    "SIGTERM to a whole worker": Fault(1, stop_worker, "released"),
    "a run's process frozen for 2 s": Fault(1, freeze("run", 2.0)),
    "a supervisor frozen past its lease": Fault(2, freeze("pool", LEASE_S + 2.5), "lost"),
    "all connections to Redis cut": Fault(2, cut_redis),
    "Redis without its data": Fault(1, forget_redis),
    "Redis restarted": Fault(1, restart_redis(signal.SIGTERM, 1.0)),
    "Redis killed, away for 3 s": Fault(1, restart_redis(signal.SIGKILL, 3.0)),
    f"Redis frozen for {FROZEN_S:g} s": Fault(1, freeze_redis),
    f"the log locked for {LOCKED_S:g} s": Fault(1, lock_log(LOCKED_S)),
    MINUTE: Fault(0, lock_log(60.0)),
    "a checkpoint cut short": Fault(2, cut_checkpoint, "crashed"),
    "kill -9 of the bot": Fault(1, kill_bot),
}

"""The keeper: owns Redis and the worker of a home, and stops them when nobody uses them.

Started by `bot.terminal.stack` as `python -m bot.terminal.keeper FOLDER`, in a session of its own.
"""

import json
import os
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from bot.terminal.children import PYTHON, Child, start_child
from bot.terminal.redis_server import start_redis
from bot.terminal.stack import Lock, StackState, write_state
from shared.errors import LmlError, Problem
from shared.settings import load_settings

POLL_S = 0.1
QUICK_DEATH_S = 20.0
MOST_QUICK_DEATHS = 3
WORKER_MARGIN_S = 10.0
"""What the worker gets beyond the grace time in which its runs checkpoint."""


class Keeper:
    """Redis and a worker, kept running while someone holds the users' lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ready_file = folder / "worker.ready"
        self.redis: Child | None = None
        self.worker: Child | None = None
        self.worker_started_at = 0.0
        self.quick_deaths = 0

    def run(self) -> None:
        """Start, watch, stop."""
        users = Lock(self.folder / "users.lock")
        self.redis, redis_url = start_redis(self.folder / "redis", self.folder / "redis.log")
        self.state = StackState(keeper_pid=os.getpid(), redis_url=redis_url)
        self._start_worker()
        write_state(self.folder, self.state)
        try:
            while not users.try_take():
                self._watch()
                time.sleep(POLL_S)
        finally:
            self._stop()

    def _start_worker(self) -> None:
        self.ready_file.unlink(missing_ok=True)
        environment = {
            "LML_REDIS_URL": self.state.redis_url,
            "LML_READY_FILE": str(self.ready_file),
            # It is the only worker here: a run that asks for a GPU is told at once when there is none.
            "LML_WORKER_DEVICES": os.environ.get("LML_WORKER_DEVICES", "gpu,cpu"),
        }
        self.worker = start_child([*PYTHON, "workers"], log_file=self.folder / "worker.log", environment=environment)
        self.worker_started_at = time.monotonic()

    def _watch(self) -> None:
        """Note that the worker is ready; start it again when it died, but not for ever."""
        if self.worker is None:
            return
        if self.worker.exit_code() is None:
            if not self.state.worker_ready and self.ready_file.exists():
                self._say(worker_ready=True)
            return
        lived_s = time.monotonic() - self.worker_started_at
        self.quick_deaths = self.quick_deaths + 1 if lived_s < QUICK_DEATH_S else 1
        self._say(worker_ready=False)
        if self.quick_deaths < MOST_QUICK_DEATHS:
            self._start_worker()
            return
        self._say(
            problem=Problem(
                code="worker_unavailable",
                message=f"The worker ended {self.quick_deaths} times soon after its start"
                f" (exit {self.worker.exit_code()}).",
                hint=f"Its words are in {self.worker.log_file}; `lml doctor` checks what it needs.",
            )
        )
        self.worker = None

    def _say(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]  # field names of StackState
        write_state(self.folder, self.state)

    def _stop(self) -> None:
        (self.folder / "state.json").unlink(missing_ok=True)
        if self.worker is not None:
            self.worker.stop(grace_s=load_settings().grace_s + WORKER_MARGIN_S)
        if self.redis is not None:
            self.redis.stop(grace_s=5)


def main(folder: Path) -> int:
    """Keep the stack of a folder; 0 also when another keeper has it already."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    mine = Lock(folder / "keeper.lock")
    if not _taken(mine, within_s=2.0):
        return 0
    keeper = Keeper(folder)
    try:
        keeper.run()
    except LmlError as error:
        print(json.dumps(asdict(error.problems[0])), flush=True)  # noqa: T201 - read by bot.terminal.stack
        return 2
    return 0


def _taken(lock: Lock, *, within_s: float) -> bool:
    """Take a lock that others only touch for a moment, to see whether it is held."""
    deadline = time.monotonic() + within_s
    while not lock.try_take():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

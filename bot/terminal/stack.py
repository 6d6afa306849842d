"""The stack of one machine, shared by every command under one home.

A keeper process owns Redis and the worker. Each command holds a shared lock while it uses them; the keeper stops when
nobody does. The kernel gives a lock back when its process dies, however it dies, so there is no stale pid to mistake.

    keeper.lock  held by the keeper for its life: is there one?
    users.lock   shared by whoever uses the stack; the keeper takes it alone to stop
    up.lock      held by `lml up`, with its process id: will the stack outlive this command?
    start.lock   held while a command looks for a keeper or starts one
    state.json   what the keeper says: the address of Redis, ready or not, what went wrong
"""

import fcntl
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from bot.terminal.children import PYTHON
from shared.errors import Problem, refused, unavailable

START_WITHIN_S = 30.0
STOP_WITHIN_S = 30.0


@dataclass(frozen=True)
class StackState:
    """What the keeper says about the stack."""

    keeper_pid: int
    redis_url: str
    worker_ready: bool = False
    problem: Problem | None = None


class Lock:
    """An advisory file lock that ends with its process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file: IO[bytes] = path.open("ab")

    def take(self, *, shared: bool = False) -> None:
        """Wait for it."""
        fcntl.flock(self._file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def try_take(self, *, shared: bool = False) -> bool:
        """Take it when it is free."""
        try:
            fcntl.flock(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def write(self, words: str) -> None:
        """Say something to whoever finds the lock held."""
        self._file.truncate(0)
        self._file.write(words.encode())
        self._file.flush()

    def close(self) -> None:
        """Give it back."""
        self._file.close()


class Stack:
    """The stack of a home, as a command sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def use(self) -> Iterator[str]:
        """The address of Redis, with the stack running for this block; the last user's end stops it."""
        users = Lock(self.folder / "users.lock")
        users.take(shared=True)
        try:
            yield self._started().redis_url
        finally:
            users.close()
            self._wait_until_stopped_or_used()

    def state(self) -> StackState | None:
        """What the keeper says; None without one."""
        if not self.is_held("keeper.lock"):
            return None
        try:
            said = json.loads((self.folder / "state.json").read_text())
        except (OSError, ValueError):
            return None
        problem = said.pop("problem")
        return StackState(**said, problem=Problem(**problem) if problem else None)

    def stays(self) -> bool:
        """Whether an `lml up` keeps the stack running."""
        return self.is_held("up.lock") and self.state() is not None

    def up_pid(self) -> int | None:
        """The process of the `lml up` that keeps the stack running; None without one."""
        if not self.is_held("up.lock"):
            return None
        words = (self.folder / "up.lock").read_text(errors="replace").strip()
        return int(words) if words.isdecimal() else None

    def is_held(self, name: str) -> bool:
        """Whether some process holds a lock of this stack."""
        lock = Lock(self.folder / name)
        try:
            return not lock.try_take(shared=True)
        finally:
            lock.close()

    def keeper_log(self) -> Path:
        """Where the keeper writes."""
        return self.folder / "keeper.log"

    def _started(self) -> StackState:
        start = Lock(self.folder / "start.lock")
        start.take()
        try:
            state = self.state()
            return state if state is not None else self._start_keeper()
        finally:
            start.close()

    def _start_keeper(self) -> StackState:
        (self.folder / "state.json").unlink(missing_ok=True)
        with self.keeper_log().open("wb") as log:
            keeper = subprocess.Popen(
                [*PYTHON, "bot.terminal.keeper", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline:
            state = self.state()
            if state is not None:
                return state
            if keeper.poll() is not None:
                break
            time.sleep(0.02)
        words = self.keeper_log().read_text(errors="replace").strip()
        if keeper.poll() == 2 and words:  # the keeper refused, in words for people
            problem = json.loads(words.splitlines()[-1])
            raise refused(problem["code"], problem["message"], problem["hint"])
        raise unavailable("stack_unavailable", "The stack does not start.", f"Its words are in {self.keeper_log()}.")

    def _wait_until_stopped_or_used(self) -> None:
        deadline = time.monotonic() + STOP_WITHIN_S
        while time.monotonic() < deadline and self.is_held("keeper.lock"):
            if self._has_other_users():
                return
            time.sleep(0.05)

    def _has_other_users(self) -> bool:
        """Whether someone shares the users' lock; the keeper alone holds it exclusively, while it stops."""
        lock = Lock(self.folder / "users.lock")
        try:
            return lock.try_take(shared=True) and not lock.try_take()
        finally:
            lock.close()


def write_state(folder: Path, state: StackState) -> None:
    """Say where the stack stands; readable by its owner only, since the address holds the password."""
    temporary = folder / "state.json.new"
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(asdict(state)))
    temporary.replace(folder / "state.json")

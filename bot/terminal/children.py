"""Processes of the stack: they write to a log file and end with the process that started them."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from shared.processes import die_with_parent

PYTHON = (sys.executable, "-P", "-m")
"""How our modules are started: `-P` keeps a person's own `shared` or `bot` folder, where they type, out of the way."""


class Child:
    """A process that was started."""

    def __init__(self, process: "subprocess.Popen[bytes]", log_file: Path) -> None:
        self.process = process
        self.log_file = log_file

    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self.process.poll()

    def stop(self, *, grace_s: float) -> None:
        """Ask it to end, wait, then end it and its process group."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=grace_s)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start_child(
    command: Sequence[str], *, log_file: Path, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Child:
    """Start a process in a group of its own, so that Ctrl-C in a terminal reaches only who is meant."""
    parent = os.getpid()
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            process_group=0,
            preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - the processes that start children have one thread
        )
    return Child(process, log_file)

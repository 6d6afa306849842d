"""The intake beside a sweep: started once there is a service, and again when it died."""

import os
import subprocess
import sys
from contextlib import suppress

from shared.log.engine import Log
from shared.log.services import any_service
from shared.processes import die_with_parent

STOP_WITHIN_S = 5.0


class IntakeChild:
    """The process of the intake, or none as long as nobody could use it."""

    def __init__(self, log: Log, owner: str) -> None:
        self._log, self._owner = log, owner
        self._process: subprocess.Popen[bytes] | None = None

    def keep(self) -> None:
        """Start it where it should run and does not. The intakes of several workers agree on who works."""
        if self._process is not None and self._process.poll() is None:
            return
        with self._log.read() as connection:
            wanted = any_service(connection)
        if not wanted:
            return
        parent = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "workers.intake", self._owner],
            preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - the sweep has one thread
        )

    def stop(self) -> None:
        """Let it finish the message in hand; one that takes long is safe with the next intake."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=STOP_WITHIN_S)
        self._process.kill()
        self._process.wait()

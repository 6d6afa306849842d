"""A worker takes the best waiting run, and keeps it under a lease."""

import os
import socket

from shared.log import attempts
from shared.log.attempts import Attempt
from shared.log.engine import Log
from shared.log.runs import Run


def worker_name() -> str:
    """What this worker is called in the log."""
    return f"{socket.gethostname()}:{os.getpid()}"


def claim(log: Log, *, lease_s: float) -> tuple[Attempt, Run] | None:
    """Take a run; None when nothing waits, as for a doorbell that was delivered twice."""
    with log.write() as connection:
        return attempts.claim(connection, worker=worker_name(), lease_s=lease_s)

"""A worker takes the best waiting run for a slot, and keeps it under a lease."""

import os
import socket

from shared.log import attempts
from shared.log.attempts import Attempt
from shared.log.engine import Log
from shared.log.quotas import Limits
from shared.log.runs import Run
from shared.settings import Settings
from shared.work import Slot


def worker_name(pid: int | None = None) -> str:
    """What this worker is called in the log."""
    return f"{socket.gethostname()}:{pid or os.getpid()}"


def claim(log: Log, settings: Settings, slot: Slot) -> tuple[Attempt, Run] | None:
    """Take a run; None when nothing waits for the slot, as for a doorbell that was delivered twice."""
    with log.write() as connection:
        return attempts.claim(
            connection,
            worker=worker_name(),
            lease_s=settings.lease_s,
            slot=slot,
            limits=Limits.of_settings(settings),
        )

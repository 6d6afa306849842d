"""Probe runs: the way from the words to a worker and back, and nothing else."""

import time
from typing import Any, cast

from shared.errors import RunStopped
from shared.specs import ProbeSpec
from workers.jobs import Bench

NEEDS: tuple[str, ...] = ()


def work(bench: Bench) -> dict[str, Any]:
    """Wait as long as was asked for."""
    spec = cast(ProbeSpec, bench.spec)
    until = time.monotonic() + spec.seconds
    while (left := until - time.monotonic()) > 0:
        if bench.should_stop():
            raise RunStopped
        time.sleep(min(left, 0.1))
    return {}

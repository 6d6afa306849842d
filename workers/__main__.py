"""`python -m workers`: one worker with one slot, and its sweep."""

import os
import subprocess
import sys
from importlib import import_module

from shared.errors import LmlError
from shared.log.engine import open_log
from shared.processes import die_with_parent
from shared.settings import load_settings
from shared.wire import RUNS_QUEUE

WARM = (
    "workers.core.train",
    "workers.core.describe",
    "workers.core.evaluate",
    "workers.core.predict",
    "workers.core.compare",
)
"""Imported before the fork, so that a run starts in milliseconds. Only imported: see workers.supervise."""


def main() -> int:
    """Start the sweep, import what runs need, work until a signal."""
    # One thread for each slot: spinning threads make two contending fits several times slower.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asking for a GPU must not initialise CUDA here
    try:
        settings = load_settings()
        settings.require_redis_url()
        open_log(settings.log_url)
    except LmlError as error:
        print(error, file=sys.stderr)
        return 2
    parent = os.getpid()
    sweep = subprocess.Popen(
        [sys.executable, "-P", "-m", "workers.sweep"],
        preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - no thread has started yet
    )
    _warm_up()
    from workers.celery_app import build_app

    app = build_app(settings)
    options = ["--pool=prefork", "--concurrency=1", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    try:
        app.worker_main(["worker", *options, "--loglevel=INFO", f"--queues={RUNS_QUEUE}"])
    finally:
        sweep.terminate()
        sweep.wait()
    return 0


def _warm_up() -> None:
    for module in WARM:
        try:
            import_module(module)
        except ImportError as error:
            # The worker works on: each run that needs the package is told so (workers.attempt_process).
            print(f"cannot load {module}: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m workers`: a worker. Imports what runs need, forks a process for each slot, and keeps a sweep beside them.

This process has one thread and runs nothing itself: the processes of the slots share what it has imported.
"""

import json
import logging
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from shared.errors import LmlError
from shared.log.engine import open_log
from shared.logs import log_to_stderr
from shared.processes import die_with_parent
from shared.settings import Settings, load_settings
from shared.specs import Device
from shared.wire import doorbell_queue
from shared.work import Slot, worker_slots
from workers.claims import worker_name

logger = logging.getLogger(__name__)

WARM = (
    "workers.core.train",
    "workers.core.describe",
    "workers.core.evaluate",
    "workers.core.predict",
    "workers.core.compare",
    "workers.celery_app",
)
"""Imported before the fork, so that a run starts in milliseconds. Only imported: see workers.supervise."""
POLL_S = 0.05
QUICK_DEATH_S = 5.0
MOST_QUICK_DEATHS = 3
SWEEP_PAUSE_S = 2.0


def main() -> int:
    """Start the slots and the sweep, and keep them until a signal."""
    # One thread for each slot: spinning threads make two contending fits several times slower.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asking for a GPU must not initialise CUDA here
    try:
        settings = load_settings()
        settings.require_redis_url()
        log_to_stderr("worker", as_json=settings.log == "json")
        open_log(settings.log_url)
    except LmlError as error:
        print(error, file=sys.stderr)
        return 2
    worker = _Worker(settings, slots_of(settings))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, worker.stop)
    worker.start_sweep()
    _warm_up()
    return worker.run()


def slots_of(settings: Settings) -> list[Slot]:
    """The slots of a worker on this machine."""
    words = settings.worker_devices
    devices = [Device(word.strip()) for word in words.split(",")] if words else None
    return worker_slots(
        visible_gpus(), devices=devices, long_slots=settings.long_slots, short_slots=settings.short_slots
    )


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them; found without touching CUDA."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [gpu.strip() for gpu in named.split(",") if gpu.strip() not in ("", "-1")]
    return [str(index) for index, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]


class _Worker:
    """The processes of a worker."""

    def __init__(self, settings: Settings, slots: Sequence[Slot]) -> None:
        self.settings, self.slots = settings, slots
        self.pids: dict[int, int] = {}  # pid of a slot's process: its index
        self.started_at: dict[int, float] = {}
        self.quick_deaths = 0
        self.ready = mmap.mmap(-1, max(len(slots), 1))
        self.sweep: subprocess.Popen[bytes] | None = None
        self.sweep_started_at = 0.0
        self.stopping = 0
        self.failed = False

    def start_sweep(self) -> None:
        """Start the sweep; it tells the log which slots this worker has."""
        parent = os.getpid()
        self.sweep_started_at = time.monotonic()
        plain = json.dumps([slot.plain() for slot in self.slots])
        self.sweep = subprocess.Popen(
            [sys.executable, "-P", "-m", "workers.sweep", worker_name(), plain],
            preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - this process has one thread
        )

    def stop(self, *_signal: object) -> None:
        """Finish or checkpoint, give back, leave; a second time: leave now."""
        self.stopping += 1
        for pid in self.pids:
            self._tell(pid, signal.SIGTERM if self.stopping == 1 else signal.SIGKILL)

    def run(self) -> int:
        """Keep the slots until told to stop; the exit code."""
        for index in range(len(self.slots)):
            if not self.stopping:
                self._start(index)
        announced = False
        while self.pids:
            if not announced and all(self.ready[: len(self.slots)]):
                announced = True
                _say_ready()
            self._reap()
            self._keep_sweep()
            time.sleep(POLL_S)
        if self.sweep is not None:
            self.sweep.terminate()
            self.sweep.wait()
        return 1 if self.failed else 0

    def _start(self, index: int) -> None:
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            die_with_parent(parent)
            code = 1
            try:
                code = serve(self.settings, self.slots[index], index, say_ready=lambda: self._set_ready(index))
            finally:
                os._exit(code)
        self.pids[pid] = index
        self.started_at[pid] = time.monotonic()
        if self.stopping:  # told while it was forked
            self._tell(pid, signal.SIGTERM)

    def _set_ready(self, index: int) -> None:
        self.ready[index] = 1

    def _reap(self) -> None:
        """Start the process of a slot again when it died by itself, but not for ever."""
        for pid in list(self.pids):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            index, lived_s = self.pids.pop(pid), time.monotonic() - self.started_at.pop(pid)
            if self.stopping:
                continue
            self.quick_deaths = self.quick_deaths + 1 if lived_s < QUICK_DEATH_S else 1
            code = os.waitstatus_to_exitcode(status)
            logger.warning("slot %d ended (%d)", index, code)
            if self.quick_deaths >= MOST_QUICK_DEATHS:
                self.failed = True
                self.stop()
            else:
                self._start(index)

    def _keep_sweep(self) -> None:
        """Start the sweep again when it died: without one, what is lost stays lost."""
        if self.sweep is None or self.stopping or self.sweep.poll() is None:
            return
        if time.monotonic() - self.sweep_started_at > SWEEP_PAUSE_S:
            logger.warning("the sweep ended (%d)", self.sweep.returncode)
            self.start_sweep()

    def _tell(self, pid: int, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


def serve(settings: Settings, slot: Slot, index: int, *, say_ready: Callable[[], None]) -> int:
    """Be the process of a slot: take runs one after another until a signal."""
    from workers.celery_app import build_app

    app = build_app(settings, slot, say_ready=say_ready)
    queues = ",".join(doorbell_queue(device, length) for device in slot.devices for length in slot.lengths)
    options = ["--pool=prefork", "--concurrency=1", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["worker", *options, "--loglevel=INFO", f"--hostname=slot{index}@%h", f"--queues={queues}"])
    return 0


def _say_ready() -> None:
    ready_file = os.environ.get("LML_READY_FILE")
    if ready_file:
        Path(ready_file).touch()


def _warm_up() -> None:
    for module in WARM:
        try:
            import_module(module)
        except ImportError as error:
            # The worker works on: each run that needs the package is told so (workers.attempt_process).
            logger.warning("cannot load %s: %s", module, error)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # to take apart what was imported would take two seconds more

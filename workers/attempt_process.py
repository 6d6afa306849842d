"""The process of one attempt: forked from the warm worker, does the run, leaves by `os._exit`.

It writes its own success or failure. A stop it only obeys: its supervisor knows why it had to stop, and writes that.
"""

import errno
import gc
import json
import logging
import multiprocessing
import os
import shutil
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from shared.blobs import BlobStore, disk_full, require_free_space
from shared.errors import LmlError, Problem, RunFailed, RunStopped, ServiceUnavailable, one_problem
from shared.log import attempts, runs, seeds
from shared.log.attempts import Attempt, FenceLost, Outcome
from shared.log.engine import Log
from shared.log.runs import Artifact, Run, RunState
from shared.processes import die_with_parent
from shared.settings import Settings
from shared.specs import AnySpec, parents_of
from shared.wire import doorbell_queue
from workers.core.checkpoints import Checkpoints
from workers.core.environment import ENVIRONMENT
from workers.core.replay import WEIGHTS, Replayed
from workers.core.seeds import SeedRun
from workers.jobs import Bench, Job, load_job
from workers.reporting import Reporter
from workers.ringing import doorbell_app, ring

logger = logging.getLogger(__name__)


class Exit(IntEnum):
    """How an attempt's process ends; any other code is a crash."""

    RECORDED = 0  # the outcome is in the log
    STOPPED = 10  # it was asked to stop, and has
    FENCE_LOST = 11  # the run is someone else's now
    LOG_AWAY = 12  # the outcome could not be written


def run_attempt(
    settings: Settings,
    attempt: Attempt,
    run: Run,
    *,
    folder: Path,
    parent_pid: int,
    passed_over: str | None = None,
) -> NoReturn:
    """The whole life of the forked process; it first rings again for the class of work that the claim passed over."""
    code = 1
    try:
        stop_asked = _settle(parent_pid)
        if passed_over is not None:
            _ring_again(settings, passed_over, attempt.run)
        if run.seed_of is not None:
            _ring_for_next_seed(settings, run.seed_of)
        code = _recorded(settings, attempt, run, folder=folder, should_stop=stop_asked)
        if run.seed_of is not None and code == Exit.RECORDED:
            _ring_for_gathered(settings, run.seed_of)
    except BaseException:  # noqa: BLE001 - the last line before the exit: whatever it was, say it in the worker's log
        traceback.print_exc()
    finally:
        logging.shutdown()
        os._exit(code)


def _settle(parent_pid: int) -> Callable[[], bool]:
    """Shed what was inherited; returns whether a stop was asked for since."""
    asked: list[int] = []
    signal.set_wakeup_fd(-1)
    for number in (
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGHUP,
        signal.SIGCHLD,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGALRM,
    ):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    die_with_parent(parent_pid)
    os.setsid()
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    # A daemonic process may have no children; this one is a process of its own (data loaders, compilers).
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    gc.freeze()
    return lambda: bool(asked)


def _ring_again(settings: Settings, queue: str, hint: int) -> None:
    try:
        ring(doorbell_app(settings.require_redis_url()), queue, [hint])
    except Exception as error:  # noqa: BLE001 - whatever the transport raises: the sweep rings in some seconds
        logger.warning("the doorbell on %s did not ring: %s", queue, error)


def _ring_for_next_seed(settings: Settings, parent: int) -> None:
    """A run with seeds was rung for once: each of them rings for the next one as it begins."""
    log = Log(settings.log_url)
    with suppress(ServiceUnavailable), log.read() as connection:
        number = seeds.next_waiting(connection, parent)
        if number is not None:
            _ring_for(settings, runs.get(connection, number))


def _ring_for_gathered(settings: Settings, parent: int) -> None:
    """The last of the seeds has ended: the run that they belong to is to gather them."""
    log = Log(settings.log_url)
    with suppress(ServiceUnavailable), log.read() as connection:
        run = runs.get(connection, parent)
        if run.state is RunState.QUEUED:
            _ring_for(settings, run)


def _ring_for(settings: Settings, run: Run) -> None:
    _ring_again(settings, doorbell_queue(run.device, run.length), run.id)


def _recorded(settings: Settings, attempt: Attempt, run: Run, *, folder: Path, should_stop: Callable[[], bool]) -> int:
    """Do the run and write how it ended."""
    log = Log(settings.log_url)
    reporter = Reporter(log, attempt, redis_url=settings.require_redis_url())
    try:
        try:
            outcome = _outcome(settings, log, run, reporter, folder=folder, should_stop=should_stop)
            reporter.write(lambda connection: attempts.succeed(connection, attempt, outcome))
        except (RunStopped, FenceLost, ServiceUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - the border: every error becomes a Failed event that people can read
            problem = problem_of(error, home=settings.home_folder)
            shutil.rmtree(folder, ignore_errors=True)  # on a full disk this makes the room that the log needs
            reporter.write(lambda connection: attempts.fail(connection, attempt, problem))
        else:
            shutil.rmtree(settings.checkpoints_folder / str(run.id), ignore_errors=True)
    except RunStopped:
        return Exit.STOPPED
    except FenceLost:
        return Exit.FENCE_LOST
    except ServiceUnavailable:
        logger.exception("the outcome was not written")
        return Exit.LOG_AWAY
    return Exit.RECORDED


def _outcome(
    settings: Settings, log: Log, run: Run, reporter: Reporter, *, folder: Path, should_stop: Callable[[], bool]
) -> Outcome:
    require_free_space(settings.home_folder, min_free_bytes=settings.min_free_bytes)
    store = BlobStore(settings.store_folder)
    job = load_job(run.kind)
    out = folder / "out"
    out.mkdir(parents=True)
    reads = run.dataset_sha256 is not None and run.seeds is None
    result = job.work(
        Bench(
            spec=run.spec,
            data=store.path_of(run.dataset_sha256 or "") if reads else Path(os.devnull),
            models=_models(log, store, run, job, folder),
            model_specs=_specs(log, run),
            out=out,
            report=reporter.report,
            should_stop=should_stop,
            checkpoints=_checkpoints(settings, log, reporter.attempt, run),
            replays=None if run.replays is None else _replayed(log, store, run.replays),
            data_sha256=run.dataset_sha256,
            seeds=_seeds(log, run),
            lay_out=lambda number: _lay_out(log, store, number, out),
        )
    )
    artifacts = [_stored(store, file) for file in sorted(out.iterdir())]
    return Outcome(result=result, metrics=result.get("metrics", {}), artifacts=artifacts)


def _checkpoints(settings: Settings, log: Log, attempt: Attempt, run: Run) -> Checkpoints:
    """A folder of this attempt's own, and those of earlier attempts, at the runs that this one goes on from too."""
    folder = settings.checkpoints_folder / str(run.id)
    earlier = [folder / str(fence) for fence in range(attempt.fence - 1, 0, -1)]
    origin, met = run.resumes, {run.id}
    while origin is not None and origin not in met:
        met.add(origin)
        with log.read() as connection:
            before = runs.get(connection, origin)
        earlier += [settings.checkpoints_folder / str(origin) / str(fence) for fence in range(before.attempts, 0, -1)]
        origin = before.resumes
    return Checkpoints(folder=folder / str(attempt.fence), resume_from=earlier, every_s=settings.checkpoint_s)


def _seeds(log: Log, run: Run) -> list[SeedRun]:
    """The runs of the seeds that a run gathers, as they ended."""
    if run.seeds is None:
        return []
    with log.read() as connection:
        return [
            SeedRun(
                one.run,
                one.seed,
                one.state.value,
                report=runs.get(connection, one.run).result,
                problem=one.problem,
            )
            for one in seeds.of_run(connection, run.id)
        ]


def _lay_out(log: Log, store: BlobStore, run: int, folder: Path) -> None:
    """The files of a run under their names."""
    with log.read() as connection:
        artifacts = runs.artifacts_of(connection, run)
    for artifact in artifacts:
        store.copy_out(artifact.sha256, folder / artifact.name)


def _specs(log: Log, run: Run) -> dict[int, AnySpec]:
    """What was asked of the runs whose models are used."""
    with log.read() as connection:
        return {parent: runs.get(connection, parent).spec for parent in parents_of(run.spec)}


def _models(log: Log, store: BlobStore, run: Run, job: Job, folder: Path) -> dict[int, Path]:
    """The artifacts of the used models, laid out in folders under their names."""
    models = {}
    for parent in parents_of(run.spec):
        models[parent] = folder / f"model-{parent}"
        with log.read() as connection:
            artifacts = runs.artifacts_of(connection, parent)
        for artifact in artifacts:
            if artifact.name in job.NEEDS:
                store.copy_out(artifact.sha256, models[parent] / artifact.name)
    return models


def _replayed(log: Log, store: BlobStore, number: int) -> Replayed:
    """The run that is done again; of its artifacts only the list of packages is read, and may be gone."""
    with log.read() as connection:
        old = runs.get(connection, number)
        sha256 = {artifact.name: artifact.sha256 for artifact in runs.artifacts_of(connection, number)}
    packages = None
    with suppress(KeyError, RunFailed, OSError, ValueError):
        packages = tuple(json.loads(store.path_of(sha256[ENVIRONMENT]).read_bytes())["packages"])
    return Replayed(number, old.result or {}, sha256.get(WEIGHTS), packages)


def _stored(store: BlobStore, file: Path) -> Artifact:
    blob = store.put_file(file)
    return Artifact(name=file.name, sha256=blob.sha256, size_bytes=blob.size_bytes)


def problem_of(error: Exception, *, home: Path) -> Problem:
    """What people are told about an error that ended a run."""
    if isinstance(error, LmlError):
        return one_problem(error.problems)
    if isinstance(error, ImportError):
        return Problem(
            code="worker_package_missing",
            message=f"The worker cannot load the package `{error.name or error}`.",
            hint="Install what workers need where it runs: pip install 'lml[worker]'.",
        )
    if _says_disk_full(error):
        return disk_full(home).problems[0]
    if isinstance(error, MemoryError):
        return Problem(
            code="out_of_memory", message="The worker has no memory left for this run.", hint="Train on a sample."
        )
    traceback.print_exception(error)
    words = " ".join(str(error).split())[:300]
    return Problem(
        code="internal_error",
        message=f"The run met an error of LML itself: {type(error).__name__}: {words}",
        hint="The whole trace is in the worker's log; please report it.",
    )


def _says_disk_full(error: Exception) -> bool:
    """Polars and others wrap what the operating system said into errors of their own."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return os.strerror(errno.ENOSPC) in str(error)

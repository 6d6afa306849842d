"""Workers, a bot and Redis to break, for `make chaos` and the tests of faults; `support.faults` breaks them."""

import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from redis import Redis
from sqlalchemy import select

from bot.delivery.doorbell import Doorbell
from bot.terminal.children import PYTHON, Child, start_child
from bot.terminal.redis_server import find_redis_server, start_redis
from shared import submission
from shared.access import Principal, Source
from shared.blobs import BlobStore
from shared.errors import LmlError
from shared.log import runs, tables
from shared.log.engine import Log, open_log
from shared.log.runs import RunState
from shared.settings import Settings
from shared.specs import AnySpec, TrainSpec
from shared.submission import Submission
from support.deadline import until
from support.fake_slack import BOT_TOKEN, FakeSlack
from support.place import WorkerProcess

LEASE_S, CHECKPOINT_S = 4.0, 0.5
EPOCHS = 400
SLACK_SECRET = "chaos"
TERMINAL = ("succeeded", "failed", "cancelled")
ORPHANS_LIVE_S = 5.0


@dataclass(frozen=True)
class Process:
    """A process that lives."""

    pid: int
    parent: int
    session: int


@dataclass(frozen=True)
class Whereabouts:
    """The processes that have a run: those of its worker, by what they are, and its own."""

    worker: int
    """Its index on the stage."""
    main: int
    slot: int
    pool: int
    run: int


@dataclass
class Stage:
    """Everything that runs, and how to reach it."""

    folder: Path
    settings: Settings
    log: Log
    slack: FakeSlack
    redis: Child
    redis_url: str
    workers: list[WorkerProcess] = field(default_factory=list)
    bot: Child | None = None
    orphans: int = 0
    """How many processes outlived the end of their worker's main process by too long."""

    @property
    def environment(self) -> dict[str, str]:
        """What every process is told."""
        return {
            "LML_HOME": str(self.settings.home_folder),
            "LML_REDIS_URL": self.redis_url,
            "LML_LEASE_S": str(LEASE_S),
            "LML_CHECKPOINT_S": str(CHECKPOINT_S),
            "LML_SHORT_SLOTS": "0",
            "LML_TEAM_ID": "T0TEAM",
            "LML_SLACK_API_URL": self.slack.url,
            "LML_SLACK_BOT_TOKEN": BOT_TOKEN,
            "LML_SLACK_SIGNING_SECRET": SLACK_SECRET,
            "LML_HTTP_PORT": "0",
        }

    def start(self) -> None:
        """Two workers that take runs, and a bot."""
        self.start_worker(0)
        self.start_worker(1)
        self.start_bot()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until every worker takes runs, so that those that are asked for now begin together."""
        for worker in self.workers:
            worker.wait_until_ready()

    def start_worker(self, index: int) -> None:
        """Start the worker of an index, or start it again."""
        folder = self.folder / f"worker-{index}"
        folder.mkdir(exist_ok=True)
        worker = WorkerProcess(self.settings, folder, self.environment)
        if index < len(self.workers):
            self.workers[index] = worker
        else:
            self.workers.append(worker)

    def start_bot(self) -> None:
        """Start the bot."""
        self.bot = start_child([*PYTHON, "bot"], log_file=self.folder / "bot.log", environment=self.environment)

    def start_redis_again(self) -> None:
        """The same server on the same port with the same data."""
        configuration = self.folder / "redis" / "redis.conf"
        self.redis = start_child([str(find_redis_server()), str(configuration)], log_file=self.folder / "redis.log")

    def client(self) -> Redis:
        """A client of the server."""
        return Redis.from_url(self.redis_url, socket_timeout=2, socket_connect_timeout=2)

    def whereabouts(self, number: int) -> Whereabouts | None:
        """The processes that have a run now; None while none has."""
        row = self.row(number)
        if row.state != RunState.RUNNING.value or row.worker is None:
            return None
        everyone = {process.pid: process for process in processes()}
        pool = everyone.get(int(row.worker.rpartition(":")[2]))
        slot = everyone.get(pool.parent) if pool else None
        mains = {worker.child.process.pid: index for index, worker in enumerate(self.workers)}
        if pool is None or slot is None or slot.parent not in mains:
            return None
        own = [one for one in everyone.values() if one.parent == pool.pid and one.session == one.pid]
        if not own:  # it has just been forked, or has just ended
            return None
        return Whereabouts(mains[slot.parent], main=slot.parent, slot=slot.pid, pool=pool.pid, run=own[0].pid)

    def lock_owner(self, name: str) -> str:
        """Who has a lock of the log."""
        with self.log.read() as connection:
            owner: str = connection.execute(
                select(tables.locks.c.owner).where(tables.locks.c.name == name)
            ).scalar_one()
        return owner

    def row(self, number: int) -> Any:
        """A run's row."""
        with self.log.read() as connection:
            return connection.execute(select(tables.runs).where(tables.runs.c.id == number)).one()

    def events(self, number: int) -> list[Any]:
        """What has happened to a run."""
        with self.log.read() as connection:
            return [event for _, event in runs.events_after(connection, number)]

    def kinds(self, number: int) -> list[str]:
        """The same, in one word each."""
        return [event.kind for event in self.events(number)]

    def outcomes(self, number: int) -> list[str | None]:
        """How each attempt of a run ended; None for one that goes on."""
        attempts = tables.attempts.c
        with self.log.read() as connection:
            rows = connection.execute(
                select(attempts.outcome).where(attempts.run_id == number).order_by(attempts.number)
            )
            return list(rows.scalars())

    def cards(self, number: int) -> int:
        """How many messages the channel has of a run."""
        return sum(str(message.get("text", "")).startswith(f"Run {number} ") for message in self.slack.posted())

    def wait_for_cards(self, numbers: Iterable[int], *, within_s: float) -> None:
        """Wait until the bot has shown how runs ended: it has nothing more to post of them."""
        cards, wanted = tables.cards.c, list(numbers)
        behind = (
            select(cards.run_id)
            .join(tables.runs, tables.runs.c.id == cards.run_id)
            .where(cards.run_id.in_(wanted), cards.shown_event < tables.runs.c.last_event)
        )

        def all_shown() -> bool:
            with self.log.read() as connection:
                return connection.execute(behind).first() is None

        until(all_shown, what="the cards show the ends", within_s=within_s)


@contextmanager
def stage_in(folder: Path) -> Iterator[Stage]:
    """A stage on which nothing has begun yet; everything is stopped in the end."""
    with FakeSlack() as slack:
        redis, url = start_redis(folder / "redis", folder / "redis.log")
        settings = Settings(home=folder / "home", redis_url=url, lease_s=LEASE_S, team_id="T0TEAM")  # type: ignore[arg-type]
        stage = Stage(folder, settings, open_log(settings.log_url), slack, redis, url)
        write_table(folder / "table.csv")
        try:
            yield stage
        finally:
            for child in (*(worker.child for worker in stage.workers), stage.bot, stage.redis):
                if child is not None:
                    child.stop(grace_s=5)


def processes() -> list[Process]:
    """Every process of this machine that has not ended."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,sid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [Process(int(pid), int(parent), int(session)) for pid, parent, session, state in rows if state[0] != "Z"]


def below(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have started."""
    found = [pid]
    everyone = processes()
    for parent in found:  # grows while it is read
        found += [process.pid for process in everyone if process.parent == parent and process.pid not in found]
    return found[1:]


def alive(pids: Iterable[int]) -> set[int]:
    """Those of the processes that have not ended."""
    return set(pids) & {process.pid for process in processes()}


def outlived(pids: Iterable[int], *, within_s: float = ORPHANS_LIVE_S) -> set[int]:
    """Those of the processes that have not ended after so many seconds."""
    deadline = time.monotonic() + within_s
    while (left := alive(pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def write_table(path: Path) -> None:
    """A table whose training takes some seconds."""
    chance = Random(3)
    lines = ["a,b,c,label"]
    for _ in range(1_500):
        a, b, c = (chance.gauss(0, 1) for _ in range(3))
        lines.append(f"{a:.4f},{b:.4f},{c:.4f},{'yes' if a * b + c + chance.gauss(0, 0.5) > 0 else 'no'}")
    path.write_text("\n".join(lines) + "\n")


def train_spec(stage: Stage, seed: int, *, epochs: int = EPOCHS) -> TrainSpec:
    """A training of some seconds, in which the clock decides nothing: a busy machine must end on the same weights."""
    dataset = str(stage.folder / "table.csv")
    return TrainSpec(dataset=dataset, model="mlp", epochs=epochs, patience=epochs, seed=seed, time_s=3600)


def submit(stage: Stage, spec: AnySpec, key: str) -> int:
    """A run as the bot writes it, and its doorbell; twice with the same key, as clients do that heard no answer."""
    principal = Principal("T0TEAM", f"U{getattr(spec, 'seed', 0)}", Source.SHELL, "C0GENERAL")
    asked = Submission(spec=spec, principal=principal, words=spec.kind, key=key, card_channel="C0GENERAL")
    numbers = set()
    for again in (asked, replace(asked, words="again")):
        with stage.log.write() as connection:
            number, _ = submission.write(connection, stage.settings, again)
        numbers.add(number)
    (number,) = numbers
    submission.prepare(stage.log, BlobStore(stage.settings.store_folder), stage.settings, number)
    with stage.log.read() as connection:
        run = runs.get(connection, number)
    with suppress(LmlError):
        Doorbell(stage.settings).ring(run)
    return number


def wait_for(stage: Stage, numbers: list[int], *, within_s: float) -> int:
    """Wait until all have ended; how many have not."""
    deadline = time.monotonic() + within_s
    left = len(numbers)
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left = left_of(stage, numbers)
    return left


def left_of(stage: Stage, numbers: list[int]) -> int:
    """How many of the runs have not ended."""
    with stage.log.read() as connection:
        states = connection.execute(select(tables.runs.c.state).where(tables.runs.c.id.in_(numbers))).scalars().all()
    return sum(not RunState(state).ended for state in states)


def files_of(stage: Stage, number: int) -> dict[str, str]:
    """A run's artifacts and their hashes."""
    with stage.log.read() as connection:
        return {artifact.name: artifact.sha256 for artifact in runs.artifacts_of(connection, number)}


def models_of(files: dict[str, str]) -> dict[str, str]:
    """Those of the files that hold what was learnt: the others tell times too."""
    return {name: sha256 for name, sha256 in files.items() if name.endswith((".safetensors", ".onnx"))}

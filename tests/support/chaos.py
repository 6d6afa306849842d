"""Workers, a bot and Redis to break, and the ways in which they break; for `make chaos` and the tests of faults."""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from redis import Redis, RedisError
from sqlalchemy import select

from bot.delivery.doorbell import Doorbell
from bot.terminal.children import PYTHON, Child, start_child
from bot.terminal.redis_server import find_redis_server
from shared import submission
from shared.access import Principal, Source
from shared.blobs import BlobStore
from shared.errors import LmlError
from shared.log import runs, tables
from shared.log.engine import Log
from shared.log.runs import RunState
from shared.settings import Settings
from shared.specs import TrainSpec
from shared.submission import Submission
from support.fake_slack import BOT_TOKEN, FakeSlack
from support.place import WorkerProcess

LEASE_S, CHECKPOINT_S = 4.0, 0.5
EPOCHS = 250
SLACK_SECRET = "chaos"


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

    @property
    def environment(self) -> dict[str, str]:
        """What every process is told."""
        return {
            "LML_HOME": str(self.settings.home_folder),
            "LML_REDIS_URL": self.redis_url,
            "LML_LEASE_S": str(LEASE_S),
            "LML_CHECKPOINT_S": str(CHECKPOINT_S),
            "LML_SHORT_SLOTS": "0",
            "LML_MAX_CRASHES": "100",
            "LML_TEAM_ID": "T0TEAM",
            "LML_SLACK_API_URL": self.slack.url,
            "LML_SLACK_BOT_TOKEN": BOT_TOKEN,
            "LML_SLACK_SIGNING_SECRET": SLACK_SECRET,
            "LML_HTTP_PORT": "0",
        }

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

    def below(self, worker: WorkerProcess) -> dict[str, list[int]]:
        """The processes of a worker by what they are: the slot, its pool process, the run."""
        listed = subprocess.run(["ps", "-eo", "pid=,ppid=,sid=,args="], capture_output=True, text=True, check=True)
        rows = [line.split(None, 3) for line in listed.stdout.splitlines()]
        found: dict[str, list[int]] = {"slot": [], "pool": [], "run": [], "sweep": []}
        depth = {worker.child.process.pid: 0}
        for _ in range(4):
            for pid, parent, session, words in rows:
                if int(parent) not in depth or int(pid) in depth:
                    continue
                depth[int(pid)] = depth[int(parent)] + 1
                if "workers.sweep" in words or "workers.intake" in words:
                    found["sweep"].append(int(pid))
                elif pid == session:
                    found["run"].append(int(pid))
                elif depth[int(pid)] <= 2:
                    found["slot" if depth[int(pid)] == 1 else "pool"].append(int(pid))
        return found


Fault = Callable[[Stage, random.Random], str]


def _signal(pids: list[int], number: signal.Signals) -> str:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return "" if pids else "nobody there"


def kill_part(part: str) -> Fault:
    """kill -9 of a process of a random worker."""

    def fault(stage: Stage, chance: random.Random) -> str:
        return _signal(stage.below(chance.choice(stage.workers))[part][:1], signal.SIGKILL)

    return fault


def kill_worker(stage: Stage, chance: random.Random) -> str:
    """kill -9 of a whole worker, which is started again."""
    index = chance.randrange(len(stage.workers))
    with suppress(ProcessLookupError):
        os.killpg(stage.workers[index].child.process.pid, signal.SIGKILL)
    stage.workers[index].child.process.wait()
    stage.start_worker(index)
    return ""


def stop_worker(stage: Stage, chance: random.Random) -> str:
    """SIGTERM to a whole worker, which is started again when it has left."""
    index = chance.randrange(len(stage.workers))
    stage.workers[index].child.stop(grace_s=20)
    stage.start_worker(index)
    return ""


def freeze(part: str, seconds: float) -> Fault:
    """SIGSTOP to a process of a random worker, and SIGCONT after a while."""

    def fault(stage: Stage, chance: random.Random) -> str:
        pids = stage.below(chance.choice(stage.workers))[part][:1]
        said = _signal(pids, signal.SIGSTOP)
        threading.Timer(seconds, _signal, (pids, signal.SIGCONT)).start()
        return said

    return fault


def cut_redis(stage: Stage, _chance: random.Random) -> str:
    """Every connection to Redis is closed."""
    with suppress(RedisError), stage.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    return ""


def forget_redis(stage: Stage, _chance: random.Random) -> str:
    """Redis loses everything, as a server without persistence does."""
    with suppress(RedisError), stage.client() as client:
        client.flushall()
    return ""


def restart_redis(number: signal.Signals, away_s: float) -> Fault:
    """Redis ends and comes back."""

    def fault(stage: Stage, _chance: random.Random) -> str:
        stage.redis.process.send_signal(number)
        stage.redis.process.wait()
        time.sleep(away_s)
        stage.start_redis_again()
        return ""

    return fault


def freeze_redis(stage: Stage, _chance: random.Random) -> str:
    """Redis answers nobody for some seconds."""
    stage.redis.process.send_signal(signal.SIGSTOP)
    time.sleep(3.0)
    stage.redis.process.send_signal(signal.SIGCONT)
    return ""


def lock_log(stage: Stage, _chance: random.Random) -> str:
    """The log takes no write for some seconds."""
    with stage.log.write():
        time.sleep(3.0)
    return ""


def cut_checkpoint(stage: Stage, chance: random.Random) -> str:
    """The newest checkpoint of a running run loses its end, and the run its process."""
    files = sorted(stage.settings.checkpoints_folder.glob("*/*/*.safetensors"), key=lambda file: file.stat().st_mtime)
    if not files:
        return "no checkpoint"
    with files[-1].open("r+b") as stream:
        stream.truncate(files[-1].stat().st_size // 2)
    for worker in stage.workers:
        _signal(stage.below(worker)["run"][:1], signal.SIGKILL)
    return ""


def kill_bot(stage: Stage, _chance: random.Random) -> str:
    """kill -9 of the bot, which is started again."""
    if stage.bot is not None:
        stage.bot.process.kill()
        stage.bot.process.wait()
    stage.start_bot()
    return ""


FAULTS: dict[str, tuple[int, Fault]] = {
    "kill -9 of a run's process": (6, kill_part("run")),
    "kill -9 of a pool process": (3, kill_part("pool")),
    "kill -9 of a slot's process": (3, kill_part("slot")),
    "kill -9 of a whole worker": (2, kill_worker),
    "kill -9 of a sweep": (1, kill_part("sweep")),
    "SIGTERM to a whole worker": (1, stop_worker),
    "a run's process frozen for 2 s": (1, freeze("run", 2.0)),
    "a supervisor frozen past its lease": (2, freeze("pool", LEASE_S + 2.5)),
    "all connections to Redis cut": (2, cut_redis),
    "Redis without its data": (1, forget_redis),
    "Redis restarted": (1, restart_redis(signal.SIGTERM, 1.0)),
    "Redis killed, away for 3 s": (1, restart_redis(signal.SIGKILL, 3.0)),
    "Redis frozen for 3 s": (1, freeze_redis),
    "the log locked for 3 s": (1, lock_log),
    "a checkpoint cut short": (2, cut_checkpoint),
    "kill -9 of the bot": (1, kill_bot),
}


def write_table(path: Path) -> None:
    """A table whose training takes some seconds."""
    chance = random.Random(3)
    lines = ["a,b,c,label"]
    for _ in range(1_500):
        a, b, c = (chance.gauss(0, 1) for _ in range(3))
        lines.append(f"{a:.4f},{b:.4f},{c:.4f},{'yes' if a * b + c + chance.gauss(0, 0.5) > 0 else 'no'}")
    path.write_text("\n".join(lines) + "\n")


def submit(stage: Stage, dataset: Path, seed: int, key: str) -> int:
    """A run as the bot writes it, and its doorbell; twice with the same key, as clients do that heard no answer."""
    principal = Principal("T0TEAM", f"U{seed}", Source.SHELL, "C0GENERAL")
    # With so much time the clock decides nothing: a busy machine must end on the same weights.
    spec = TrainSpec(dataset=str(dataset), model="mlp", epochs=EPOCHS, patience=EPOCHS, seed=seed, time_s=3600)
    asked = Submission(spec=spec, principal=principal, words=f"train {dataset.name}", key=key, card_channel="C0GENERAL")
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
        time.sleep(0.5)
        left = left_of(stage, numbers)
    return left


def left_of(stage: Stage, numbers: list[int]) -> int:
    with stage.log.read() as connection:
        states = connection.execute(select(tables.runs.c.state).where(tables.runs.c.id.in_(numbers))).scalars().all()
    return sum(not RunState(state).ended for state in states)


def files_of(stage: Stage, number: int) -> dict[str, str]:
    """A run's artifacts and their hashes."""
    with stage.log.read() as connection:
        return {artifact.name: artifact.sha256 for artifact in runs.artifacts_of(connection, number)}

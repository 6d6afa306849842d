"""The way into the log: SQLite in WAL mode with `BEGIN IMMEDIATE` on writes, or Postgres; the same code for both.

Why IMMEDIATE: with WAL and SQLite's default BEGIN, 440 of 600 concurrent writes failed; with IMMEDIATE none did
(docs/decisions/0002-log.md).
"""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    NullPool,
    create_engine,
    event,
    make_url,
    or_,
    text,
)
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, OperationalError

from shared.errors import LmlError, unavailable

SCHEMA_REVISION = "0007"
"""The newest migration; a test holds it equal to the migrations folder."""

_BUSY_S = 15
"""How long a block waits for another's lock on SQLite's file."""

_LEAST_ROOM_BYTES = 64 * 1024

_POSTGRES_OPTIONS = "-c lock_timeout=5s -c statement_timeout=30s -c idle_in_transaction_session_timeout=10s"
"""Nobody who freezes or vanishes inside a block holds up the others for longer than a lease."""
_POSTGRES_SOCKET = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A server whose host vanished is found out within some ten seconds."""

_MIGRATION_LOCK = 4_242_001
"""The key of the Postgres advisory lock under which one process migrates while the others wait."""


class Log:
    """The log's engine. Cheap to make; it connects when it is asked something.

    With `pooled=False` no connection outlives its block, as the process that forks runs needs it.
    """

    def __init__(self, url: str, *, pooled: bool = False) -> None:
        try:
            self.url = make_url(url)
            self.engine = _engine(self.url, pooled=pooled)
        except (ArgumentError, ModuleNotFoundError) as error:
            raise unavailable(
                "database_url_bad",
                "LML_DATABASE_URL is not the address of a database that LML knows.",
                "Use postgresql://user:password@host/database or sqlite:////path/to/log.db.",
            ) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A block that only reads."""
        with self._connection(writes=False) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A block that commits as a whole, or not at all when it raises."""
        with self._connection(writes=True) as connection:
            yield connection

    @contextmanager
    def _connection(self, *, writes: bool, migrates: bool = False) -> Iterator[Connection]:
        options = {"lml_writes": writes, "lml_migrates": migrates}
        try:
            with self.engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except (OperationalError, InterfaceError) as error:
            raise self._away(error) from error
        except DatabaseError as error:
            if type(error) is DatabaseError:  # SQLite's word for a file that is no database; its kinds are our own bugs
                raise self._away(error) from error
            raise

    def _away(self, error: DBAPIError) -> LmlError:
        reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
        if "disk is full" in reason or "No space left" in reason or self._without_room():
            return unavailable(
                "disk_full", f"The log at {self.address} cannot be written: {reason}.", "Free some disk space there."
            )
        return unavailable(
            "database_unavailable",
            f"The log's database at {self.address} does not answer: {reason}.",
            "Start it, or correct LML_DATABASE_URL; then run the command again.",
        )

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unavailable(
                "database_unavailable",
                f"The folder of the log, {folder}, cannot be made: {error.strerror}.",
                "Correct LML_HOME or LML_DATABASE_URL.",
            ) from error

    def _without_room(self) -> bool:
        """Whether SQLite's disk is full, which it reports as an I/O error."""
        file = Path(self.address)
        sqlite = self.url.get_backend_name() == "sqlite" and file.parent.is_dir()
        return sqlite and shutil.disk_usage(file.parent).free < _LEAST_ROOM_BYTES

    @property
    def address(self) -> str:
        """Where the log is, without its password."""
        return (
            str(self.url.database)
            if self.url.get_backend_name() == "sqlite"
            else self.url.set(query={}).render_as_string(hide_password=True)
        )

    def revision(self) -> str | None:
        """Which migration the tables stand at; None for an empty database."""
        with self.read() as connection:
            return _revision(connection)

    def migrate(self) -> None:
        """Bring the tables up to this version; parallel starts wait for the first."""
        if self.url.get_backend_name() == "sqlite" and self.url.database not in (None, "", ":memory:"):
            self._make_folder(Path(str(self.url.database)).parent)
        if self.revision() == SCHEMA_REVISION:
            return
        from alembic.util import CommandError  # alembic: only a first start needs it

        from shared.log.migrate import upgrade

        try:
            with self._connection(writes=True, migrates=True) as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SET LOCAL lock_timeout = 0"))  # the first may take its time
                    connection.execute(text("SET LOCAL statement_timeout = 0"))
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
                if _revision(connection) != SCHEMA_REVISION:
                    upgrade(connection)
        except CommandError as error:
            raise unavailable(
                "log_revision_unknown",
                f"The tables at {self.address} are at a revision that this LML, at {SCHEMA_REVISION}, does not know.",
                "Use the version of LML that made them, or a newer one.",
            ) from error


def open_log(url: str, *, pooled: bool = False) -> Log:
    """The log at an address, with its tables in place."""
    log = Log(url, pooled=pooled)
    log.migrate()
    return log


def now(connection: Connection) -> datetime:
    """The database's clock: leases are judged by one clock, whatever the machines' say."""
    if connection.dialect.name == "sqlite":
        moment = connection.execute(text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")).scalar_one()
        return datetime.fromisoformat(str(moment)).replace(tzinfo=UTC)
    clock: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return clock.astimezone(UTC)


def one_at_a_time(connection: Connection, *name: str) -> datetime:
    """Until its end this block is alone among those that say the same name; returns the database's clock since then.

    On SQLite every writing block is alone.
    """
    if connection.dialect.name == "sqlite":
        return now(connection)
    alone = text(
        "SELECT clock_timestamp() FROM (SELECT pg_advisory_xact_lock(hashtextextended(:name, 0)) OFFSET 0) AS alone"
    )
    clock: datetime = connection.execute(alone, {"name": "\x1f".join(name)}).scalar_one()
    return clock.astimezone(UTC)


def lapsed(until: ColumnElement[Any], moment: datetime, *, at_most_s: float) -> ColumnElement[bool]:
    """The condition under which a time that was set at most so far ahead has passed, or the clock was set back."""
    return or_(until <= moment, until > moment + timedelta(seconds=at_most_s))


def _revision(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return revision


def _engine(url: URL, *, pooled: bool) -> Engine:
    if url.get_backend_name() != "sqlite":
        options: dict[str, Any] = {"pool_pre_ping": True} if pooled else {"poolclass": NullPool}
        return create_engine(url, connect_args={**_POSTGRES_SOCKET, "options": _POSTGRES_OPTIONS}, **options)
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": _BUSY_S})
    engine.dialect.statement_compiler = _HintingCompiler
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


class _HintingCompiler(SQLiteCompiler):
    """Writes `Select.with_hint(table, "INDEXED BY ...", "sqlite")`, which SQLAlchemy itself leaves out."""

    def get_from_hint_text(self, _table: Any, text: str | None) -> str | None:
        """The hint as it stands."""
        return text


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; `_begin_sqlite` does
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={_BUSY_S * 1000}", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    _switch_to_wal(cursor)
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Of those who switch a new file at the same time SQLite refuses all but one at once, whatever their timeout."""
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("lml_migrates"):  # to alter a table SQLite writes it anew, and what refers to it would be in the way
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("lml_writes", True) else "BEGIN")

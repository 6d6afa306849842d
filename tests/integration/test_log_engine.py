"""The engines themselves: concurrency, clocks, and databases that are away."""

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Timer

import pytest
from sqlalchemy import Connection, event, insert, text, update
from sqlalchemy.exc import IntegrityError, StatementError
from support.log_acts import NEW, PROCESSES, asked, change, everything, queued, run_of

from shared.errors import ServiceUnavailable
from shared.log import runs, tables
from shared.log.engine import SCHEMA_REVISION, Log, now, open_log
from shared.log.runs import RunState
from shared.settings import Settings


def write_often(url: str, times: int) -> int:
    """Many small writes, each in a block of its own."""
    log = open_log(url)
    for _ in range(times):
        with log.write() as connection:
            number, _created = runs.create(connection, NEW)
            runs.queue(connection, number)
    return times


def test_four_processes_write_without_a_locked_database(log: Log, log_url: str) -> None:
    """Four processes of a hundred writes each, all at once: every write arrives."""
    with ProcessPoolExecutor(4, mp_context=PROCESSES) as pool:
        parts = [pool.submit(write_often, log_url, 100) for _ in range(4)]
        assert sum(part.result(timeout=120) for part in parts) == 400
    rows = everything(log)
    assert len(rows["runs"]) == len(rows["events"]) == 400


def test_a_new_file_that_someone_writes_to_becomes_a_log_when_they_are_done(tmp_path: Path) -> None:
    """Of two first starts the second waits, though SQLite refuses the change to WAL at once."""
    with sqlite3.connect(tmp_path / "log.db", isolation_level=None, check_same_thread=False) as first:
        first.execute("BEGIN IMMEDIATE")
        Timer(0.3, first.rollback).start()
        log = open_log(f"sqlite:///{tmp_path / 'log.db'}")
    assert log.revision() == SCHEMA_REVISION


def test_reading_goes_on_while_someone_writes(log: Log) -> None:
    """An open write hides nothing from readers and does not make them wait."""
    number = queued(log)
    with log.write() as connection:
        runs.cancel(connection, number, by="U0ADA")
        assert run_of(log, number).state is RunState.QUEUED
    assert run_of(log, number).state is RunState.CANCELLED


def test_the_clock_is_the_database_s_in_utc(log: Log) -> None:
    """Moments come from the database and carry their zone; one without is refused."""
    with log.read() as connection:
        moment = now(connection)
    assert moment.tzinfo is UTC
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=1)
    with pytest.raises(StatementError, match="a moment needs a time zone"):
        change(log, lambda at: at.execute(update(tables.runs).values(created_at=datetime(2026, 1, 1))))  # noqa: DTZ001


def test_the_log_is_told_no_nonsense(log: Log) -> None:
    """A state that is none is refused by the database itself, and so is an event of no run."""
    number = asked(log)
    with pytest.raises(IntegrityError):
        change(log, lambda at: at.execute(update(tables.runs).values(state="exploded")))
    with pytest.raises(IntegrityError):
        change(
            log,
            lambda at: at.execute(
                insert(tables.events).values(run_id=number + 1, number=1, at=now(at), kind="queued", body={})
            ),
        )


def test_a_database_that_is_away_says_where() -> None:
    """A Postgres that does not answer is named by its address without the password, with the reason and what to do."""
    log = Log("postgresql+psycopg://ada:swordfish@127.0.0.1:1/lml")
    for block in (log.read, log.write):
        with pytest.raises(ServiceUnavailable) as met, block():
            pass
        assert met.value.code == "database_unavailable"
        shown = str(met.value)
        assert shown.startswith("The log's database at postgresql+psycopg://ada:***@127.0.0.1:1/lml does not answer: ")
        assert "refused" in shown
        assert shown.endswith(" Start it, or correct LML_DATABASE_URL; then run the command again.")
        assert "swordfish" not in shown


def test_a_password_in_the_query_is_not_shown() -> None:
    """A password that stands at the end of an address is hidden like one at its usual place."""
    log = Log("postgresql+psycopg://ada@127.0.0.1:1/lml?password=swordfish")
    with pytest.raises(ServiceUnavailable) as met, log.read():
        pass
    assert "swordfish" not in str(met.value)


def test_a_connection_that_breaks_says_so(postgres_url: str) -> None:
    """A database that goes away in the middle of a block is said to be away, not a broken connection."""
    log = open_log(Settings(database_url=postgres_url).log_url)

    def cut_off(connection: Connection) -> None:
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        change(log, lambda other: other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine}))
        runs.create(connection, NEW)

    with pytest.raises(ServiceUnavailable) as met:
        change(log, cut_off)
    assert met.value.code == "database_unavailable"
    assert asked(log)


@pytest.mark.parametrize("pooled", [True, False])
def test_a_log_works_again_when_the_database_does(postgres_url: str, pooled: bool) -> None:
    """After its connections were cut, the next block works, also with a pool."""
    log = open_log(Settings(database_url=postgres_url).log_url, pooled=pooled)
    asked(log)
    admin = Log(Settings(database_url=postgres_url).log_url)
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    change(admin, lambda connection: connection.execute(cut))
    assert asked(log)


def test_a_sqlite_that_cannot_be_opened_says_where(tmp_path: Path) -> None:
    """A SQLite file that cannot be opened is named, with the reason."""
    log = Log(f"sqlite:///{tmp_path}")
    with pytest.raises(ServiceUnavailable) as met, log.read():
        pass
    assert met.value.code == "database_unavailable"
    assert f"The log's database at {tmp_path} does not answer: unable to open database file." in str(met.value)


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A log whose folder cannot be made is away, with its address."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceUnavailable):
        open_log(f"sqlite:///{tmp_path}/file/log.db")


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    """A log file that was written over by something else is said to be no database, with its address."""
    (tmp_path / "log.db").write_bytes(b"a,b,c\n" * 1_000)
    with pytest.raises(ServiceUnavailable):
        open_log(f"sqlite:///{tmp_path}/log.db")


@pytest.mark.parametrize("url", ["", "log.db", "mysql://a:swordfish@h/d", "nosuch://a:swordfish@h/d"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """What is no address of a known database is refused with examples, and without what may be a password."""
    with pytest.raises(ServiceUnavailable) as met:
        Log(url)
    assert met.value.code == "database_url_bad"
    assert str(met.value) == (
        "LML_DATABASE_URL is not the address of a database that LML knows. "
        "Use postgresql://user:password@host/database or sqlite:////path/to/log.db."
    )


def test_a_write_begins_immediately_on_sqlite(tmp_path: Path) -> None:
    """On SQLite a write takes its lock when it begins, a read never does, and the log is in WAL mode."""
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    said: list[str] = []
    event.listen(log.engine, "before_cursor_execute", lambda *met: said.append(met[2]))
    with log.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    with log.write():
        pass
    assert [words for words in said if words.startswith("BEGIN")] == ["BEGIN", "BEGIN IMMEDIATE"]

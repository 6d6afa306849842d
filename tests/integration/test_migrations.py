"""Migrations on both engines: one line of them, up and down, and in the end the tables that the code expects."""

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, UniqueConstraint, inspect, text

from shared.access import Principal, Source
from shared.errors import ServiceUnavailable
from shared.log import chat_tables, runs, tables
from shared.log.engine import SCHEMA_REVISION, Log, open_log
from shared.log.migrate import configuration, upgrade
from shared.specs import TrainSpec

PROCESSES = get_context("forkserver")  # each a process of its own, with the imports done once
PROCESSES.set_forkserver_preload(["pytest", "alembic.command", "shared.log.runs", "shared.log.migrate"])
GATE: list[Any] = []
SCRIPTS = ScriptDirectory.from_config(configuration())


def revision_of(log: Log) -> str | None:
    """Where a database stands."""
    with log.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def tables_of(log: Log) -> set[str]:
    """The tables that a database has."""
    with log.read() as connection:
        return set(inspect(connection).get_table_names()) - {"alembic_version", "sqlite_sequence"}


def test_there_is_one_line_of_migrations() -> None:
    """Migrations have a single head, a single base, and a sentence each that says what they do."""
    assert len(SCRIPTS.get_heads()) == 1
    assert len(SCRIPTS.get_bases()) == 1
    assert all(script.doc and script.doc.endswith(".") for script in SCRIPTS.walk_revisions())


def test_the_code_knows_the_newest_migration() -> None:
    """SCHEMA_REVISION, by which a start sees without Alembic that nothing is to do, is the head."""
    assert SCRIPTS.get_current_head() == SCHEMA_REVISION


def test_a_first_start_brings_every_table(log_url: str) -> None:
    """Opening a log on an empty database makes all of its tables, and opening it again changes nothing."""
    log = open_log(log_url)
    assert revision_of(log) == SCHEMA_REVISION
    assert tables_of(log) == set(chat_tables.metadata.tables)
    log.migrate()
    assert revision_of(log) == SCHEMA_REVISION


def test_the_tables_are_what_the_code_says(log: Log) -> None:
    """After all migrations nothing is left to change: the migrations and `shared.log.tables` say the same."""
    with log.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "compare_server_default": True, "target_metadata": chat_tables.metadata},
        )
        assert compare_metadata(context, chat_tables.metadata) == []


def test_checks_and_keys_are_what_the_code_says(log: Log) -> None:
    """The constraints that Alembic does not compare, checks and keys, are in the database under the same names."""
    with log.read() as connection:
        found = inspect(connection)
        for name, table in tables.metadata.tables.items():
            checks = {str(made.name) for made in table.constraints if isinstance(made, CheckConstraint)}
            assert {str(met["name"]) for met in found.get_check_constraints(name)} == checks
            unique = {tuple(made.columns.keys()) for made in table.constraints if isinstance(made, UniqueConstraint)}
            assert {tuple(met["column_names"]) for met in found.get_unique_constraints(name)} == unique
            key = set(table.primary_key.columns.keys())
            assert set(found.get_pk_constraint(name)["constrained_columns"]) == key
            assert len(found.get_foreign_keys(name)) == len(table.foreign_key_constraints)


def test_every_migration_goes_up_and_down(log_url: str) -> None:
    """Each migration can be made, taken back and made again, one by one, and the last step down leaves no table."""
    log = Log(log_url)
    line = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]
    for revision in line:
        with log.write() as connection:
            command.upgrade(configuration(connection), revision)
        assert revision_of(log) == revision
    for step, revision in reversed(list(enumerate(line))):
        below = line[step - 1] if step else "base"
        with log.write() as connection:
            command.downgrade(configuration(connection), below)
        assert revision_of(log) == (None if below == "base" else below)
        with log.write() as connection:
            command.upgrade(configuration(connection), revision)
            command.downgrade(configuration(connection), below)
    assert tables_of(log) == set()
    log.migrate()
    assert tables_of(log) == set(chat_tables.metadata.tables)


def test_a_migration_that_breaks_leaves_nothing(log_url: str) -> None:
    """A first start that breaks in the middle leaves an empty database, and the next start does it all."""
    log = Log(log_url)

    def break_off() -> None:
        with log.write() as connection:
            upgrade(connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert tables_of(log) == set()
    assert revision_of(log) is None
    log.migrate()
    assert tables_of(log) == set(chat_tables.metadata.tables)


def hold(gate: Any) -> None:
    """Give this process the gate before which all of them wait."""
    GATE.append(gate)


def first_start(url: str) -> str | None:
    """A start of a process of its own, in the same moment as the others."""
    GATE[0].wait(timeout=60)
    return revision_of(open_log(url))


def test_parallel_first_starts(log_url: str) -> None:
    """Four processes that start on an empty database in the same moment all find their tables."""
    gate = PROCESSES.Barrier(4)
    with ProcessPoolExecutor(4, mp_context=PROCESSES, initializer=hold, initargs=(gate,)) as pool:
        starts = [pool.submit(first_start, log_url) for _ in range(4)]
        assert {start.result(timeout=120) for start in starts} == {SCHEMA_REVISION}
    log = Log(log_url)
    assert tables_of(log) == set(chat_tables.metadata.tables)
    with log.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1


def test_numbers_are_never_used_again(log: Log) -> None:
    """The number of a run that was erased is not given to another run."""
    principal = Principal(team_id="local", user_id="ada", source=Source.SHELL)
    new = runs.NewRun(spec=TrainSpec(dataset="a.csv"), words="train a.csv", principal=principal)
    with log.write() as connection:
        first, _ = runs.create(connection, new)
        connection.execute(tables.runs.delete())
        second, _ = runs.create(connection, new)
    assert second == first + 1


def test_a_start_without_work_loads_no_alembic(log_url: str, tmp_path: Path) -> None:
    """A start on a log whose tables are there does not load Alembic, so that a command answers at once."""
    open_log(log_url)
    code = "import sys; from shared.log.engine import open_log; open_log(sys.argv[1]); print('alembic' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code, log_url], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60
    )
    assert run.stdout.strip() == "False"


def test_a_log_of_a_later_version_is_left_alone(log: Log, log_url: str) -> None:
    """Tables at a revision that this version does not know are not touched; what to do is said."""
    with log.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ServiceUnavailable) as met:
        open_log(log_url)
    assert met.value.code == "log_revision_unknown"
    assert str(met.value) == (
        f"The tables at {log.address} are at a revision that this LML, at {SCHEMA_REVISION}, does not know. "
        "Use the version of LML that made them, or a newer one."
    )
    assert tables_of(log) == set(chat_tables.metadata.tables)


def test_rows_of_the_first_tables_stay(log_url: str) -> None:
    """A log of the first version, with a run, its events and its metrics, has them all after the newest migration."""
    log = Log(log_url)
    with log.write() as connection:
        command.upgrade(configuration(connection), "0001")
        spec = '{"kind": "train", "version": 1, "dataset": "a.csv"}'
        old = (
            "id, team_id, visibility, requested_by, source, words, kind, spec, state, attempts, cancel_requested, "
            "last_event, created_at"
        )
        for number in (3, 4):
            values = f"{number}, 'local', 'team', 'ada', 'shell', 'train a.csv', 'train', '{spec}', 'succeeded', 1"
            connection.execute(text(f"INSERT INTO runs ({old}) VALUES ({values}, false, 1, '2026-11-01 10:00:00+00')"))
        body = """{"kind": "succeeded"}"""
        connection.exec_driver_sql(
            "INSERT INTO events (run_id, number, at, kind, body) "
            f"VALUES (3, 1, '2026-11-01 10:00:00+00', 'succeeded', '{body}')"
        )
        connection.execute(text("INSERT INTO metrics (run_id, part, name, value) VALUES (3, 'test', 'accuracy', 0.5)"))
        connection.execute(text("DELETE FROM runs WHERE id = 4"))
    log.migrate()
    with log.write() as connection:
        run = runs.get(connection, 3)
        assert (run.state, run.device, run.priority, run.crashes) == ("succeeded", "auto", 1, 0)
        assert [number for number, _ in runs.events_after(connection, 3)] == [1]
        assert connection.execute(text("SELECT value FROM metrics")).scalar_one() == 0.5
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
            assert connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'runs'").scalar_one() == 4

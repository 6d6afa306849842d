"""What is removed from the disk by itself, and what stays."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update
from support.log_acts import asked, claimed, queued

from bot.disk_use import sentence
from bot.tables import size_text
from shared.log import attempts, runs, tables
from shared.log.attempts import Outcome
from shared.log.engine import Log, now
from shared.retention import MOST_AT_ONCE, tidy
from shared.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home whose checkpoints are kept for two days."""
    return Settings(home=tmp_path, keep_checkpoints_days=2)


def ended(log: Log, *, days_ago: float, resumes: int | None = None) -> int:
    """A run that ended so long ago."""
    number = queued(log)
    attempt = claimed(log)
    with log.write() as connection:
        attempts.succeed(connection, attempt, Outcome(result={}, metrics={}, artifacts=[]))
        moment = now(connection) - timedelta(days=days_ago)
        connection.execute(
            update(tables.runs).where(tables.runs.c.id == number).values(ended_at=moment, resumes=resumes)
        )
    return number


def left(folder: Path, *names: object, days_ago: float = 0.0) -> None:
    """Folders with a file in each, last touched so long ago."""
    for name in names:
        file = folder / str(name) / "1"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
        moment = time.time() - 86_400 * days_ago
        os.utime(file, (moment, moment))
        os.utime(file.parent, (moment, moment))


def there(folder: Path) -> set[str]:
    """What a folder holds."""
    return {path.name for path in folder.iterdir()}


def test_checkpoints_of_ended_runs_go_after_their_days(log: Log, settings: Settings) -> None:
    """Those of runs that ended longer ago go; younger ones, promoted ones and those of waiting runs stay."""
    old, young, promoted = ended(log, days_ago=3), ended(log, days_ago=1), ended(log, days_ago=300)
    waiting = queued(log)
    with log.write() as connection:
        values = {"team_id": "T1", "dataset": "a", "alias": "champion", "by": "ada", "at": now(connection)}
        connection.execute(insert(tables.promotions).values(run_id=promoted, **values))
    left(settings.checkpoints_folder, old, young, promoted, waiting, "notes", days_ago=400)
    assert tidy(log, settings) == [str(settings.checkpoints_folder / str(old))]
    assert there(settings.checkpoints_folder) == {str(young), str(promoted), str(waiting), "notes"}


def test_checkpoints_that_a_run_still_goes_on_from_stay(log: Log, settings: Settings) -> None:
    """However long ago they ended: the origins of a run that has not ended, at any remove, keep their checkpoints."""
    first = ended(log, days_ago=9)
    second = ended(log, days_ago=8, resumes=first)
    third = asked(log)
    with log.write() as connection:
        connection.execute(update(tables.runs).where(tables.runs.c.id == third).values(resumes=second))
    left(settings.checkpoints_folder, first, second)
    assert tidy(log, settings) == []
    with log.write() as connection:
        runs.cancel(connection, third, by="ada")
    assert len(tidy(log, settings)) == 2


def test_checkpoints_of_no_run_go_when_they_are_old(log: Log, settings: Settings) -> None:
    """A folder of a run that this log does not know goes once nobody has written to it for as many days."""
    left(settings.checkpoints_folder, 77, days_ago=1)
    left(settings.checkpoints_folder, 78, days_ago=3)
    tidy(log, settings)
    assert there(settings.checkpoints_folder) == {"77"}


def test_what_a_lost_attempt_worked_on_goes(log: Log, settings: Settings) -> None:
    """Folders of attempts that ended a while ago go; those of attempts that run or have just ended stay."""
    old, fresh = ended(log, days_ago=1), ended(log, days_ago=0)
    number = queued(log)
    claimed(log)
    work = settings.home_folder / "work"
    left(work, f"{old}-1", f"{fresh}-1", f"{number}-1", "999-1", "mine")
    tidy(log, settings)
    assert there(work) == {f"{fresh}-1", f"{number}-1", "999-1", "mine"}
    with log.write() as connection:  # it was given back and claimed anew, an hour and more ago
        begun = {"attempts": 2, "started_at": now(connection) - timedelta(hours=2)}
        connection.execute(update(tables.runs).where(tables.runs.c.id == number).values(begun))
    left(work, f"{number}-2")
    tidy(log, settings)
    assert there(work) == {f"{fresh}-1", f"{number}-2", "999-1", "mine"}


def test_half_written_bytes_go_after_a_day(log: Log, settings: Settings) -> None:
    """What a writer that died left in the store goes; what is being written stays."""
    incoming = settings.store_folder / "incoming"
    incoming.mkdir(parents=True)
    for name, days_ago in (("old", 2), ("new", 0)):
        (incoming / name).write_text("x")
        moment = time.time() - 86_400 * days_ago
        os.utime(incoming / name, (moment, moment))
    tidy(log, settings)
    assert there(incoming) == {"new"}


def test_it_goes_in_small_steps(log: Log, settings: Settings) -> None:
    """One round removes a bounded number; the next ones remove the rest."""
    left(settings.checkpoints_folder, *range(1000, 1000 + MOST_AT_ONCE + 3), days_ago=9)
    assert len(tidy(log, settings)) == MOST_AT_ONCE
    assert len(tidy(log, settings)) == 3
    assert tidy(log, settings) == []


def test_an_empty_home_is_tidy(log: Log, tmp_path: Path) -> None:
    """Where nothing was ever written there is nothing to do."""
    assert tidy(log, Settings(home=tmp_path / "nowhere")) == []


def test_disk_use_names_every_part(log: Log, settings: Settings, log_url: str) -> None:
    """What `doctor` says of the disk: log, store with its datasets, checkpoints."""
    here = Settings(home=settings.home, database_url=log_url, keep_checkpoints_days=2)
    left(settings.checkpoints_folder, 1)
    said = sentence(here)
    assert said.startswith("log ")
    assert "store 0 B (0 datasets of 0 B), checkpoints 1 B, work 0 B" in said
    assert said.endswith("checkpoints go 2 days after the end of their run")
    assert [size_text(size) for size in (0, 999, 1536, 5e9, 2e12)] == ["0 B", "999 B", "1.54 kB", "5 GB", "2 TB"]

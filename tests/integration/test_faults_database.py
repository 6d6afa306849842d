"""The database answers nobody for longer than a lease, while runs train. (`make chaos` locks the log for a minute.)"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url
from support.chaos import CHECKPOINT_S, LEASE_S, below, models_of, write_table
from support.deadline import until
from support.place import Place

from bot.delivery.doorbell import Doorbell
from shared import submission
from shared.access import Principal, Source
from shared.blobs import BlobStore
from shared.log import runs
from shared.log.engine import Log, open_log
from shared.settings import Settings
from shared.specs import TrainSpec
from shared.submission import Submission

MakePlace = Callable[..., Place]
AWAY_S = 2 * LEASE_S


@pytest.mark.chaos
def test_a_database_that_is_away_for_longer_than_a_lease_costs_no_run(
    make_place: MakePlace, postgres_url: str, tmp_path: Path
) -> None:
    """The training goes on without it, nobody takes the run away after that, and it ends once, with equal models."""
    write_table(tmp_path / "table.csv")
    place = make_place(postgres_url, lease_s=LEASE_S, checkpoint_s=CHECKPOINT_S)
    log = open_log(place.settings.log_url)
    for _ in range(2):
        place.start_worker(LML_SHORT_SLOTS="0", LML_LEASE_S=str(LEASE_S), LML_CHECKPOINT_S=str(CHECKPOINT_S))
    undisturbed = asked(place.settings, log, tmp_path / "table.csv")
    number = asked(place.settings, log, tmp_path / "table.csv")
    for each in (undisturbed, number):
        until(lambda each=each: "checkpoint_saved" in kinds(log, each), what="it trains", within_s=60)
    with frozen(Path(str(make_url(postgres_url).query["host"]))):
        time.sleep(AWAY_S)
    until(lambda: runs_ended(log, undisturbed, number), what="the runs end", within_s=60)
    for each in (undisturbed, number):
        met = kinds(log, each)
        assert [kind for kind in met if kind in ("succeeded", "failed", "cancelled")] == ["succeeded"]
        assert met.count("started") == 1
    assert files_of(log, undisturbed) == files_of(log, number)


def asked(settings: Settings, log: Log, table: Path) -> int:
    """A training of some seconds that waits for a worker."""
    spec = TrainSpec(dataset=str(table), model="mlp", epochs=250, patience=250, time_s=3600)
    new = Submission(spec=spec, principal=Principal("local", "ada", Source.SHELL), words="train")
    with log.write() as connection:
        number, _ = submission.write(connection, settings, new)
    assert submission.prepare(log, BlobStore(settings.store_folder), settings, number)
    with log.read() as connection:
        Doorbell(settings).ring(runs.get(connection, number))
    return number


def kinds(log: Log, number: int) -> list[str]:
    """What has happened to a run."""
    with log.read() as connection:
        return [event.kind for _, event in runs.events_after(connection, number)]


def runs_ended(log: Log, *numbers: int) -> bool:
    """Whether all of the runs have ended."""
    with log.read() as connection:
        return all(runs.get(connection, number).state.ended for number in numbers)


def files_of(log: Log, number: int) -> dict[str, str]:
    """The hashes of what a run has learnt."""
    with log.read() as connection:
        return models_of({artifact.name: artifact.sha256 for artifact in runs.artifacts_of(connection, number)})


@contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """A block in which the server takes connections and answers nobody."""
    postmaster = int((folder / "postmaster.pid").read_text().splitlines()[0])
    family = [postmaster, *below(postmaster)]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in family:
            os.kill(pid, signal.SIGCONT)

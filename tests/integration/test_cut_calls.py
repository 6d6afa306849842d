"""Calls that are cut exactly between the other side's receipt and its answer: done, and nobody knows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import make_url
from support.cut_proxy import CutProxy
from support.deadline import until
from support.log_acts import ADA, NEW
from support.place import Place

from bot.delivery.doorbell import Doorbell
from shared import submission
from shared.access import Principal, Source
from shared.blobs import BlobStore
from shared.errors import ServiceUnavailable
from shared.log import runs
from shared.log.engine import Log, open_log
from shared.settings import Settings
from shared.specs import TrainSpec
from shared.submission import Submission

MakePlace = Callable[..., Place]
ENDS = ("succeeded", "failed", "cancelled")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table that is learnt in a moment."""
    path = tmp_path / "line.csv"
    path.write_text("x,y\n" + "".join(f"{n},{2 * n}\n" for n in range(120)))
    return path


def through(proxy: CutProxy, url: str) -> str:
    """The address of a Postgres, through the proxy."""
    plain = make_url(url)
    query = {name: value for name, value in plain.query.items() if name != "host"}
    return plain.set(host="127.0.0.1", port=proxy.port, query=query).render_as_string(hide_password=False)


def reached(url: str) -> Path:
    """Where a Postgres listens."""
    return Path(str(make_url(url).query["host"])) / ".s.PGSQL.5432"


def queued(settings: Settings, log: Log, table: Path) -> runs.Run:
    """A small training, written and ready, not rung for."""
    asked = Submission(
        spec=TrainSpec(dataset=str(table), model="linear"),
        principal=Principal("local", "ada", Source.SHELL),
        words="train line.csv model=linear",
    )
    with log.write() as connection:
        number, _ = submission.write(connection, settings, asked)
    assert submission.prepare(log, BlobStore(settings.store_folder), settings, number)
    with log.read() as connection:
        return runs.get(connection, number)


def test_every_commit_of_a_run_may_lose_its_answer(make_place: MakePlace, postgres_url: str, table: Path) -> None:
    """Whichever commit of a worker is done without an answer, the run ends once, well, with all of its files."""
    log = open_log(Settings(database_url=postgres_url).log_url)
    with CutProxy(reached(postgres_url), b"COMMIT", cut=0) as proxy:
        place = make_place(through(proxy, postgres_url), lease_s=2.0)
        place.start_worker(LML_SHORT_SLOTS="0")
        first = queued(place.settings, log, table)
        Doorbell(place.settings).ring(first)
        whole = ended(log, first.id)
        cuts = 0
        for cut in range(1, 13):
            proxy.was_cut.clear()
            proxy.seen, proxy.cut = 0, cut
            run = queued(place.settings, log, table)
            Doorbell(place.settings).ring(run)
            assert ended(log, run.id) == whole, f"commit {cut} was cut"
            cuts += proxy.was_cut.is_set()
    assert cuts >= 8


def ended(log: Log, number: int) -> tuple[str, list[str], list[str]]:
    """How a run ended: its state, its terminal events and the names of its files."""

    def look() -> runs.Run | None:
        with log.read() as connection:
            run = runs.get(connection, number)
        return run if run.state.ended else None

    run = until(look, what=f"run {number} ends", within_s=60)
    with log.read() as connection:
        kinds = [event.kind for _, event in runs.events_after(connection, number)]
        names = [artifact.name for artifact in runs.artifacts_of(connection, number)]
    return run.state.value, [kind for kind in kinds if kind in ENDS], names


def test_a_submission_whose_answer_was_lost_is_one_run(postgres_url: str) -> None:
    """The run is there; whoever asks again with the same key is told its number."""
    log = open_log(Settings(database_url=postgres_url).log_url)
    with CutProxy(reached(postgres_url), b"COMMIT", cut=1) as proxy:
        cut_off = Log(Settings(database_url=through(proxy, postgres_url)).log_url)
        asked = Submission(spec=NEW.spec, principal=ADA, words="train a.csv", key="once")
        with pytest.raises(ServiceUnavailable), cut_off.write() as connection:
            submission.write(connection, Settings(), asked)
        with cut_off.write() as connection:
            number, created = submission.write(connection, Settings(), replace(asked, words="again"))
    assert (number, created) == (1, False)
    with log.read() as connection:
        assert runs.get(connection, number).words == "train a.csv"


def test_a_doorbell_whose_answer_was_lost_rings_no_run_twice(make_place: MakePlace, table: Path) -> None:
    """The worker has it, whoever rang is told that Redis is away, and rings again: one run, one end."""
    place = make_place()
    address = urlsplit(place.settings.require_redis_url())
    log = open_log(place.settings.log_url)
    place.start_worker()
    with CutProxy((address.hostname or "", address.port or 0), b"LPUSH", cut=1) as proxy:
        url = place.settings.require_redis_url().replace(f":{address.port}", f":{proxy.port}")
        run = queued(place.settings, log, table)
        cut_off = Doorbell(place.settings.model_copy(update={"redis_url": Settings(redis_url=url).redis_url}))  # type: ignore[arg-type]
        with pytest.raises(ServiceUnavailable):
            cut_off.ring(run)
        cut_off.ring(run)
    state, terminal, _ = ended(log, run.id)
    assert (state, terminal) == ("succeeded", ["succeeded"])
    with log.read() as connection:
        assert runs.get(connection, run.id).attempts == 1

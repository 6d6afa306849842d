"""Calls that are cut exactly between the other side's receipt and its answer: done, and nobody knows."""

import hashlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import make_url, select
from support.chaos import models_of, processes
from support.cut_proxy import CutProxy
from support.deadline import until
from support.intake_door import PROBE, IntakeDoor, framed
from support.log_acts import ADA, NEW
from support.place import Place

from bot.delivery.doorbell import Doorbell
from shared import submission
from shared.access import Principal, Source
from shared.blobs import BlobStore
from shared.errors import ServiceUnavailable
from shared.log import runs, tables
from shared.log.engine import Log, open_log
from shared.settings import Settings
from shared.specs import TrainSpec
from shared.submission import Submission
from workers.intake_list import HAND_LIST

MakePlace = Callable[..., Place]
# What only this call of the intake says to Redis.
PUT_BACK, TAKE, LAST_EMPTY, ANSWERED, FINISH = (
    b"LMOVE",
    b"lml.intake\r\n$15\r\nlml.intake.hand",
    b"GET\r\n$16\r\nlml.intake.empty",
    b"EXISTS",
    b"lml.rejected",
)
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


@pytest.mark.chaos
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
            arm(proxy, b"COMMIT", cut=cut)
            run = queued(place.settings, log, table)
            Doorbell(place.settings).ring(run)
            assert ended(log, run.id) == whole, f"commit {cut} was cut"
            cuts += proxy.was_cut.is_set()
    assert cuts >= 8


def ended(log: Log, number: int) -> tuple[str, list[str], list[str], dict[str, str]]:
    """How a run ended: its state, its terminal events, the names of its files, and the hashes of those with models."""

    def look() -> runs.Run | None:
        with log.read() as connection:
            run = runs.get(connection, number)
        return run if run.state.ended else None

    run = until(look, what=f"run {number} ends", within_s=60)
    with log.read() as connection:
        kinds = [event.kind for _, event in runs.events_after(connection, number)]
        files = {artifact.name: artifact.sha256 for artifact in runs.artifacts_of(connection, number)}
    return run.state.value, [kind for kind in kinds if kind in ENDS], sorted(files), models_of(files)


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
    log = open_log(place.settings.log_url)
    place.start_worker()
    with CutProxy(redis_of(place.settings), b"LPUSH", cut=1) as proxy:
        run = queued(place.settings, log, table)
        cut_off = Doorbell(with_redis(place.settings, url_through(proxy, place.settings)))
        with pytest.raises(ServiceUnavailable):
            cut_off.ring(run)
        cut_off.ring(run)
    assert ended(log, run.id)[:2] == ("succeeded", ["succeeded"])
    assert attempts_of(log, run.id) == 1


def test_a_call_of_a_worker_to_redis_may_lose_its_answer(make_place: MakePlace, table: Path) -> None:
    """A ring that nobody heard of stops no run, and a doorbell that was taken and never arrived is rung again."""
    place = make_place()
    log = open_log(place.settings.log_url)
    with CutProxy(redis_of(place.settings), b"XADD", cut=0) as proxy:
        place.start_worker(LML_REDIS_URL=url_through(proxy, place.settings), LML_SHORT_SLOTS="0")
        for call in (b"XADD", b"BRPOP"):
            arm(proxy, call, cut=1)
            if call == b"BRPOP":  # the doorbell must come while the call is under way whose answer is lost
                until(lambda: proxy.seen, what="the worker waits for a doorbell")
            run = queued(place.settings, log, table)
            Doorbell(place.settings).ring(run)
            assert ended(log, run.id)[:2] == ("succeeded", ["succeeded"])
            assert proxy.was_cut.is_set()
            assert attempts_of(log, run.id) == 1


def test_a_call_of_the_intake_to_redis_may_lose_its_answer(make_place: MakePlace) -> None:
    """Whichever step is done without an answer, each message becomes one run and is answered, none is kept in hand."""
    place = make_place()
    door = IntakeDoor(place.settings, open_log(place.settings.log_url))
    left = door.signed(PROBE)
    door.redis.lpush(HAND_LIST, framed([left]))  # of an intake that died with it in hand
    with CutProxy(redis_of(place.settings), PUT_BACK, cut=1) as proxy:
        behind = IntakeDoor(with_redis(place.settings, url_through(proxy, place.settings)), door.log)
        intake = behind.start().process
        asked = [left["id"]]
        assert door.answer(left["id"])["state"] == "taken"
        assert proxy.was_cut.is_set()
        for call in (TAKE, LAST_EMPTY, ANSWERED, FINISH):
            intake.send_signal(signal.SIGSTOP)
            batch = [door.ask(PROBE) for _ in range(3)]
            arm(proxy, call, cut=2)  # the first may be one that was under way, and finds nothing
            intake.send_signal(signal.SIGCONT)
            for message in batch:
                assert door.answer(message, within_s=15)["state"] == "taken", f"{call!r} was cut"
            assert proxy.was_cut.is_set(), call
            asked += batch
        until(lambda: door.redis.llen(HAND_LIST) == 0, what="the hand is empty")
        behind.stop()
    assert len(door.runs()) == len(asked)
    assert door.rejected() == []


@pytest.mark.parametrize("stored", [1, pytest.param(2, marks=pytest.mark.chaos)])
def test_a_run_that_dies_between_a_file_in_the_store_and_the_answer_stores_it_again(
    make_place: MakePlace, table: Path, stored: int
) -> None:
    """The file is whole under its hash, belongs to no run, and the next attempt ends with all files."""
    place = make_place(lease_s=2.0)
    log = open_log(place.settings.log_url)
    place.start_worker(LML_SHORT_SLOTS="0")
    first = queued(place.settings, log, table)
    Doorbell(place.settings).ring(first)
    whole = ended(log, first.id)
    run = queued(place.settings, log, table)
    before = inodes(place.settings.store_folder)
    Doorbell(place.settings).ring(run)
    pid = until(lambda: process_of(log, run.id), what="the run has its process")
    until_stored(place.settings.store_folder, before, count=stored)
    os.kill(pid, signal.SIGKILL)
    with log.read() as connection:
        assert runs.artifacts_of(connection, run.id) == []
    assert ended(log, run.id) == whole
    assert attempts_of(log, run.id) == 2
    with log.read() as connection:
        artifacts = runs.artifacts_of(connection, run.id)
    store = BlobStore(place.settings.store_folder)
    for artifact in artifacts:
        assert hashlib.sha256(store.path_of(artifact.sha256).read_bytes()).hexdigest() == artifact.sha256


def arm(proxy: CutProxy, call: bytes, *, cut: int) -> None:
    """Cut another call from now on."""
    proxy.was_cut.clear()
    proxy.mark, proxy.seen, proxy.cut = call, 0, cut


def redis_of(settings: Settings) -> tuple[str, int]:
    """Where Redis listens."""
    address = urlsplit(settings.require_redis_url())
    return address.hostname or "", address.port or 0


def url_through(proxy: CutProxy, settings: Settings) -> str:
    """The address of Redis, through the proxy."""
    return settings.require_redis_url().replace(f":{redis_of(settings)[1]}/", f":{proxy.port}/")


def with_redis(settings: Settings, url: str) -> Settings:
    """The settings with another Redis."""
    return settings.model_copy(update={"redis_url": Settings(redis_url=url).redis_url})  # type: ignore[arg-type]


def attempts_of(log: Log, number: int) -> int:
    """How many attempts a run has had."""
    with log.read() as connection:
        return runs.get(connection, number).attempts


def process_of(log: Log, number: int) -> int:
    """The process of a run; 0 while it has none."""
    with log.read() as connection:
        worker = connection.execute(select(tables.runs.c.worker).where(tables.runs.c.id == number)).scalar_one()
    pool = int(worker.rpartition(":")[2]) if worker else None
    return next((one.pid for one in processes() if one.parent == pool and one.session == one.pid), 0)


def inodes(store: Path) -> set[int]:
    """The files that have their names in the store."""
    return {file.stat().st_ino for file in store.glob("[0-9a-f][0-9a-f]/*")}


def until_stored(store: Path, before: set[int], *, count: int, within_s: float = 30.0) -> None:
    """Wait, closely, until so many more files have their names in the store."""
    deadline = time.monotonic() + within_s
    while len(inodes(store) - before) < count:
        assert time.monotonic() < deadline, "nothing was stored"
        time.sleep(0.001)

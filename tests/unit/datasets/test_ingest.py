"""What a dataset's name means, in which order, and to whom."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from support.empty_logs import empty_log
from support.tls_host import TlsHost, at, gives

from shared import submission
from shared.access import Principal, Role, Source, Visibility
from shared.blobs import BlobStore
from shared.datasets import from_https
from shared.errors import LmlError, RefusedWords
from shared.ingest import Arrived, ingest, located
from shared.log import datasets, forgotten, runs, tables
from shared.log.engine import Log
from shared.log.runs import NewRun, Run, RunState
from shared.settings import Settings
from shared.specs import TrainSpec
from shared.submission import Submission

ADA, BOB = "U0ADA", "U0BOB"
OLD, NEW, SECRET = b"a,b\n1,2\n", b"a,b\n3,4\n", b"a,b\n9,9\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def log(settings: Settings) -> Log:
    return empty_log(settings.log_url)


@pytest.fixture
def store(settings: Settings) -> BlobStore:
    return BlobStore(settings.store_folder)


Had = Callable[..., int]
Asks = Callable[..., Run]


@pytest.fixture
def had(log: Log, store: BlobStore) -> Had:
    """A run that has read some bytes by a name; returns its number."""

    def had(
        name: str, body: bytes, *, visibility: Visibility = Visibility.TEAM, channel: str = "C0ALL", user: str = ADA
    ) -> int:
        principal = Principal("T0TEAM", user, Source.SLACK, channel)
        new = NewRun(
            spec=TrainSpec(dataset=name), words="", principal=principal, visibility=visibility, dataset_name=name
        )
        blob = store.put_chunks([body])
        with log.write() as connection:
            number, _ = runs.create(connection, new)
            runs.queue(connection, number, dataset_sha256=blob.sha256, dataset_size_bytes=blob.size_bytes)
            connection.execute(update(tables.runs).where(tables.runs.c.id == number).values(state="failed"))
        return number

    return had


@pytest.fixture
def asks(log: Log, store: BlobStore, settings: Settings) -> Asks:
    """Somebody asks for a run on a dataset by its name, and it is prepared; returns the run."""

    def asks(
        name: str,
        *,
        source: Source = Source.SLACK,
        channel: str | None = "C0ALL",
        user: str = ADA,
        base: Path | None = None,
    ) -> Run:
        principal = Principal("T0TEAM", user, source, channel)
        new = NewRun(spec=TrainSpec(dataset=name), words="", principal=principal, dataset_name=Path(name).name)
        with log.write() as connection:
            number, _ = runs.create(connection, new)
        submission.prepare(log, store, settings, number, base=base)
        with log.read() as connection:
            return runs.get(connection, number)

    return asks


def bury(log: Log, number: int) -> None:
    """Have the dataset forgotten that a run has read."""
    with log.write() as connection:
        forgotten.bury(
            connection,
            Principal("T0TEAM", ADA, Source.SHELL),
            dataset="churn.csv",
            sha256=runs.get(connection, number).dataset_sha256 or "",
            why=None,
            results={number: None},
            stay={number: []},
        )


def body_of(store: BlobStore, run: Run) -> bytes:
    assert run.state is RunState.QUEUED, run.problem
    return store.path_of(run.dataset_sha256 or "").read_bytes()


def test_the_newest_content_that_a_run_had(had: Had, asks: Asks, store: BlobStore) -> None:
    """A name that no file has is what runs had by that name last; the run says which one it was."""
    had("churn.csv", OLD)
    newest = had("churn.csv", NEW)
    had("other.csv", OLD)
    run = asks("churn.csv")
    assert body_of(store, run) == NEW
    assert run.dataset_source == {"run": newest, "name": "churn.csv", "sha256": run.dataset_sha256}


@pytest.mark.parametrize("word", ["churn", "CHURN.CSV", "Churn.csv"])
def test_a_name_without_its_suffix_or_case(had: Had, asks: Asks, store: BlobStore, word: str) -> None:
    """A name is taken as `history` takes it, and the run goes by the dataset's own name."""
    had("churn.csv", NEW)
    run = asks(word)
    assert body_of(store, run) == NEW
    assert run.dataset_name == "churn.csv"


def test_a_file_comes_first(had: Had, asks: Asks, store: BlobStore, settings: Settings, tmp_path: Path) -> None:
    """A file of the datasets folder, and in a shell one at hand, comes before what a run had."""
    had("churn.csv", OLD)
    settings.datasets_folder.mkdir()
    (settings.datasets_folder / "churn.csv").write_bytes(NEW)
    run = asks("churn.csv")
    assert (body_of(store, run), run.dataset_source) == (NEW, None)
    near = tmp_path / "near"
    near.mkdir()
    (near / "churn.csv").write_bytes(SECRET)
    assert body_of(store, asks("churn.csv", source=Source.SHELL, channel=None, base=near)) == SECRET


def test_a_shell_and_a_service_name_them_too(had: Had, asks: Asks, store: BlobStore, tmp_path: Path) -> None:
    """A shell or a service names what a run of the team had; a path is a path, and no such name."""
    had("churn.csv", OLD)
    assert body_of(store, asks("churn.csv", source=Source.SHELL, channel=None, base=tmp_path)) == OLD
    assert body_of(store, asks("churn.csv", source=Source.SERVICE, channel=None)) == OLD
    missing = asks("2026/churn.csv", source=Source.SHELL, channel=None, base=tmp_path)
    assert missing.problem is not None
    assert missing.problem.code == "dataset_missing"


@pytest.mark.parametrize(
    ("visibility", "channel", "may"),
    [
        (Visibility.CHANNEL, "G0SECRET", {("G0SECRET", ADA), ("G0SECRET", BOB)}),
        (Visibility.PRIVATE, "D0ADA", {("D0ADA", ADA)}),
        (
            Visibility.TEAM,
            "C0ALL",
            {("C0ALL", ADA), ("G0SECRET", ADA), ("G0SECRET", BOB), ("D0ADA", ADA), ("D0ADA", BOB)},
        ),
    ],
)
@pytest.mark.parametrize("by_hash", [False, True])
def test_nobody_reads_what_a_hidden_run_had(  # noqa: PLR0917
    had: Had, asks: Asks, log: Log, visibility: Visibility, channel: str, may: set[tuple[str, str]], by_hash: bool
) -> None:
    """A name, or the beginning of a hash, opens a dataset only to those who see a run on it."""
    number = had("secret.csv", SECRET, visibility=visibility, channel=channel)
    with log.read() as connection:
        name = (runs.get(connection, number).dataset_sha256 or "")[:12] if by_hash else "secret.csv"
    for place in ("C0ALL", "G0SECRET", "D0ADA"):
        for user in (ADA, BOB):
            run = asks(name, channel=place, user=user)
            if (place, user) in may:
                assert run.state is RunState.QUEUED
            elif visibility is not Visibility.TEAM:
                assert run.problem is not None
                assert run.problem.code == "dataset_missing"
            with log.write() as connection:  # the next one is to see the first run only
                connection.execute(update(tables.runs).where(tables.runs.c.id == run.id).values(dataset_sha256=None))


def test_a_forgotten_content_is_not_found(had: Had, asks: Asks, log: Log, store: BlobStore) -> None:
    """What was forgotten is no dataset any more; an earlier content of that name still is."""
    had("churn.csv", OLD)
    bury(log, had("churn.csv", NEW))
    assert body_of(store, asks("churn.csv")) == OLD


def test_a_content_that_is_forgotten_while_it_is_looked_for(
    had: Had, asks: Asks, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier run had is not read when somebody has it forgotten before the run could be queued."""
    number = had("churn.csv", NEW)

    def found_then_forgotten(*given: Any, **named: Any) -> Arrived:
        arrived = ingest(*given, **named)
        bury(log, number)
        return arrived

    monkeypatch.setattr(submission, "ingest", found_then_forgotten)
    run = asks("churn.csv")
    assert run.state is RunState.FAILED
    assert run.problem is not None
    assert run.problem.code == "dataset_forgotten"
    assert "The dataset churn.csv was forgotten on 20" in run.problem.message
    assert run.dataset_sha256 is None


def test_a_content_that_the_store_lost_is_passed_over(had: Had, asks: Asks, store: BlobStore) -> None:
    """The store has to hold the bytes."""
    had("churn.csv", OLD)
    had("churn.csv", NEW)
    store.erase(store.put_chunks([NEW]).sha256)
    assert body_of(store, asks("churn.csv")) == OLD


def test_located_looks_the_same_up(had: Had, log: Log, settings: Settings) -> None:
    """A form that shows columns finds the file that the run would read."""
    had("churn.csv", NEW)
    ada = Principal("T0TEAM", ADA, Source.SLACK, "C0ALL")
    with log.read() as connection:
        assert located(connection, settings, ada, "churn").path.read_bytes() == NEW
        with pytest.raises(LmlError, match=r"There is no dataset `none\.csv`"):
            located(connection, settings, ada, "none.csv")


def test_names_are_listed_for_whoever_sees_a_run(had: Had, log: Log) -> None:
    """The names of datasets, the one with the newest run first, of runs that one may see."""
    had("a.csv", OLD)
    had("b.csv", OLD)
    had("secret.csv", SECRET, visibility=Visibility.CHANNEL, channel="G0SECRET")
    had("a.csv", NEW)
    with log.read() as connection:
        assert datasets.names(connection, Principal("T0TEAM", BOB, Source.SLACK, "C0ALL")) == ["a.csv", "b.csv"]
        assert "secret.csv" in datasets.names(connection, Principal("T0TEAM", BOB, Source.SLACK, "G0SECRET"))
        assert datasets.names(connection, Principal("T0OTHER", BOB, Source.SLACK, "C0ALL")) == []


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TlsHost:
    """A host at 127.0.0.1, which counts as public here."""
    host = TlsHost(tmp_path, "data.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(host.authority))
    monkeypatch.setattr(socket, "getaddrinfo", at("127.0.0.1"))
    monkeypatch.setattr(from_https, "is_public", lambda address: address == "127.0.0.1")
    return host


@pytest.mark.parametrize("source", Source)
def test_an_address_is_read_by_every_door(
    host: TlsHost, log: Log, store: BlobStore, settings: Settings, source: Source
) -> None:
    """A dataset by its address is fetched when the run is prepared, called by its file's name, and told of."""
    with host:
        host.pages["/2026/churn.csv"] = gives(NEW)
        allowed = settings.model_copy(update={"dataset_hosts": f"data.example.com:{host.port}"})
        address = f"https://data.example.com:{host.port}/2026/churn.csv"
        principal = Principal("T0TEAM", ADA, source, "C0ALL", Role.TRAINER)
        asked = Submission(spec=TrainSpec(dataset=f"{address}?raw=1"), principal=principal, words="")
        with log.write() as connection:
            number, _ = submission.write(connection, allowed, asked)
        kept: list[int] = []
        assert submission.prepare(log, store, allowed, number, keep=lambda: kept.append(1))
    with log.read() as connection:
        run = runs.get(connection, number)
    assert body_of(store, run) == NEW
    assert (run.dataset_name, run.dataset_source) == ("churn.csv", {"address": address})


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("dataset", ["https://data.example.com/a.csv", "http://localhost/a.csv", "s3://ml-data/a.csv"])
def test_an_address_that_is_not_taken_writes_nothing(
    log: Log, settings: Settings, source: Source, dataset: str
) -> None:
    """An address that is on no list is refused at every door before a run is written."""
    principal = Principal("T0TEAM", ADA, source, "C0ALL", Role.TRAINER)
    asked = Submission(spec=TrainSpec(dataset=dataset), principal=principal, words="")
    with pytest.raises(RefusedWords) as met, log.write() as connection:
        submission.write(connection, settings, asked)
    assert met.value.code in ("address_not_listed", "address_refused")
    with log.read() as connection:
        assert runs.listed(connection, Principal("T0TEAM", ADA, Source.SHELL)) == []


def test_an_address_that_gives_nothing_ends_the_run(
    host: TlsHost, log: Log, store: BlobStore, settings: Settings
) -> None:
    """A page instead of a file ends the run as failed, with the reason; nothing stays in the store."""
    with host:
        host.pages["/churn.csv"] = gives(b"<html>Sign in</html>", "text/html")
        allowed = settings.model_copy(update={"dataset_hosts": f"data.example.com:{host.port}"})
        dataset = f"https://data.example.com:{host.port}/churn.csv"
        principal = Principal("T0TEAM", ADA, Source.SLACK, "C0ALL", Role.TRAINER)
        with log.write() as connection:
            asked = Submission(spec=TrainSpec(dataset=dataset), principal=principal, words="")
            number, _ = submission.write(connection, allowed, asked)
        assert not submission.prepare(log, store, allowed, number)
    with log.read() as connection:
        run = runs.get(connection, number)
    assert run.problem is not None
    assert run.problem.code == "dataset_not_table"
    assert [file for file in settings.store_folder.rglob("*") if file.is_file()] == []

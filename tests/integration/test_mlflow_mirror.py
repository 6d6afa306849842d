"""The MLflow mirror: what ended stands there once, whatever happens in between; MLflow away costs a run nothing."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select, update
from support.deadline import until
from support.fake_mlflow import FakeMlflow
from support.http_client import bot_process
from support.log_acts import ADA, NEW, PROBLEM, asked, claimed, queued
from support.place import Place

from bot.delivery.mlflow_mirror import MlflowMirror
from bot.delivery.mlflow_rest import metric, name_text
from bot.delivery.webhooks import MOST_TRIES
from shared.access import Visibility
from shared.blobs import BlobStore
from shared.errors import RefusedWords
from shared.events import EpochDone
from shared.log import attempts, runs, tables
from shared.log.attempts import Outcome
from shared.log.engine import Log, now, open_log
from shared.log.runs import Artifact, NewRun
from shared.settings import Settings, load_settings
from shared.specs import TrainSpec


@pytest.fixture
def mlflow() -> Iterator[FakeMlflow]:
    with FakeMlflow() as fake:
        yield fake


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


def settings_of(folder: Path, uri: str) -> Settings:
    return Settings(home=folder, mlflow_tracking_uri=SecretStr(uri))


@pytest.fixture
def mirror(tmp_path: Path, log: Log, store: BlobStore, mlflow: FakeMlflow) -> MlflowMirror:
    return MlflowMirror(settings_of(tmp_path, mlflow.uri), log, store, wait=lambda _tries: 0.0)


def told(mirror: MlflowMirror, *, at_most: int = 100) -> int:
    """How many times the mirror had something to do."""
    for count in range(at_most):
        if not mirror.send_next():
            return count
    raise AssertionError


def succeeded(log: Log, store: BlobStore, tmp_path: Path, new: NewRun = NEW, *, epochs: int = 3) -> int:
    """A run that ended well, with curves, metrics and files."""
    number = queued(log, new)
    attempt = claimed(log)
    artifacts = []
    for name, content in (("model.onnx", b"onnx"), ("report.json", b"{}")):
        (tmp_path / name).write_bytes(content)
        blob = store.put_file(tmp_path / name)
        artifacts.append(Artifact(name=name, sha256=blob.sha256, size_bytes=blob.size_bytes))
    result = {
        "headline": "r2",
        "metrics": {"test": {"r2": 0.5, "hits@5": 1.0, "none": None}},
        "dataset": {"rows": 7, "columns": 2, "content_sha256": "c" * 64},
        "plan": {"lr": 0.1, "versions": {"python": "3.11.7", "onnxruntime": "1.32.0"}},
        "target": "y",
    }
    with log.write() as connection:
        for epoch in range(1, epochs + 1):
            done = EpochDone(model="mlp", epoch=epoch, epochs=epochs, train_loss=1 / epoch, validation_loss=2 / epoch)
            attempts.record(connection, attempt, done)
        attempts.succeed(connection, attempt, Outcome(result, result["metrics"], artifacts))
    return number


def promote(log: Log, run: int, *, alias: str = "champion", dataset: str = "churn") -> None:
    row = {"team_id": "T1", "dataset": dataset, "alias": alias, "run_id": run, "why": "better", "by": "U0ADA"}
    with log.write() as connection:
        connection.execute(insert(tables.promotions).values(**row, at=now(connection)))


def row_of(log: Log, number: int) -> tuple[bool, str | None]:
    """Whether a run's row is done, and what is said of it."""
    mirrored = tables.mirrored.c
    with log.read() as connection:
        row = connection.execute(
            select(mirrored.done_at, mirrored.problem).where(mirrored.kind == "run", mirrored.number == number)
        ).one()
    return row.done_at is not None, row.problem


def test_an_ended_run_stands_in_mlflow(
    log: Log, store: BlobStore, tmp_path: Path, mlflow: FakeMlflow, mirror: MlflowMirror
) -> None:
    """Params, curves, metrics, the dataset, every file, the model's folder and the state."""
    number = succeeded(log, store, tmp_path)
    queued(log)
    assert told(mirror) == 1
    run = mlflow.run(f"T1/{number}")
    assert run["info"]["status"] == "FINISHED"
    assert run["tags"]["mlflow.user"] == "U0ADA"
    assert (run["params"]["dataset"], run["params"]["plan.lr"], run["params"]["resolved.target"]) == (
        "a.csv",
        "0.1",
        "y",
    )
    metrics = {(key, step): value for key, step, _, value in run["metrics"]}
    assert [metrics["mlp.train_loss", epoch] for epoch in (1, 2, 3)] == [1.0, 0.5, 1 / 3]
    assert (metrics["test.r2", 0], metrics["test.hits_at_5", 0]) == (0.5, 1.0)
    assert not any("none" in key for key, _ in metrics)
    assert run["datasets"] == [run["datasets"][0]]
    assert run["datasets"][0]["digest"] == "c" * 32
    assert sorted(run["files"]) == [
        "model/MLmodel",
        "model/model.onnx",
        "model/python_env.yaml",
        "model/requirements.txt",
        "report.json",
    ]
    assert json.loads(run["files"]["model/MLmodel"])["flavors"]["onnx"]["data"] == "model.onnx"
    assert told(mirror) == 0


def test_failed_and_cancelled_runs_stand_there_too(log: Log, mlflow: FakeMlflow, mirror: MlflowMirror) -> None:
    """With what went wrong."""
    with log.write() as connection:
        failed, cancelled = asked_twice = (runs.create(connection, NEW)[0], runs.create(connection, NEW)[0])
        runs.fail_waiting(connection, failed, PROBLEM)
        runs.cancel(connection, cancelled, by="U0ADA")
    assert told(mirror) == len(asked_twice)
    assert mlflow.run(f"T1/{failed}")["info"]["status"] == "FAILED"
    assert mlflow.run(f"T1/{failed}")["tags"]["lml.problem"].startswith("target_missing: ")
    assert mlflow.run(f"T1/{cancelled}")["info"]["status"] == "KILLED"


def test_only_what_the_team_sees_is_mirrored(log: Log, mlflow: FakeMlflow, mirror: MlflowMirror) -> None:
    """A run of a private channel stays there."""
    for visibility in (Visibility.CHANNEL, Visibility.PRIVATE):
        number = asked(log, replace(NEW, visibility=visibility, principal=ADA))
        with log.write() as connection:
            runs.cancel(connection, number, by="U0ADA")
    assert told(mirror) == 0
    assert not mlflow.calls


@pytest.mark.parametrize("fault", ["before", "after", "500"])
def test_a_cut_at_any_call_leaves_no_double(
    fault: str, log: Log, store: BlobStore, tmp_path: Path, mlflow: FakeMlflow, mirror: MlflowMirror
) -> None:
    """Each call is cut once, before or after it was carried out; in the end everything stands there once."""
    number = succeeded(log, store, tmp_path)
    promote(log, number)
    met: set[str] = set()

    def once(what: str) -> str | None:
        if what in met:
            return None
        met.add(what)
        return fault

    mlflow.fault = once
    tries = told(mirror)
    assert tries >= 10
    assert len(mlflow.runs) == len(mlflow.experiments) == 1
    run = mlflow.run(f"T1/{number}")
    assert len(run["metrics"]) == 3 * 2 + 2
    assert len(run["datasets"]) == 1
    assert [version["run_id"] for version in mlflow.models["churn"]] == [run["info"]["run_id"]]
    assert mlflow.aliases == {("churn", "champion"): "1"}


def test_mlflow_away_costs_nothing_and_is_caught_up(
    log: Log, store: BlobStore, tmp_path: Path, mlflow: FakeMlflow
) -> None:
    """Runs end as ever while nothing listens there; when it is back, all of them come."""
    waits: list[int] = []
    away = MlflowMirror(
        settings_of(tmp_path, "http://127.0.0.1:9"), log, store, wait=lambda tries: waits.append(tries) or 0.0
    )
    numbers = [succeeded(log, store, tmp_path) for _ in range(3)]
    for _ in range(6):
        assert away.send_next()
    assert [row_of(log, number)[0] for number in numbers] == [False] * 3
    back = MlflowMirror(settings_of(tmp_path, mlflow.uri), log, store)
    assert told(back) == 3
    assert sorted(waits) == [1, 1, 1, 2, 2, 2]
    assert {run["info"]["status"] for run in mlflow.runs.values()} == {"FINISHED"}


def test_what_never_succeeds_is_given_up(log: Log, tmp_path: Path, store: BlobStore) -> None:
    """After so many tries, with the reason kept."""
    number = succeeded(log, store, tmp_path)
    away = MlflowMirror(settings_of(tmp_path, "http://127.0.0.1:9"), log, store, wait=lambda _tries: 0.0)
    assert told(away) == MOST_TRIES
    done, problem = row_of(log, number)
    assert done
    assert problem is not None
    assert "ConnectionRefusedError" in problem


def test_the_newest_promotion_counts(
    log: Log, store: BlobStore, tmp_path: Path, mlflow: FakeMlflow, mirror: MlflowMirror
) -> None:
    """In whatever order they are told, the alias means the model that was promoted last."""
    first, second = succeeded(log, store, tmp_path), succeeded(log, store, tmp_path)
    for run in (first, second):
        promote(log, run)
    assert told(mirror) == 4
    (version,) = mlflow.models["churn"]
    assert version["run_id"] == mlflow.run(f"T1/{second}")["info"]["run_id"]
    promote(log, first)
    assert told(mirror) == 1
    assert mlflow.aliases == {("churn", "champion"): "2"}


def test_a_private_champion_hides_no_other(
    log: Log, store: BlobStore, tmp_path: Path, mlflow: FakeMlflow, mirror: MlflowMirror
) -> None:
    """The alias means the newest of the models that the team sees."""
    seen = succeeded(log, store, tmp_path)
    hidden = succeeded(log, store, tmp_path, replace(NEW, visibility=Visibility.PRIVATE))
    for run in (seen, hidden):
        promote(log, run)
    assert told(mirror) == 2
    (version,) = mlflow.models["churn"]
    assert version["run_id"] == mlflow.run(f"T1/{seen}")["info"]["run_id"]


def test_nothing_to_tell_writes_nothing(log: Log, mirror: MlflowMirror, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bot that looks every few seconds takes no lock of a writer for it."""
    monkeypatch.setattr(log, "write", None)
    assert not mirror.send_next()


def test_a_server_with_a_store_of_its_own(
    log: Log, store: BlobStore, tmp_path: Path, mlflow: FakeMlflow, mirror: MlflowMirror
) -> None:
    """One that does not take artifacts has everything else, and the row says what is missing."""
    mlflow.served = False
    number = succeeded(log, store, tmp_path)
    assert told(mirror) == 1
    assert mlflow.run(f"T1/{number}")["info"]["status"] == "FINISHED"
    done, problem = row_of(log, number)
    assert done
    assert problem is not None
    assert "ARTIFACTS_NOT_SERVED" in problem


def test_a_backlog_is_enrolled_in_parts(log: Log, mlflow: FakeMlflow, mirror: MlflowMirror) -> None:
    """What ended before there was a mirror comes too, the oldest first."""
    with log.write() as connection:
        numbers = [runs.create(connection, NEW)[0] for _ in range(5)]
        for number in numbers:
            runs.cancel(connection, number, by="U0ADA")
        old = now(connection).replace(year=2025)
        connection.execute(update(tables.runs).where(tables.runs.c.id.in_(numbers[3:])).values(ended_at=old))
    assert told(mirror) == 5
    first = next(iter(mlflow.runs.values()))
    assert first["tags"]["lml.run"] in {str(number) for number in numbers[3:]}


def test_two_bots_share_the_work(
    log: Log, store: BlobStore, tmp_path: Path, mlflow: FakeMlflow, mirror: MlflowMirror
) -> None:
    """What one has under its lease the other leaves alone."""
    number = succeeded(log, store, tmp_path)
    other = MlflowMirror(settings_of(tmp_path, mlflow.uri), log, store)
    seen: list[bool] = []
    mlflow.fault = lambda what: seen.append(other.send_next()) if what == "runs/create" else None
    assert told(mirror) == 1
    assert seen == [False]
    assert mlflow.run(f"T1/{number}")["info"]["status"] == "FINISHED"


def test_a_bot_mirrors_once_it_is_told_where(make_place: Callable[..., Place], mlflow: FakeMlflow) -> None:
    """`python -m bot` with the address of an MLflow has what ended before it started stand there."""
    place = make_place()
    log = open_log(place.settings.log_url)
    with log.write() as connection:
        number, _ = runs.create(connection, NEW)
        runs.cancel(connection, number, by="U0ADA")
    with bot_process(place.settings, LML_HTTP="yes", LML_MLFLOW_TRACKING_URI=mlflow.uri) as process:
        until(lambda: any(run["info"]["status"] == "KILLED" for run in mlflow.runs.values()), within_s=30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    assert mlflow.run(f"T1/{number}")["tags"]["lml.kind"] == "train"


def test_numbers_and_names_as_mlflow_takes_them() -> None:
    """What JSON has no number for is a word; names lose what MLflow refuses."""
    assert [metric("a", value, at_ms=1)["value"] for value in (float("nan"), float("inf"), -float("inf"), 0.5)] == [
        "NaN",
        "Infinity",
        "-Infinity",
        0.5,
    ]
    assert (name_text("hits@5"), name_text("f(x)=ä"), len(name_text("n" * 300))) == ("hits_at_5", "f_x__ä", 250)


def test_a_wrong_password_is_tried_again(
    log: Log, store: BlobStore, tmp_path: Path, mlflow: FakeMlflow, mirror: MlflowMirror
) -> None:
    """What an operator can mend loses nothing."""
    succeeded(log, store, tmp_path)
    left = [3]

    def locked(_what: str) -> str | None:
        left[0] -= 1
        return "401" if left[0] >= 0 else None

    mlflow.fault = locked
    assert told(mirror) == 4
    assert len(mlflow.runs) == 1


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "mlflow.example:5000", "https://"])
def test_an_address_that_is_none_is_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent."""
    monkeypatch.setenv("LML_MLFLOW_TRACKING_URI", uri)
    with pytest.raises(RefusedWords, match="LML_MLFLOW_TRACKING_URI"):
        load_settings()


def test_seeds_stand_below_their_run(log: Log, mlflow: FakeMlflow, mirror: MlflowMirror) -> None:
    """As nested runs, whichever ends first; in the end their run is told with its means, spreads and tags."""
    spec = TrainSpec(dataset="a.csv", seeds=2, name="March")
    parent = queued(log, replace(NEW, spec=spec))
    first = claimed(log)
    with log.write() as connection:
        attempts.succeed(
            connection, first, Outcome(result={"metrics": {"test": {"r2": 0.5}}}, metrics={}, artifacts=[])
        )
    assert told(mirror) == 1
    above = mlflow.run(f"T1/{parent}")
    assert (above["info"]["status"], above["tags"].get("lml.content_sha256")) == ("RUNNING", None)
    second, gathering = claimed(log), {"metrics": {"test": {"r2": 0.5}}, "sd": {"test": {"r2": 0.02}}}
    with log.write() as connection:
        attempts.fail(connection, second, PROBLEM)
    last = claimed(log)
    result = {**gathering, "dataset": {"content_sha256": "c" * 64}}
    with log.write() as connection:
        attempts.succeed(connection, last, Outcome(result=result, metrics={}, artifacts=[]))
    assert told(mirror) == 2
    assert len(mlflow.runs) == 3
    above = mlflow.run(f"T1/{parent}")
    assert (above["info"]["status"], above["tags"]["lml.content_sha256"]) == ("FINISHED", "c" * 64)
    assert {(key, value) for key, _, _, value in above["metrics"]} == {("test.r2", 0.5), ("test.r2.sd", 0.02)}
    for attempt in (first, second):
        assert mlflow.run(f"T1/{attempt.run}")["tags"]["mlflow.parentRunId"] == above["info"]["run_id"]

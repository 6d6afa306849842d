"""Forgetting a dataset: its bytes and what quotes them go, models and figures stay, and it is said for ever."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.desk import Answer, Desk
from bot.grammar import parse
from shared import forgetting, submission
from shared.access import Principal, Role, Source, authorize
from shared.blobs import BlobStore
from shared.errors import Problem, RefusedWords
from shared.events import DatasetRead
from shared.log import attempts, forgotten, runs, tables
from shared.log.attempts import Outcome
from shared.log.engine import Log
from shared.log.runs import Artifact, NewRun
from shared.retention import tidy
from shared.settings import Settings
from shared.specs import AnySpec, CompareSpec, DescribeSpec, EvaluateSpec, PredictSpec, TrainSpec
from shared.submission import Submission

SHELL = Principal(team_id="local", user_id="ada", source=Source.SHELL)
SLACK = Principal(team_id="local", user_id="U0EVE", source=Source.SLACK, channel_id="C1", role=Role.TRAINER)
SECRET = "Florence-Nightingale"
REPORT: dict[str, Any] = {
    "kind": "train",
    "task": "binary",
    "target": "churned",
    "headline": "accuracy",
    "metrics": {"test": {"accuracy": 0.8}},
    "dataset": {"rows": 10, "columns": 2},
    "columns": [
        {"name": "who", "kind": "category", "reason": f"words such as {SECRET}", "used": True, "words": [SECRET]}
    ],
    "findings": [{"code": "x", "sentence": f"first in row 3: {SECRET}", "facts": {"first_cell": SECRET}}],
    "warnings": [f"`who` holds {SECRET}."],
    "residuals": {"worst": [{"row": 3, "actual": SECRET}]},
    "something_new": SECRET,
}


@pytest.fixture
def desk(log: Log, tmp_path: Path) -> Desk:
    """A shell, on both engines."""
    settings = Settings(home=tmp_path)
    return Desk(settings=settings, log=log, store=BlobStore(settings.store_folder), principal=SHELL)


def read(
    desk: Desk,
    spec: AnySpec,
    *,
    data: bytes = b"bytes of the table",
    files: dict[str, bytes] | None = None,
    end: str = "succeeded",
    parents: tuple[int, ...] = (),
) -> int:
    """A run that has read a dataset, and left files."""
    name = getattr(spec, "dataset", None)
    new = NewRun(spec=spec, words=spec.kind, principal=SHELL, dataset_name=name, parents=parents)
    sha256 = desk.store.put_chunks([data]).sha256 if name else None
    blobs = {name: desk.store.put_chunks([content]) for name, content in (files or {}).items()}
    artifacts = [Artifact(name=name, sha256=blob.sha256, size_bytes=blob.size_bytes) for name, blob in blobs.items()]
    with desk.log.write() as connection:
        number, _ = runs.create(connection, new)
        runs.queue(connection, number, dataset_sha256=sha256)
        if end == "queued":
            return number
        taken = attempts.claim(connection, worker="w", lease_s=60)
        assert taken is not None
        said = DatasetRead(rows=1, columns=1, target="t", task="binary", warnings=(f"quotes {SECRET}",))
        attempts.record(connection, taken[0], said)
        if end == "failed":
            attempts.fail(connection, taken[0], Problem("dates_differ", f"No date: {SECRET}", "Mend it."))
        else:
            attempts.succeed(connection, taken[0], Outcome(result=REPORT, metrics={}, artifacts=artifacts))
    return number


def trained(desk: Desk, **more: Any) -> int:
    """A train run with the files that one leaves."""
    texts = {name: f"{name} quotes {SECRET} in {more}".encode() for name in ("model_card.md", "data_card.md")}
    files = {
        "model.onnx": b"the model",
        "report.json": json.dumps(REPORT).encode(),
        "test_predictions.csv": f"row,actual\n1,{SECRET}\n{more}".encode(),
        "rows.parquet": f"hashes {SECRET} {more}".encode(),
        "residuals.png": f"drawn {SECRET} {more}".encode(),
        "loss_curve.png": b"a curve",
    }
    return read(desk, TrainSpec(dataset="churn.csv"), files=files | texts, **more)


def said(desk: Desk, *words: str) -> Answer:
    """What a verb answers."""
    command = parse(words)
    assert command.verb.answer is not None
    answer = command.verb.answer(desk, command.request)
    assert json.loads(json.dumps(answer.envelope, allow_nan=False)) == answer.envelope
    return answer


def names(desk: Desk, run: int) -> set[str]:
    """The files that a run has."""
    with desk.log.read() as connection:
        return {one.name for one in runs.artifacts_of(connection, run)}


def holds_secret(folder: Path) -> list[str]:
    """The files below a folder in which the cell still stands."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [str(path.relative_to(folder)) for path in files if SECRET.encode() in path.read_bytes()]


def test_nothing_is_erased_without_a_yes(desk: Desk) -> None:
    """Without confirm=yes the answer names the runs and files that would go, and all of them are still there."""
    number = trained(desk)
    answer = said(desk, "forget", "churn.csv")
    assert answer.card.headline == "nothing was erased yet"
    assert answer.envelope["forgotten"] is False
    assert answer.envelope["runs"] == [number]
    assert {"test_predictions.csv", "rows.parquet", "report.json"} <= {one["name"] for one in answer.envelope["files"]}
    assert "test_predictions.csv" in names(desk, number)
    assert desk.store.path_of(answer.envelope["dataset"]["sha256"]).is_file()


def test_a_forgotten_dataset_leaves_models_figures_and_a_tombstone(desk: Desk, tmp_path: Path) -> None:
    """No file of the home holds the cell any more; the model, the figures and who forgot it, when and why stay."""
    number = trained(desk)
    read(desk, DescribeSpec(dataset="churn.csv", write="clean.csv"), files={"clean.csv": SECRET.encode()})
    read(desk, PredictSpec(run=number, dataset="churn.csv"), files={"predictions.csv": f"p {SECRET}".encode()})
    read(desk, TrainSpec(dataset="churn.csv"), end="failed")
    compared = read(
        desk,
        CompareSpec(runs=(number, number + 3)),
        files={"paired.csv": f"c {SECRET}".encode()},
        parents=(number, number + 3),
    )
    said(desk, "show", str(number))  # copies its files out
    checkpoint = desk.settings.checkpoints_folder / str(number) / "1" / "state"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text(SECRET)
    assert holds_secret(tmp_path)
    answer = said(desk, "forget", "churn.csv", "confirm=yes", "why=a customer asked")
    assert answer.envelope["runs"] == [number, number + 1, number + 2, number + 3, compared]
    assert holds_secret(tmp_path) == []
    assert names(desk, number) == {"model.onnx", "loss_curve.png", "report.json", "model_card.md", "data_card.md"}
    assert names(desk, number + 1) == names(desk, number + 2) == names(desk, compared) == set()
    for run in range(number, compared + 1):
        assert said(desk, "show", str(run)).card.notes[0].startswith("The dataset churn.csv was forgotten on 20")
    shown = said(desk, "show", str(number))
    assert shown.envelope["metrics"]["test"]["accuracy"] == 0.8
    assert shown.envelope["forgotten"]["by"] == "ada"
    assert shown.card.notes[0].startswith("The dataset churn.csv was forgotten on 20")
    assert shown.card.notes[0].endswith(" by ada: a customer asked.")
    assert SECRET not in json.dumps(shown.envelope)
    with desk.log.read() as connection:
        (row,) = connection.execute(select(tables.forgotten)).all()
        bodies = json.dumps([event.body for event in connection.execute(select(tables.events))])
        problem = runs.get(connection, number + 3).problem
    assert SECRET not in bodies
    assert problem is not None
    assert (problem.code, problem.message) == ("dates_differ", forgotten.REDACTED)
    assert (row.by, row.why, row.runs[0]) == ("ada", "a customer asked", number)
    assert row.done_at is not None
    assert {one["name"] for one in row.erased} >= {"test_predictions.csv", "clean.csv", "predictions.csv", "paired.csv"}


def test_what_needs_the_bytes_says_who_forgot_them(desk: Desk) -> None:
    """Retrying, scoring and comparing are refused with the day and the person; predicting goes on."""
    number, failed = trained(desk), read(desk, TrainSpec(dataset="churn.csv"), end="failed")
    other = trained(desk, data=b"other bytes")
    with desk.log.read() as connection:
        sha256 = runs.get(connection, number).dataset_sha256
    said(desk, "forget", str(sha256)[:12], "confirm=yes")

    def asked(spec: AnySpec, source: dict[str, Any] | None = None) -> None:
        with desk.log.write() as connection:
            new = Submission(spec=spec, principal=SHELL, words="x", dataset_source=source)
            submission.write(connection, desk.settings, new)

    for refused in (
        lambda: asked(TrainSpec(dataset="churn.csv"), {"sha256": sha256}),
        lambda: asked(TrainSpec(dataset=f"sha256:{sha256}")),
        lambda: asked(EvaluateSpec(run=number, dataset="new.csv")),
        lambda: asked(CompareSpec(runs=(number, other))),
        lambda: said(desk, "forget", str(sha256)),
    ):
        with pytest.raises(RefusedWords) as met:
            refused()
        assert met.value.code == "dataset_forgotten"
        assert "was forgotten on 20" in str(met.value)
        assert " by ada." in str(met.value)
    asked(PredictSpec(run=number, dataset="new.csv"))
    with desk.log.write() as connection:
        from bot.again import Again, How, submission_of

        with pytest.raises(RefusedWords, match="was forgotten on"):
            submission_of(connection, desk, Again(run=failed, how=How.RETRY))


def test_what_others_share_stays(desk: Desk) -> None:
    """A file whose bytes another run has too is kept in the store, and gone from the run that was forgotten."""
    trained(desk)
    shared = {"predictions.csv": b"row,actual\n"}
    first = read(desk, PredictSpec(run=1, dataset="churn.csv"), files=shared)
    second = read(desk, PredictSpec(run=1, dataset="new.csv"), data=b"new bytes", files=shared)
    retrained = read(desk, TrainSpec(dataset="predictions.csv"), data=b"row,actual\n")
    said(desk, "forget", "churn.csv", "confirm=yes")
    assert (names(desk, first), names(desk, second)) == (set(), {"predictions.csv"})
    with desk.log.read() as connection:
        (artifact,) = runs.artifacts_of(connection, second)
        assert desk.store.path_of(artifact.sha256).is_file()
        assert forgotten.of_run(connection, runs.get(connection, retrained)) is None


def test_the_same_bytes_may_come_in_again(desk: Desk) -> None:
    """Who brings the file again may use it again: that is a decision of its own; it can be forgotten once more."""
    old = trained(desk)
    said(desk, "forget", "churn.csv", "confirm=yes")
    again = trained(desk)
    with desk.log.read() as connection:
        run = runs.get(connection, again)
        assert forgotten.of_run(connection, run) is None
        assert forgotten.of_run(connection, runs.get(connection, old)) is not None
        assert forgotten.of_dataset(connection, str(run.dataset_sha256)) is None
    tidy(desk.log, desk.settings)
    assert desk.store.path_of(str(run.dataset_sha256)).is_file()
    assert said(desk, "forget", "churn.csv", "confirm=yes").envelope["runs"] == [old, again]


def test_the_sweep_finishes_what_was_broken_off(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When the machine dies after the tombstone was written, the next sweep erases the bytes."""
    trained(desk)

    def die(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(forgetting, "finish", die)
        with pytest.raises(ZeroDivisionError):
            said(desk, "forget", "churn.csv", "confirm=yes")
    assert holds_secret(tmp_path / "store")
    with desk.log.read() as connection:
        assert len(forgotten.unfinished(connection)) == 1
    assert any("was forgotten on" in one for one in tidy(desk.log, desk.settings))
    assert holds_secret(tmp_path / "store") == []
    assert tidy(desk.log, desk.settings) == []


def test_what_cannot_be_forgotten_is_refused(desk: Desk) -> None:
    """A dataset that nobody read, one that stands for two contents, and one that a run still needs."""
    with pytest.raises(RefusedWords) as met:
        said(desk, "forget", "nothing.csv")
    assert met.value.code == "dataset_not_run"
    trained(desk)
    waiting = trained(desk, data=b"others", end="queued")
    with pytest.raises(RefusedWords) as met:
        said(desk, "forget", "churn.csv")
    assert met.value.code == "dataset_ambiguous"
    with desk.log.read() as connection:
        sha256 = runs.get(connection, waiting).dataset_sha256
    with pytest.raises(RefusedWords, match=f"these have not: {waiting}") as met:
        said(desk, "forget", str(sha256))
    assert met.value.code == "dataset_in_use"


def test_only_admins_forget(desk: Desk) -> None:
    """A shell may, and from Slack admins; they reach the runs of their team only."""
    authorize(SHELL, "forget")
    authorize(replace(SLACK, role=Role.ADMIN), "forget")
    with pytest.raises(RefusedWords, match="needs the role admin") as met:
        authorize(SLACK, "forget", owner="U0EVE")
    assert met.value.code == "not_allowed"
    trained(desk)
    stranger = replace(desk, principal=replace(SLACK, role=Role.ADMIN, team_id="T2"))
    with pytest.raises(RefusedWords, match="No run has read"):
        said(stranger, "forget", "churn.csv")

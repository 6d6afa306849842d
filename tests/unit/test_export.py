"""Exports: one run as a zip that stands alone, the log as a table."""

import csv
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import polars as pl
import pytest
from support.empty_logs import empty_log

from bot.desk import Answer, Desk
from bot.export.reading import PREDICT_EXAMPLE
from bot.grammar import parse
from shared.access import Principal, Role, Source, Visibility, authorize
from shared.blobs import BlobStore
from shared.errors import Problem, RefusedWords, RunFailed
from shared.log import attempts, beside, runs
from shared.log.attempts import Outcome
from shared.log.runs import Artifact, NewRun
from shared.settings import Settings
from shared.specs import TrainSpec
from workers.core.train import train

SHELL = Principal(team_id="local", user_id="ada", source=Source.SHELL)
SLACK = Principal(team_id="local", user_id="U0ADA", source=Source.SLACK, channel_id="C1", role=Role.TRAINER)
RESULT: dict[str, Any] = {"kind": "train", "target": "churned", "task": "binary", "headline": "accuracy"}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk of a shell whose current folder is empty."""
    settings = Settings(home=tmp_path / "home")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Desk(
        settings=settings, log=empty_log(settings.log_url), store=BlobStore(settings.store_folder), principal=SHELL
    )


def written(
    desk: Desk,
    *,
    files: dict[str, bytes] | None = None,
    result: dict[str, Any] | None = None,
    ended: bool = True,
    problem: Problem | None = None,
    principal: Principal = SHELL,
    words: str = "train churn.csv",
) -> int:
    """A train run with these files."""
    spec = TrainSpec(dataset="churn.csv", name="March")
    private = Visibility.PRIVATE if principal.source is Source.SLACK else Visibility.TEAM
    new = NewRun(spec=spec, words=words, principal=principal, visibility=private, dataset_name="churn.csv")
    artifacts = []
    for name, content in (files or {}).items():
        blob = desk.store.put_chunks([content])
        artifacts.append(Artifact(name=name, sha256=blob.sha256, size_bytes=blob.size_bytes))
    with desk.log.write() as connection:
        number, _ = runs.create(connection, new)
        runs.queue(connection, number, dataset_sha256="d" * 64)
        if not ended:
            return number
        taken = attempts.claim(connection, worker="w1", lease_s=60)
        assert taken is not None
        if problem is not None:
            attempts.fail(connection, taken[0], problem)
            return number
        metrics = {"test": {"accuracy": 0.8, "roc_auc": None}, "baseline": {"accuracy": 0.5}}
        outcome = Outcome(result=result or RESULT | {"metrics": metrics}, metrics=metrics, artifacts=artifacts)
        attempts.succeed(connection, taken[0], outcome)
    return number


def exported(desk: Desk, *words: str) -> Answer:
    """What `export` says."""
    command = parse(("export", *words))
    assert command.verb.answer is not None
    answer = command.verb.answer(desk, command.request)
    assert json.loads(json.dumps(answer.envelope, allow_nan=False)) == answer.envelope
    return answer


def test_a_zip_holds_all_of_a_run_with_its_sums(desk: Desk) -> None:
    """Spec, figures, events, cards, packages and every artifact are in it, and SHA256SUMS names each with its hash."""
    lock = json.dumps({"packages": ["lml==0.1.0", "torch==2.13.0"]}).encode()
    number = written(desk, files={"model.onnx": b"model", "loss.png": b"plot", "environment.json": lock})
    answer = exported(desk, str(number))
    place = Path.cwd() / f"run-{number}.zip"
    assert answer.envelope["written"] == str(place)
    with ZipFile(place) as archive:
        folder = f"run-{number}/"
        files = {name.removeprefix(folder): archive.read(name) for name in archive.namelist()}
    assert set(files) == {
        "README.txt",
        "SHA256SUMS",
        "data_card.md",
        "environment.json",
        "events.jsonl",
        "history.csv",
        "loss.png",
        "metrics.csv",
        "model.onnx",
        "model_card.md",
        "predict.py",
        "report.json",
        "requirements.txt",
        "run.json",
        "spec.json",
    }
    sums = dict(reversed(line.split("  ", 1)) for line in files["SHA256SUMS"].decode().splitlines())
    assert sums == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != "SHA256SUMS"
    }
    assert json.loads(files["spec.json"])["name"] == "March"
    assert files["metrics.csv"].decode().splitlines()[1:] == ["baseline,accuracy,0.5", "test,accuracy,0.8"]
    assert files["requirements.txt"] == b"torch==2.13.0\n"
    kinds = [json.loads(line)["kind"] for line in files["events.jsonl"].decode().splitlines()]
    assert kinds == ["queued", "started", "succeeded"]
    assert all(name in files["README.txt"].decode() for name in {*files} - {"README.txt"})


def test_the_same_run_gives_the_same_bytes(desk: Desk) -> None:
    """A second export makes the same zip, so the file that is there already is fine; another file is never touched."""
    number = written(desk, files={"model.onnx": b"model"})
    exported(desk, str(number))
    exported(desk, str(number))
    exported(desk, str(number), "out=second.zip")
    assert Path(f"run-{number}.zip").read_bytes() == Path("second.zip").read_bytes()
    Path("mine.zip").write_text("mine")
    with pytest.raises(RefusedWords, match="is there already, and holds something else") as met:
        exported(desk, str(number), "--out", "mine.zip")
    assert met.value.code == "write_exists"
    assert Path("mine.zip").read_text() == "mine"
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["mine.zip", f"run-{number}.zip", "second.zip"]


def test_a_failed_run_is_exported_and_a_waiting_one_refused(desk: Desk) -> None:
    """What has ended can be exported, also without a model; what has not is refused."""
    failed = written(desk, problem=Problem("diverged", "The loss is no number."))
    exported(desk, str(failed))
    with ZipFile(f"run-{failed}.zip") as archive:
        assert "run-1/predict.py" not in archive.namelist()
        assert "Predict without" not in archive.read("run-1/README.txt").decode()
    waiting = written(desk, ended=False)
    with pytest.raises(RefusedWords) as met:
        exported(desk, str(waiting))
    assert met.value.code == "run_not_ended"
    assert not Path(f"run-{waiting}.zip").exists()


def test_missing_bytes_leave_no_half_file(desk: Desk) -> None:
    """When the store lacks an artifact the export fails, and leaves nothing behind."""
    number = written(desk, files={"model.onnx": b"model"})
    desk.store.path_of(hashlib.sha256(b"model").hexdigest()).unlink()
    with pytest.raises(RunFailed) as met:
        exported(desk, str(number))
    assert met.value.code == "blob_missing"
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("regression", [False, True])
def test_the_example_predicts_as_we_do(desk: Desk, tmp_path: Path, *, regression: bool) -> None:
    """`predict.py` of the zip, run by itself with the zip's model, says of the test rows what our report says."""
    lines = [
        f"{k},{'' if k % 9 == 0 else k % 7},{'red' if k % 3 else 'blue'},{k % 7 if regression else 'ab'[k % 7 > 3]}"
        for k in range(150)
    ]
    data = tmp_path / "table.csv"
    data.write_text("\n".join(["n;size;colour;y".replace(";", ","), *lines]) + "\n")
    out = tmp_path / "out"
    spec = TrainSpec(dataset="table.csv", model="linear", target="y", task="regression" if regression else "binary")
    report = train(data, spec, out=out, report=lambda _: None, should_stop=lambda: False)
    number = written(desk, files={file.name: file.read_bytes() for file in out.iterdir()}, result=report)
    exported(desk, str(number))
    ZipFile(f"run-{number}.zip").extractall()
    program = Path(f"run-{number}") / "predict.py"
    done = subprocess.run(
        [sys.executable, "-I", str(program), str(data)], capture_output=True, text=True, check=True, timeout=120
    )
    said = list(csv.DictReader(io.StringIO(done.stdout)))
    ours = list(csv.DictReader((out / "test_predictions.csv").open()))
    assert len(said) == 150
    assert len(ours) > 20
    for row in ours:
        met = said[int(row["row"]) - 1]
        for name in met:
            if name == "prediction" and not regression:
                assert met[name] == row[name]
            else:
                assert float(met[name]) == pytest.approx(float(row[name]), abs=1e-5)


def test_the_example_is_short() -> None:
    """The example can be read at one glance, and imports nothing of ours."""
    assert len(PREDICT_EXAMPLE.splitlines()) < 40
    assert "import lml" not in PREDICT_EXAMPLE
    assert not {"bot", "shared", "workers"} & {
        line.split()[1].split(".")[0] for line in PREDICT_EXAMPLE.splitlines() if line.startswith(("import", "from"))
    }


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_the_log_as_a_table(desk: Desk, form: str) -> None:
    """Every format has a row for each run, newest first, and a column for each figure of each part."""
    first = written(desk, words='train "=1+1, x\ny"')
    with desk.log.write() as connection:
        beside.add_tags(connection, first, ["march", "baseline"], by="ada")
    second = written(desk, problem=Problem("diverged", "The loss is no number."))
    answer = exported(desk, f"format={form}")
    assert answer.envelope["runs"] == 2
    place = Path(f"log.{form}")
    if form == "csv":
        rows = [
            {name: value or None for name, value in row.items()}
            for row in csv.DictReader(io.StringIO(place.read_text(), newline=""))
        ]
    elif form == "jsonl":
        rows = [json.loads(line) for line in place.read_text().splitlines()]
    else:
        rows = pl.read_parquet(place).to_dicts()
        assert rows[0]["created_at"].tzinfo is not None
    assert [int(row["run"]) for row in rows] == [second, first]
    assert (rows[0]["error"], rows[0]["test.accuracy"]) == ("diverged", None)
    assert float(rows[1]["test.accuracy"]) == 0.8
    assert (rows[1]["words"], rows[1]["name"], rows[1]["dataset"]) == ('train "=1+1, x\ny"', "March", "churn.csv")
    assert (rows[0]["tags"], rows[1]["tags"]) == (None, "baseline,march")
    assert "test.roc_auc" not in rows[0]


def test_a_run_with_seeds_leaves_the_log_with_its_spread(desk: Desk) -> None:
    """One row with mean, deviation and interval, its seeds where they are asked for; its zip has what each reached."""
    new = NewRun(spec=TrainSpec(dataset="a.csv", seeds=2), words="train a.csv seeds=2", principal=SHELL)
    one = {"headline": "accuracy", "metrics": {"test": {"accuracy": 0.8}}}
    entries = [{"seed": k, "run": 2 + k, "state": "succeeded", "metrics": one["metrics"]} for k in (0, 1)]
    interval = {"test": {"accuracy": [0.7, 0.9]}}
    whole = {**one, "sd": {"test": {"accuracy": 0.02}}, "intervals": interval, "seeds": entries}
    with desk.log.write() as connection:
        number, _ = runs.create(connection, new)
        runs.queue(connection, number, dataset_sha256="d" * 64)
        for result in (one, one, whole):
            taken = attempts.claim(connection, worker="w1", lease_s=60)
            assert taken is not None
            attempts.succeed(connection, taken[0], Outcome(result=result, metrics={}, artifacts=[]))
    exported(desk, "format=jsonl", "out=all.jsonl")
    exported(desk, "format=jsonl", f"parent:{number}", "out=seeds.jsonl")
    (row,) = map(json.loads, Path("all.jsonl").read_text().splitlines())
    told = ("score", "score_sd", "score_low", "score_high", "seeds", "seed_of")
    assert [row[name] for name in told] == [0.8, 0.02, 0.7, 0.9, 2, None]
    children = [json.loads(line) for line in Path("seeds.jsonl").read_text().splitlines()]
    assert [(child["seed"], child["seed_of"]) for child in children] == [(1, number), (0, number)]
    exported(desk, str(number))
    with ZipFile(f"run-{number}.zip") as archive:
        lines = archive.read(f"run-{number}/seeds.csv").decode().splitlines()
    assert lines[0] == "seed,run,state,part,metric,value"
    assert lines[1:] == ["0,2,succeeded,test,accuracy,0.8", "1,3,succeeded,test,accuracy,0.8"]


def test_pages_and_conditions(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of many pages comes whole, a limit ends it, and conditions are those of `log`."""
    monkeypatch.setattr("bot.export.log_table.PAGE_RUNS", 2)
    numbers = [written(desk) for _ in range(5)]

    def runs_in(*words: str) -> list[int]:
        name = f"{len(list(Path.cwd().iterdir()))}.jsonl"
        exported(desk, "format=jsonl", f"out={name}", *words)
        return [json.loads(line)["run"] for line in Path(name).read_text().splitlines()]

    assert runs_in() == numbers[::-1]
    assert runs_in("limit:3") == numbers[:1:-1]
    assert runs_in("state:failed") == []
    assert runs_in("run:2..4") == [4, 3, 2]
    exported(desk, "format=parquet", "state:failed")
    assert pl.read_parquet("log.parquet").height == 0


def test_only_what_a_principal_sees_is_exported(desk: Desk) -> None:
    """A row or a column that comes from runs which are hidden from a principal is in none of its tables."""
    hidden = written(desk, principal=SLACK)
    other = Principal(team_id="local", user_id="U0BEN", source=Source.SLACK, channel_id="C2", role=Role.TRAINER)
    stranger = Desk(settings=desk.settings, log=desk.log, store=desk.store, principal=other)
    assert exported(stranger, "format=csv").envelope["runs"] == 0
    assert "accuracy" not in Path("log.csv").read_text()
    with pytest.raises(RefusedWords, match="There is no run"):
        exported(stranger, str(hidden))


def test_a_bot_without_the_workers_packages_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet without the packages for it is refused with the way out."""
    monkeypatch.setattr("bot.export.writing.PARQUET_WRITER", "no_such_package.writer")
    with pytest.raises(RunFailed) as met:
        exported(desk, "format=parquet")
    assert met.value.code == "worker_package_missing"
    assert "format=csv" in str(met.value)
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "missing_word"),
        (("1", "2"), "extra_word"),
        (("format=xml",), "bad_value"),
        (("format=csv", "sort:-auc"), "bad_value"),
        (("1", "out=a", "out=b"), "repeated_key"),
        (("1", "--out"), "missing_value"),
        (("x",), "bad_run"),
    ],
)
def test_words_that_are_refused(words: tuple[str, ...], code: str) -> None:
    """Each mistake has its code."""
    with pytest.raises(RefusedWords) as met:
        parse(("export", *words))
    assert met.value.code == code


def test_a_file_that_cannot_be_is_refused(desk: Desk) -> None:
    """A folder that is not there is named; a chat cannot export."""
    number = written(desk)
    with pytest.raises(RefusedWords) as met:
        exported(desk, str(number), "out=nowhere/run.zip")
    assert met.value.code == "write_folder_unusable"
    with pytest.raises(RefusedWords, match="cannot be used from slack"):
        authorize(SLACK, "export")

"""Runs, end to end without a chat: the `lml` command, a real Redis, a real worker process, both databases."""

import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import polars
import pytest
from support.deadline import until
from support.place import Place
from support.place_runs import begun, ended

from bot.terminal.commands import open_desk
from shared.log import runs
from shared.log.runs import Run

MakePlace = Callable[..., Place]

ENVELOPE = {"run", "kind", "state", "artifacts", "error"}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small table of numbers, words and gaps, whose label depends on both."""
    draw = random.Random(7)
    path = tmp_path_factory.mktemp("data") / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "colour", "note", "label"])
        for _ in range(160):
            size, colour = draw.uniform(-3, 3), draw.choice(["red", "green", "blue"])
            label = "yes" if size + (2 if colour == "red" else -1) + draw.gauss(0, 0.4) > 0 else "no"
            writer.writerow([f"{size:.3f}" if draw.random() > 0.1 else "", colour, draw.choice(["a", "b", ""]), label])
    return path


def test_the_main_job_from_words_to_a_model_that_predicts(place: Place, table: Path) -> None:
    """Train, evaluate, compare and predict answer with the promised envelopes, and the artifacts are what they say."""
    code, train = place.shell.run("train", str(table), "model=linear", "name=first")
    assert code == 0
    assert set(train) >= ENVELOPE | {
        "dataset",
        "task",
        "target",
        "model",
        "metrics",
        "timing_s",
        "seed",
        "split_seed",
        "attempts",
    }
    assert (train["kind"], train["state"], train["error"], train["attempts"]) == ("train", "succeeded", None, 1)
    assert set(train["dataset"]) >= {"name", "sha256", "rows", "columns"}
    assert set(train["timing_s"]) == {"queued", "load", "train", "evaluate", "export", "total"}
    assert set(train["metrics"]) == {"train", "validation", "test", "baseline"}
    assert set(train["metrics"]["test"]) == {"accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"}
    assert train["metrics"]["test"]["accuracy"] > train["metrics"]["baseline"]["accuracy"]
    files = {artifact["name"]: artifact for artifact in train["artifacts"]}
    assert set(files) >= {"model.onnx", "report.json", "loss_curve.png", "confusion_matrix.png", "test_predictions.csv"}
    assert all(Path(file["path"]).stat().st_size == file["size_bytes"] for file in files.values())
    session = onnxruntime.InferenceSession(files["model.onnx"]["path"])
    assert [one.name for one in session.get_inputs()] == ["size", "colour", "note"]

    code, evaluation = place.shell.run("evaluate", str(train["run"]), str(table))
    assert code == 0
    assert evaluation["metrics"]["test"] == pytest.approx(train["metrics"]["test"])
    assert evaluation["rows_left_out"] > evaluation["rows_scored"] > 0
    assert any("left out" in warning for warning in evaluation["warnings"])

    _, other = place.shell.run("train", str(table), "model=mlp", "epochs=30")
    code, comparison = place.shell.run("compare", str(train["run"]), str(other["run"]))
    assert code == 0
    assert [entry["run"] for entry in comparison["runs"]] == [train["run"], other["run"]]
    assert comparison["rows_shared"] == evaluation["rows_scored"]

    code, prediction = place.shell.run("predict", str(train["run"]), str(table))
    assert code == 0
    (path,) = [artifact["path"] for artifact in prediction["artifacts"] if artifact["name"] == "predictions.csv"]
    rows = list(csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == ["size", "colour", "note", "label", "prediction", "probability_no", "probability_yes"]
    assert len(rows) == train["dataset"]["rows"]

    code, log = place.shell.run("log", "kind=train", "name=first")
    assert (code, [item["run"] for item in log["items"]]) == (0, [train["run"]])
    code, shown = place.shell.run("show", str(train["run"]))
    assert (code, shown["metrics"]) == (0, train["metrics"])


@pytest.mark.chaos
def test_many_runs_end_one_after_another_in_one_warm_child(make_place: MakePlace, table: Path, tmp_path: Path) -> None:
    """CSV and Parquet, every model: the process that forks runs imports only, so no child of it ever hangs."""
    place = make_place()
    place.start_worker(LML_SHORT_SLOTS="0")
    parquet = tmp_path / "table.parquet"
    polars.read_csv(table).write_parquet(parquet)
    models = ["linear", "mlp", "auto"]
    numbers = [
        begun(place, "train", str(path), f"model={models[index % 3]}", "epochs=3", f"seed={index}")
        for index in range(6)
        for path in (table, parquet)
    ]
    all_of_them = [ended(place, number, within_s=200) for number in numbers]
    assert [run.state for run in all_of_them] == [runs.RunState.SUCCEEDED] * 12, [run.problem for run in all_of_them]
    assert len({run.worker for run in all_of_them}) == 1
    assert {run.attempts for run in all_of_them} == {1}


ENDLESS = ("model=mlp", "epochs=100000", "patience=100000")
"""Words of a training that only ends when it is stopped."""

BROKEN_FILES: dict[str, tuple[bytes, str]] = {
    "empty.csv": (b"", "dataset_empty"),
    "binary.csv": (bytes(range(256)) * 40, "dataset_binary"),
    "ragged.csv": (b"a,b,y\n" + b"1,2,3\n1,2,3,4,5\n4,5,6\n" * 20, "dataset_ragged"),
    "header_only.csv": (b"a,b,y\n", "dataset_header_only"),
    "one_column.csv": (b"a\n" + b"1\n2\n" * 40, "dataset_one_column"),
    "one_class.csv": (b"a,y\n" + b"".join(b"%d,yes\n" % n for n in range(60)), "target_one_class"),
    "all_missing.csv": (b"a,y\n" + b"".join(b"%d,\n" % n for n in range(60)), "target_all_missing"),
    "ten_rows.csv": (b"a,y\n" + b"".join(b"%d,%d\n" % (n, 2 * n) for n in range(10)), "too_few_rows"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_broken_file_ends_its_run_with_one_clear_answer(place: Place, tmp_path: Path, name: str) -> None:
    """The run is recorded as failed, with a code, the rule and the value met, and what to do."""
    content, code = BROKEN_FILES[name]
    (tmp_path / name).write_bytes(content)
    run = ended(place, begun(place, "train", str(tmp_path / name)))
    assert run.state is runs.RunState.FAILED
    assert run.problem is not None
    assert run.problem.code == code
    assert run.problem.message.endswith(".")
    assert run.problem.hint


def test_a_missing_file_and_a_wrong_target_suggest_what_was_meant(place: Place, table: Path) -> None:
    """The nearest name stands in the hint; exit code 1, and the run is in the log as failed."""
    code, missing = place.shell.run("train", str(table.with_name("tabel.csv")))
    assert (code, missing["state"], missing["error"]["code"]) == (1, "failed", "dataset_missing")
    assert "`table.csv`" in missing["error"]["hint"]
    code, target = place.shell.run("train", str(table), "target=lable")
    assert (code, target["error"]["code"]) == (1, "target_unknown")
    assert "label" in target["error"]["hint"]
    _, log = place.shell.run("log", "state=failed", "limit=2")
    assert [item["run"] for item in log["items"]] == [target["run"], missing["run"]]


def test_refused_words_come_back_all_at_once_and_write_nothing(place: Place, table: Path) -> None:
    """Exit code 2, one line, every problem, and no run."""
    _, before = place.shell.run("log", "limit=1")
    code, answer = place.shell.run("train", str(table), "epochs=0", "modle=mlp", "task=forecast")
    assert (code, answer["run"], answer["state"]) == (2, None, "refused")
    assert all(word in answer["error"]["message"] for word in ("`modle`", "epochs=0", "task=forecast"))
    assert "`model`" in answer["error"]["hint"]
    _, after = place.shell.run("log", "limit=1")
    assert before == after


def test_runs_that_cannot_be_compared_say_so(place: Place, table: Path, tmp_path: Path) -> None:
    """Another target or other data: exit code 1 and `not_comparable`."""
    other = tmp_path / "other.csv"
    other.write_text("x,y\n" + "".join(f"{n},{2 * n}\n" for n in range(1, 101)))
    _, first = place.shell.run("train", str(table), "model=linear")
    _, second = place.shell.run("train", str(other), "model=linear")
    assert second["metrics"]["test"]["r2"] > 0.9999
    code, answer = place.shell.run("compare", str(first["run"]), str(second["run"]))
    assert (code, answer["state"], answer["error"]["code"]) == (1, "failed", "not_comparable")
    _, evaluation = place.shell.run("evaluate", str(first["run"]), str(table))
    code, answer = place.shell.run("compare", str(first["run"]), str(evaluation["run"]))
    assert (code, answer["state"], answer["error"]["code"]) == (1, "failed", "not_comparable")


def test_a_running_run_is_cancelled_within_seconds(place: Place, tmp_path: Path) -> None:
    """`cancel` stops the work; the command that waits for the run ends with 130."""
    big = _big_table(tmp_path)
    waiting = place.shell.start("train", str(big), *ENDLESS, "time=5m", "--json")
    number = until(lambda: _running(place), what="the run has begun to train")
    code, answer = place.shell.run("cancel", str(number))
    assert code == 0
    assert answer["run"] == number
    out, _ = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    assert json.loads(out)["state"] == "cancelled"


def test_ctrl_c_cancels_the_run_that_it_interrupts(place: Place, tmp_path: Path) -> None:
    """SIGINT to the command: its run ends as cancelled, and so does the command, with 130."""
    waiting = place.shell.start("train", str(_big_table(tmp_path)), *ENDLESS, "time=5m", "--json")
    number = until(lambda: _running(place), what="the run has begun to train")
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 130, err
    assert (json.loads(out)["run"], json.loads(out)["state"]) == (number, "cancelled")


def test_a_run_process_that_is_killed_again_and_again_is_told(
    make_place: MakePlace, table: Path, tmp_path: Path
) -> None:
    """kill -9 on the run's own process: it is tried again as often as allowed, then told; the worker lives on."""
    place = make_place()
    place.start_worker(LML_MAX_CRASHES="1")
    number = begun(place, "train", str(_big_table(tmp_path)), *ENDLESS, "time=5m")
    for attempt in (1, 2):
        until(lambda attempt=attempt: _running(place, attempt=attempt), what=f"attempt {attempt} has begun to train")
        os.kill(_run_process(place), signal.SIGKILL)
    run = ended(place, number)
    assert run.problem is not None
    assert (run.state.value, run.problem.code, run.attempts) == ("failed", "worker_killed", 2)
    assert ended(place, begun(place, "train", str(table), "model=linear")).state.value == "succeeded"


def test_a_run_that_lost_its_worker_gets_another_attempt(make_place: MakePlace, tmp_path: Path) -> None:
    """kill -9 on the whole worker: the sweep of the next one finds the lapsed lease and the run succeeds."""
    place = make_place(lease_s=2)
    worker = place.start_worker()
    number = begun(place, "train", str(_big_table(tmp_path)), *ENDLESS, "time=4s")
    until(lambda: _running(place), what="the run has begun to train")
    os.killpg(worker.child.process.pid, signal.SIGKILL)
    place.start_worker()
    run = ended(place, number)
    assert (run.state.value, run.attempts) == ("succeeded", 2)


def test_a_worker_that_is_stopped_gives_its_run_back(make_place: MakePlace, tmp_path: Path) -> None:
    """SIGTERM: the run waits again, and no process stays."""
    place = make_place()
    worker = place.start_worker()
    number = begun(place, "train", str(_big_table(tmp_path)), *ENDLESS, "time=5m")
    until(lambda: _running(place), what="the run has begun to train")
    worker.child.process.terminate()
    assert worker.child.process.wait(timeout=20) == 0
    desk = open_desk(place.settings)
    with desk.log.read() as connection:
        assert runs.get(connection, number).state is runs.RunState.QUEUED


def test_the_whole_job_on_postgres(make_place: MakePlace, postgres_url: str, table: Path) -> None:
    """The same words on the other database."""
    place = make_place(postgres_url)
    place.start_worker()
    code, train = place.shell.run("train", str(table), "model=linear")
    assert (code, train["state"]) == (0, "succeeded")
    for words in (("evaluate", "1", str(table)), ("predict", "1", str(table))):
        assert place.shell.run(*words)[0] == 0
    _, other = place.shell.run("train", str(table), "model=mlp", "epochs=5")
    assert place.shell.run("compare", "1", str(other["run"]))[0] == 0
    _, log = place.shell.run("log")
    assert [item["state"] for item in log["items"]] == ["succeeded"] * 5


def test_a_worker_without_torch_says_what_to_install(make_place: MakePlace, table: Path, tmp_path: Path) -> None:
    """The run fails with the package's name; the worker itself runs."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('none', name='torch')\n")
    place = make_place()
    place.start_worker(PYTHONPATH=str(tmp_path))
    code, answer = place.shell.run("train", str(table))
    assert (code, answer["error"]["code"]) == (1, "worker_package_missing")
    assert "`torch`" in answer["error"]["message"]
    assert "lml[worker]" in answer["error"]["hint"]


def test_redis_away_fails_the_run_and_says_where(make_place: MakePlace, table: Path) -> None:
    """The run is recorded as failed; the address is named, the password is not."""
    place = make_place()
    place.shell.environment["LML_REDIS_URL"] = "redis://:secret@127.0.0.1:1/0"
    code, answer = place.shell.run("train", str(table))
    assert (code, answer["state"], answer["error"]["code"]) == (1, "failed", "redis_unavailable")
    assert "127.0.0.1:1" in answer["error"]["message"]
    assert "secret" not in json.dumps(answer)
    assert place.shell.run("show", str(answer["run"]))[1]["state"] == "failed"


def test_the_database_away_is_one_clear_answer(make_place: MakePlace, table: Path) -> None:
    """No run can be written; exit code 1, the address without its password, what to do."""
    place = make_place()
    place.shell.environment["LML_DATABASE_URL"] = "postgresql://lml:secret@127.0.0.1:1/lml"
    code, answer = place.shell.run("train", str(table))
    assert (code, answer["run"], answer["error"]["code"]) == (1, None, "database_unavailable")
    assert "127.0.0.1:1" in answer["error"]["message"]
    assert "secret" not in json.dumps(answer)
    assert "LML_DATABASE_URL" in answer["error"]["hint"]


def test_a_full_disk_fails_the_run_before_it_begins(make_place: MakePlace, table: Path) -> None:
    """The rule and the value met stand in the answer, and the run in the log."""
    place = make_place(min_free_bytes=2**62)
    code, answer = place.shell.run("train", str(table))
    assert (code, answer["state"], answer["error"]["code"]) == (1, "failed", "disk_full")
    assert f"{2**62:,}" in answer["error"]["message"]


def test_public_tables_beat_their_baselines(place: Place, shared_data: Path) -> None:
    """A table of each task succeeds better than without features (all of them: unit/core/test_train)."""
    for entry in json.loads((shared_data / "index.json").read_text()):
        if entry["name"] not in ("titanic", "penguins", "insurance"):
            continue
        words = (f"target={entry['target']}", f"task={entry['task']}", "time=3s")
        run = ended(place, begun(place, "train", str(shared_data / f"{entry['name']}.csv"), *words), within_s=120)
        assert run.state is runs.RunState.SUCCEEDED, run.problem
        test, baseline = (_metrics(run, part) for part in ("test", "baseline"))
        if entry["task"] == "regression":
            assert test["r2"] > baseline["r2"] + 0.1, entry["name"]
            assert test["rmse"] < baseline["rmse"], entry["name"]
        else:
            assert test["roc_auc"] > 0.7, entry["name"]
            assert test["log_loss"] < baseline["log_loss"], entry["name"]
            assert test["accuracy"] > baseline["accuracy"], entry["name"]


def _metrics(run: Run, part: str) -> dict[str, Any]:
    assert run.result is not None
    metrics: dict[str, Any] = run.result["metrics"][part]
    return metrics


def _big_table(folder: Path) -> Path:
    """A table that takes far longer to train on than any test waits."""
    draw = random.Random(1)
    path = folder / "big.csv"
    path.write_text(
        "a,b,c,y\n"
        + "".join(f"{draw.random()},{draw.random()},{draw.random()},{draw.random()}\n" for _ in range(20_000))
    )
    return path


def _running(place: Place, *, attempt: int = 1) -> int | None:
    """The number of a run that trains now, in its attempt of this number."""
    with sqlite3.connect(place.settings.home_folder / "log.db", timeout=10) as connection:
        row = connection.execute(
            "SELECT runs.id FROM runs JOIN metric_points AS points ON points.run_id = runs.id "
            "AND points.attempt = runs.attempts WHERE state = 'running' AND runs.attempts = ?",
            (attempt,),
        ).fetchone()
    return int(row[0]) if row else None


def _run_process(place: Place) -> int:
    """The process of the run that runs now: below the worker, and in a session of its own."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,sid="], capture_output=True, text=True, check=True).stdout
    rows = [[int(word) for word in line.split()] for line in listed.splitlines()]
    parents = {pid: parent for pid, parent, _ in rows}

    def below_the_worker(pid: int) -> bool:
        while pid in parents:
            pid = parents[pid]
            if pid == place.workers[-1].child.process.pid:
                return True
        return False

    (run,) = [pid for pid, _, session in rows if pid == session and below_the_worker(pid)]
    return run

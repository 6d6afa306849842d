"""A file and a spec become a model, its scores, and artifacts that say the same."""

import json
import time

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from shared.errors import RunFailed, RunStopped
from shared.events import DatasetRead, EpochDone, Stage, StageStarted
from shared.specs import TrainSpec
from workers.core.train import train

ARTIFACTS = {
    "environment.json",
    "loss_curve.png",
    "model.onnx",
    "profile.json",
    "report.json",
    "rows.parquet",
    "test_predictions.csv",
    "weights.safetensors",
}


@pytest.mark.parametrize(
    "words",
    [
        {"model": "linear"},
        {"model": "auto", "time_s": 3},
        {"model": "linear", "optimizer": "sgd"},
        {"model": "linear", "optimizer": "adam"},
        {"model": "linear", "l1": 1e-4},
    ],
)
def test_a_straight_line_is_learnt(write, fit, line_table, words):
    """x = 1..100, y = 2x: the linear model is found by every way of training."""
    report = fit(write(line_table()), **words)
    assert report["model"] == "linear"
    assert report["task"] == "regression"
    assert report["metrics"]["test"]["r2"] > 0.9999
    assert report["metrics"]["baseline"]["r2"] < 0.1


def test_the_report_says_what_was_done(write, fit, mixed_table, tmp_path):
    """Everything that a card or a person needs stands in the report, and the file holds the same."""
    report = fit(write(mixed_table()), target="kind")
    assert {
        "dataset", "task", "target", "model", "metrics", "timing_s", "seed", "split_seed", "inferred", "warnings",
        "columns", "candidates", "parity", "plan",
    } <= set(report)  # fmt: skip
    assert report["dataset"]["rows"] == 240
    assert report["dataset"]["columns"] == 6
    assert set(report["metrics"]) == {"train", "validation", "test", "baseline"}
    assert set(report["metrics"]["test"]) == {"accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"}
    assert set(report["timing_s"]) == {"load", "train", "evaluate", "export"}
    assert report["metrics"]["test"]["roc_auc"] > 0.8 > report["metrics"]["baseline"]["roc_auc"]
    assert set(report["candidates"]) == {"linear", "gbdt", "mlp-ple", "mlp"}
    assert report["parity"]["max_difference"] <= 1e-4
    assert report["parity"]["rows"] == report["dataset"]["parts"]["test"]
    assert report["plan"]["epochs_done"] >= 1
    kinds = {column["name"]: column["kind"] for column in report["columns"]}
    assert kinds == {
        "user_id": "id", "size": "number", "color": "category", "active": "boolean", "since": "date", "kind": "target",
    }  # fmt: skip
    assert any("`user_id`" in warning for warning in report["warnings"])
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    assert {path.name for path in (tmp_path / "out").iterdir()} == ARTIFACTS | {
        "confusion_matrix.png",
        "reliability.png",
    }


def test_the_artifacts_agree_with_the_report(write, fit, line_table, tmp_path):
    """The parts, the test predictions and the weights can be read back."""
    report = fit(write(line_table()), model="linear")
    rows = pl.read_parquet(tmp_path / "out" / "rows.parquet")
    assert rows.columns == ["row", "row_hash", "part"]
    said = pl.read_csv(tmp_path / "out" / "test_predictions.csv")
    assert said.columns == ["row", "row_hash", "actual", "prediction"]
    assert said["row"].to_list() == rows.filter(pl.col("part") == "test")["row"].to_list()
    mse = ((said["actual"] - said["prediction"]) ** 2).mean()
    assert mse == pytest.approx(report["metrics"]["test"]["mse"], abs=1e-6)
    assert "nets.0.body.1.weight" in load_file(tmp_path / "out" / "weights.safetensors")
    assert (tmp_path / "out" / "predicted_vs_true.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_weights(write, fit, mixed_table, tmp_path):
    """On the CPU a run can be repeated bit by bit; another seed gives other weights on the same split."""
    data = write(mixed_table())
    reports = [fit(data, out=name, model="mlp", epochs=3, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in "abc"]
    assert weights[0] == weights[1] != weights[2]
    assert reports[0]["metrics"] == reports[1]["metrics"]
    parts = [(tmp_path / name / "rows.parquet").read_bytes() for name in "abc"]
    assert parts[0] == parts[1] == parts[2]


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_words_are_honoured(write, fit, mixed_table, model):
    """epochs, batch, lr, optimizer, l1 and l2 stand in the plan as they were asked for."""
    words = {"epochs": 2, "batch": 17, "lr": 0.003, "optimizer": "adam", "l1": 0.01, "l2": 0.02}
    plan = fit(write(mixed_table()), model=model, **words)["plan"]
    assert {name: plan[name] for name in words} == words
    assert plan["epochs_done"] == 2


def test_l1_gives_exact_zeros(write, fit, mixed_table, tmp_path):
    """The proximal method leaves a column out, it does not make it small."""
    fit(write(mixed_table()), model="linear", l1=0.05)
    weights = load_file(tmp_path / "out" / "weights.safetensors")["nets.0.body.1.weight"]
    assert (weights == 0).any()
    assert (weights != 0).any()


def test_events_tell_the_story_in_order(write, mixed_table, tmp_path):
    """Stages come in their order; the dataset is told once; the last epoch of each model is told."""
    events = []
    spec = TrainSpec(dataset="data", target="kind")
    train(write(mixed_table()), spec, out=tmp_path / "out", report=events.append, should_stop=lambda: False)
    stages = [event.stage for event in events if isinstance(event, StageStarted)]
    assert stages == [Stage.READ, Stage.TRAIN, Stage.EVALUATE, Stage.EXPORT]
    (read,) = [event for event in events if isinstance(event, DatasetRead)]
    assert (read.rows, read.columns, read.target, read.task) == (240, 6, "kind", "binary")
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert {event.model for event in epochs} == {"linear", "gbdt", "mlp-ple", "mlp"}
    assert len(epochs) < 40


def test_a_run_that_is_asked_to_stop_stops(write, mixed_table, tmp_path):
    """Asked in the middle of training, the run ends within a second."""
    started = time.monotonic()
    spec = TrainSpec(dataset="data", model="mlp", epochs=100_000, optimizer="sgd", lr=1e-9)
    asked = iter([False] * 30)
    with pytest.raises(RunStopped):
        train(write(mixed_table()), spec, out=tmp_path, report=lambda _: None, should_stop=lambda: next(asked, True))
    assert time.monotonic() - started < 10


def test_the_time_budget_ends_training(write, fit, mixed_table):
    """A run whose time is over keeps what it has and says so."""
    report = fit(write(mixed_table()), model="mlp", time_s=0.05, optimizer="sgd", lr=1e-6)
    assert report["plan"]["ended_by"] == "time"
    assert any("stopped by the time budget" in warning for warning in report["warnings"])


def test_a_loss_that_explodes_is_an_error(write, fit, line_table):
    """A learning rate far too large is answered with what to do."""
    with pytest.raises(RunFailed, match=r"with sgd and lr=10 it does. Give a smaller lr=") as caught:
        fit(write(line_table()), model="linear", optimizer="sgd", lr=10)
    assert caught.value.code == "training_diverged"


def test_numbers_that_float32_cannot_hold(write, fit):
    """Large integers, tiny steps on a large base and huge numbers all pass the gate and are learnt."""
    lines = [f"{10**12 + k},{1e6 + k / 1000:.3f},{k}e30,{2000 + 3 * k}" for k in range(120)]
    report = fit(write("a,b,c,when\n" + "\n".join(lines)), model="linear")
    assert report["metrics"]["test"]["r2"] > 0.999
    inputs = {column["name"]: column.get("input_type") for column in report["columns"]}
    assert inputs["a"] == inputs["b"] == "tensor(double)"


def test_a_metric_that_is_not_defined_is_null(write, fit):
    """A class that the test part lacks leaves roc_auc undefined, not the run failed."""
    text = "x,t\n" + "".join(f"{k},{'ab'[k % 2]}\n" for k in range(60)) + "100,c\n101,c\n"
    assert fit(write(text), model="linear")["metrics"]["test"]["roc_auc"] is None


def test_a_table_without_a_header(write, fit, mixed_table):
    """Columns of a headerless file are column_1, column_2 and so on; the last is the target."""
    report = fit(write(mixed_table(header=False)), model="linear")
    assert report["target"] == "column_6"
    assert report["metrics"]["test"]["roc_auc"] > 0.8


@pytest.mark.parametrize(
    "name", ["titanic", "german", "telco_churn", "penguins", "insurance", "wine_red", "california", "adult"]
)
def test_real_tables_beat_the_baseline(shared_data, fit, name):
    """On each real table the model's headline metric is clearly better than a model without features."""
    facts = next(one for one in json.loads((shared_data / "index.json").read_text()) if one["name"] == name)
    report = fit(shared_data / f"{name}.csv", target=facts["target"], task=facts["task"], time_s=2)
    headline = report["headline"]
    assert report["metrics"]["test"][headline] > report["metrics"]["baseline"][headline] + 0.15
    assert report["parity"]["max_difference"] < 1e-4
    assert np.isfinite(report["metrics"]["test"][headline])

"""Runs for the pages: with everything that a page draws, and with names that do their worst."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shared.access import Principal, Source, Visibility
from shared.blobs import BlobStore
from shared.events import DatasetRead, EpochDone, Stage, StageStarted
from shared.log import attempts, runs
from shared.log.attempts import Outcome
from shared.log.engine import Log
from shared.log.runs import Artifact, NewRun
from shared.specs import CompareSpec, EvaluateSpec, TrainSpec

ADA = Principal("T1", "U0ADA", Source.SLACK, "C1")
SHA = "ab" * 32
HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;</script>\u202e"
PLAIN = ("no", "yes")


def train(log: Log, store: BlobStore, *, classes: Sequence[str] = PLAIN, name: str = "churn.csv", **more: Any) -> int:
    """A train run of classes that succeeded, with curves, calibration and predictions."""
    spec = TrainSpec(dataset=name, name=more.pop("title", None))
    words = more.pop("words", f"train {name}")
    new = replace(NewRun(spec=spec, words=words, principal=ADA, dataset_name=name), **more)
    result = classes_result(classes, name)
    return done(log, store, new, result, predictions(classes), epochs=8)


def regression(log: Log, store: BlobStore) -> int:
    """A train run of numbers that succeeded."""
    new = NewRun(
        spec=TrainSpec(dataset="houses.csv"), words="train houses.csv", principal=ADA, dataset_name="houses.csv"
    )
    metrics = {"test": {"r2": 0.81, "rmse": 12.5}, "baseline": {"r2": 0.0, "rmse": 40.0}}
    result = {
        "kind": "train",
        "task": "regression",
        "target": "price",
        "model": "mlp",
        "headline": "r2",
        "metrics": metrics,
        "intervals": {"test": {"r2": [0.7, 0.88], "rmse": [10.0, 15.0]}},
        "residuals": {"within_10_percent": 0.6, "quantiles": {"0.5": 0.1}, "worst": []},
        "dataset": {"content_sha256": "cd" * 32},
        "split_sha256": "3",
    }
    rows = [["row", "actual", "prediction"], *([i, 100 + i, 98 + i * 1.1] for i in range(40))]
    return done(log, store, new, result, rows, epochs=50)


def evaluate(log: Log, store: BlobStore, run: int) -> int:
    """An evaluation with worse slices."""
    spec = EvaluateSpec(run=run, dataset="new.csv")
    new = NewRun(spec=spec, words=f"evaluate {run} new.csv", principal=ADA, dataset_name="new.csv", parents=[run])
    worst = [
        {
            "column": "plan",
            "slice": f"`plan` is `{HOSTILE}`",
            "rows": 40,
            "value": 0.6,
            "difference": -0.2,
            "interval": [-0.33, -0.08],
            "p_corrected": 0.001,
        }
    ]
    slices = {"metric": "accuracy", "whole": 0.8, "looked_at": 12, "worst": worst, "worse": 1, "least_rows": 20}
    result = {**classes_result(PLAIN, "new.csv"), "kind": "evaluate", "slices": slices}
    return done(log, store, new, result, predictions(PLAIN))


def compare(log: Log, store: BlobStore, numbers: Sequence[int]) -> int:
    """A comparison that could not tell them apart."""
    spec = CompareSpec(runs=tuple(numbers))
    words = f"compare {' '.join(map(str, numbers))}"
    new = NewRun(spec=spec, words=words, principal=ADA, parents=list(numbers))
    entries = [
        {"run": number, "model": "mlp", "metrics": {"accuracy": 0.8}, "intervals": {"accuracy": [0.75, 0.85]}}
        for number in numbers
    ]
    result = {
        "kind": "compare",
        "runs": entries,
        "rows_shared": 100,
        "headline": "accuracy",
        "pairs": [],
        "best": None,
        "tied": list(numbers),
        "sentence": "These runs cannot be told apart on 100 rows.",
    }
    return done(log, store, new, result, [])


def done(
    log: Log, store: BlobStore, new: NewRun, result: dict[str, Any], rows: Sequence[Sequence[Any]], *, epochs: int = 0
) -> int:
    """A run that was asked for, claimed, and has succeeded."""
    number = prepared(log, new)
    with log.write() as connection:
        taken = attempts.claim(connection, worker="w1", lease_s=60)
        assert taken is not None
        attempt = taken[0]
        assert attempt.run == number
        attempts.record(connection, attempt, StageStarted(stage=Stage.READ))
        attempts.record(connection, attempt, DatasetRead(rows=500, columns=9, target="churned", task="binary"))
        for epoch in range(1, epochs + 1):
            losses = {"train_loss": 1 / epoch, "validation_loss": 0.2 + 1 / epoch}
            attempts.record(connection, attempt, EpochDone(model="mlp", epoch=epoch, epochs=epochs, **losses))
        artifacts = [stored(store, "report.json", b"{}")]
        if rows:
            text = io.StringIO()
            csv.writer(text).writerows(rows)
            name = "predictions.csv" if new.spec.kind == "evaluate" else "test_predictions.csv"
            artifacts.append(stored(store, name, text.getvalue().encode()))
        metrics = result.get("metrics") or {}
        attempts.succeed(connection, attempt, Outcome(result=result, metrics=metrics, artifacts=artifacts))
    return number


def prepared(log: Log, new: NewRun) -> int:
    """A run that waits for a worker."""
    with log.write() as connection:
        number = runs.create(connection, new)[0]
        assert runs.queue(connection, number, dataset_sha256=SHA, dataset_size_bytes=7)
    return number


def waiting(log: Log, visibility: Visibility, principal: Principal = ADA) -> int:
    """A run that waits, seen as said."""
    spec = TrainSpec(dataset="secret.csv")
    new = NewRun(spec=spec, words="train secret.csv", principal=principal, visibility=visibility)
    return prepared(log, replace(new, dataset_name="secret.csv"))


def stored(store: BlobStore, name: str, data: bytes) -> Artifact:
    """A file in the store."""
    blob = store.put_chunks([data])
    return Artifact(name=name, sha256=blob.sha256, size_bytes=blob.size_bytes)


def predictions(classes: Sequence[str]) -> list[list[Any]]:
    """Rows of a CSV: of ten of each class nine are right."""
    rows: list[list[Any]] = [["row", "row_hash", "actual", "prediction"]]
    for place, name in enumerate(classes):
        other = classes[place - 1]
        rows += [[len(rows) + k, "x", name, other if k == 0 else name] for k in range(10)]
    return rows


def classes_result(classes: Sequence[str], name: str) -> dict[str, Any]:
    """What a run of classes found out."""
    scores = {"accuracy": 0.9, "log_loss": 0.31}
    bins = [{"predicted": at / 10, "observed": at / 10, "interval": [at / 20, 1.0], "count": 10} for at in range(1, 10)]
    columns = [{"name": HOSTILE, "kind": "number", "reason": "numbers", "used": True, "missing": 0}]
    return {
        "kind": "train",
        "task": "binary",
        "target": classes[0] if classes is not PLAIN else "churned",
        "classes": list(classes),
        "columns": columns,
        "model": "mlp",
        "headline": "accuracy",
        "metrics": {"test": scores, "validation": scores, "baseline": {"accuracy": 0.5, "log_loss": 0.69}},
        "intervals": {"test": {"accuracy": [0.8, 0.95], "log_loss": None}},
        "per_class": [
            {"class": one, "support": 10, "precision": 0.9, "recall": 0.9, "f1": 0.9, "roc_auc": 0.95}
            for one in classes
        ],
        "calibration": {"ece": 0.02, "bins": bins},
        "warnings": [f"About {name}."],
        "plan": {"lr": 0.002, "columns": {name: 1}},
        "environment": {"python": "3.12"},
        "dataset": {"content_sha256": "ef" * 32, "rows": 500, "columns": 9},
        "split_sha256": "1",
    }

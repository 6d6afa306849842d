"""Cards as they come out of `bot.cards` for runs in each state, and one that does its worst."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bot.cards import Card, Step, StepState, Table, run_card
from bot.slack.buttons import run_buttons
from shared.access import Source, Visibility
from shared.errors import Problem
from shared.events import AnyEvent, DatasetRead, EpochDone, Queued, SeedEnded, SeedsQueued, Stage, StageStarted, Started
from shared.log.forecast import Forecast
from shared.log.runs import Artifact, Run, RunState
from shared.specs import AnySpec, CompareSpec, DescribeSpec, EvaluateSpec, TrainSpec

BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
READ = DatasetRead(
    rows=3_000,
    columns=9,
    target="churned",
    task="binary",
    inferred=("Target: `churned`, the last column. Change it with target=COL.",),
    warnings=("`customer_id` was left out: every value differs. Keep it with drop= of other columns.",),
)
EVENTS: list[AnyEvent] = [
    Queued(),
    Started(attempt=1, worker="w1"),
    StageStarted(stage=Stage.READ),
    READ,
    StageStarted(stage=Stage.TRAIN),
    EpochDone(model="mlp", epoch=12, epochs=40, train_loss=0.41, validation_loss=0.4382, eta_s=38.0),
]
CURVE: list[AnyEvent] = [
    *EVENTS[:-1],
    *(
        EpochDone(
            model="mlp",
            epoch=epoch,
            epochs=40,
            train_loss=round(0.2 + 0.5 / epoch, 4),
            validation_loss=round(0.31 + 0.42 / epoch + (0.002 * (epoch - 24) if epoch > 24 else 0.0), 4),
        )
        for epoch in range(1, 41)
    ),
]
"""Forty epochs, of which the 24th is the best."""
SEEDS: list[AnyEvent] = [
    SeedsQueued(seeds=(0, 1, 2), runs=(43, 44, 45)),
    SeedEnded(run=43, seed=0, state="succeeded", ended=1, of=3, metric="roc_auc", score=0.9012),
]
METRICS = {
    "test": {"accuracy": 0.8512, "f1": 0.7431, "roc_auc": 0.9012, "log_loss": 0.3391},
    "validation": {"accuracy": 0.8604, "f1": 0.7522, "roc_auc": 0.9087, "log_loss": 0.3302},
    "baseline": {"accuracy": 0.7313, "f1": 0.0, "roc_auc": 0.5, "log_loss": 0.5821},
}
RESULT = {
    "task": "binary",
    "headline": "accuracy",
    "model": "mlp",
    "metrics": METRICS,
    "parity": {"max_difference": 3e-7},
}

MEASURED: dict[str, Any] = {
    **RESULT,
    "headline": "roc_auc",
    "intervals": {"test": {"accuracy": [0.8375, 0.8637], "f1": [0.7201, 0.7668], "roc_auc": [0.889, 0.914]}},
    "candidates": {
        "linear": {"validation": {"roc_auc": 0.8421}, "seconds": 0.4},
        "mlp": {"validation": {"roc_auc": 0.9087}, "seconds": 21.3},
        "gbdt": {"validation": {"roc_auc": None}, "seconds": None},
    },
    "classes": ["no", "yes"],
    "per_class": [
        {"class": "no", "support": 439, "precision": 0.8821, "recall": 0.9157, "f1": 0.8986, "roc_auc": 0.9012},
        {"class": "yes", "support": 161, "precision": 0.7451, "recall": None, "f1": 0.5876, "roc_auc": 0.9012},
    ],
    "calibration": {"ece": 0.0213, "brier": 0.104, "bins": []},
    "verdict": "Healthy: roc_auc is 0.93 on the training part and 0.91 on the validation part (0.90 to 0.92).",
    "rows_per_s": 81_234.5,
    "peak_memory_mb": 412.3,
    "coefficients": [{"feature": "age", "weight": -0.031}, {"feature": "plan = basic", "weight": 1.25}],
    "intercept": 0.5,
}
"""All that a train run may have measured."""


def sample_cards() -> dict[str, Card]:
    """Each card by the name of its golden file."""
    files = [Artifact(name=name, sha256="0" * 64, size_bytes=10) for name in ("loss_curve.png", "model.onnx")]
    problem = Problem(
        "target_missing",
        "A target is a column of the dataset; `chrned` is none of churn.csv.",
        "Did you mean `churned`?",
    )
    return {
        "queued": run_card(
            _run(RunState.QUEUED), [Queued()], prefix="/lml", expected=Forecast(3, starts_in_s=None, ends_in_s=None)
        ),
        "running": run_card(_run(RunState.RUNNING), EVENTS, prefix="/lml"),
        "succeeded": run_card(_run(RunState.SUCCEEDED, result=RESULT), EVENTS, files, prefix="/lml"),
        "measured": run_card(_run(RunState.SUCCEEDED, result=MEASURED), CURVE, files, prefix="/lml"),
        "failed": run_card(_run(RunState.FAILED, problem=problem), EVENTS[:3], prefix="/lml"),
        "cancelled": run_card(_run(RunState.CANCELLED), EVENTS, prefix="/lml"),
        "compare": run_card(_compare(), [Queued(), Started(attempt=1, worker="w1")], prefix="/lml"),
        "describe": run_card(_describe(), EVENTS[:4], prefix="/lml"),
        "seeds": run_card(_seeds(), SEEDS, prefix="/lml"),
        "hostile": hostile_card(),
    }


def sample_buttons() -> dict[str, Any]:
    """The buttons below a sample, by the same names."""
    states = {
        "queued": RunState.QUEUED,
        "running": RunState.RUNNING,
        "seeds": RunState.GATHERING,
        "succeeded": RunState.SUCCEEDED,
        "measured": RunState.SUCCEEDED,
        "failed": RunState.FAILED,
        "cancelled": RunState.CANCELLED,
    }
    found = {name: run_buttons(_run(state)) for name, state in states.items()}
    return {**found, "compare": run_buttons(_compare()), "describe": run_buttons(_describe())}


def hostile_result(kind: str) -> Card:
    """The card of a run on a file whose columns, classes and name would mention and link, if they could."""
    bad = "<!channel> <@U0EVE> <http://evil|fine> *b* `c`"
    read = READ.model_copy(update={"target": bad, "inferred": (bad,), "warnings": (f"`{bad}` was left out.",)})
    column = {"name": bad, "kind": "category", "reason": bad, "used": True, "missing": 1, "missing_share": 0.5}
    slice_ = {"slice": bad, "rows": 9, "value": 0.1, "difference": -0.1, "interval": [0.0, 0.2]}
    drift = {"column": bad, "drift": "strong", "psi": 0.5, "ks": 0.2, "p_corrected": 0.001}
    result = {
        **MEASURED,
        "verdict": bad,
        "classes": [bad, "x"],
        "per_class": [{"class": bad, "support": 9, "precision": 0.5, "recall": 0.5, "f1": 0.5, "roc_auc": 0.5}],
        "coefficients": [{"feature": bad, "weight": 1.0, "class": bad}],
        "dataset": {"rows": 3, "columns": 1},
        "dialect": {"delimiter": ",", "encoding": bad, "has_header": True},
        "columns": [column],
        "target": bad,
        "slices": {"metric": "accuracy", "looked_at": 3, "worst": [slice_]},
        "drift": {"columns": [drift]},
        "rows_scored": 9,
    }
    spec: AnySpec = TrainSpec(dataset=bad, name=bad)
    if kind == "describe":
        spec = DescribeSpec(dataset=bad)
    elif kind == "compare":
        spec, result = CompareSpec(runs=(41, 42), dataset=bad), {**(_compare().result or {}), "sentence": bad}
        result["spec_differences"] = {"drop": {"41": [bad], "42": None}}
    elif kind == "evaluate":
        spec = EvaluateSpec(run=42, dataset=bad)
    changes = {"kind": kind, "spec": spec, "name": bad, "dataset_name": bad, "result": result}
    run = _run(RunState.SUCCEEDED).model_copy(update=changes)
    files = [Artifact(name=f"{bad}.csv", sha256="0" * 64, size_bytes=10)]
    return run_card(run, [*CURVE[:3], read, *CURVE[4:]], files, prefix="/lml")


def hostile_card() -> Card:
    """A card of texts that would mention, link, format, turn around or overflow, if they could."""
    bad = "<!channel> <@U0EVE> <http://evil|fine> *b* _i_ `c` ```d``` :fire: & \u202egnp.exe\x07\n"
    wide = tuple(f"{bad}{column}" for column in range(30))
    return Card(
        title=bad * 20,
        state="running",
        headline=bad * 50,
        steps=tuple(Step(bad * 5, StepState.IN_PROGRESS, bad * 30) for _ in range(12)),
        facts=(("target", bad * 10), ("asked by", "<!here>"), *((f"k{n}", bad) for n in range(20))),
        tables=(
            Table(bad * 5, wide, tuple(wide for _ in range(200))),
            Table(bad, wide, tuple(wide for _ in range(200))),
        ),
        notes=tuple(bad * 40 for _ in range(30)),
        problem=Problem("bad", bad * 100, bad * 100),
        files=tuple(f"{bad}{number}.png" for number in range(60)),
        more=tuple(bad for _ in range(20)),
    )


def _run(state: RunState, **more: Any) -> Run:
    waits, ended = state is RunState.QUEUED, state.ended
    return Run(
        id=42,
        team_id="T0TEAM",
        channel_id="C0GENERAL",
        visibility=Visibility.TEAM,
        requested_by="U0ADA",
        source=Source.SLACK,
        words="train churn.csv",
        kind="train",
        spec=TrainSpec(dataset="churn.csv"),
        state=state,
        dataset_name="churn.csv",
        created_at=BEGAN,
        queued_at=BEGAN + timedelta(seconds=1),
        started_at=None if waits else BEGAN + timedelta(seconds=3),
        ended_at=BEGAN + timedelta(seconds=65) if ended else None,
        **more,
    )


def _seeds() -> Run:
    return _run(RunState.GATHERING).model_copy(update={"spec": TrainSpec(dataset="churn.csv", seeds=3)})


def _describe() -> Run:
    columns = [
        {"name": name, "kind": kind, "reason": why, "used": used, "missing": missing, "missing_share": missing / 3_000}
        for name, kind, why, used, missing in (
            ("customer_id", "id", "every value differs", False, 0),
            ("age", "number", "all 2,988 cells are numbers", True, 12),
            ("plan", "category", "3 different values", True, 0),
        )
    ]
    target = {**columns[2], "name": "churned", "reason": "2 different values", "target": True}
    result = {
        "dataset": {"rows": 3_000, "columns": 4},
        "dialect": {"encoding": "utf-8", "delimiter": ",", "has_header": True},
        "target": "churned",
        "task": "binary",
        "columns": [*columns, target],
    }
    changes = {"id": 44, "kind": "describe", "spec": DescribeSpec(dataset="churn.csv"), "result": result}
    return _run(RunState.SUCCEEDED).model_copy(update=changes)


def _compare() -> Run:
    result = {
        "best": 42,
        "rows_shared": 600,
        "sentence": "Run 42 is better: accuracy 0.8512 to 0.8233 (95 % interval of the difference 0.9 to 4.7 points)",
        "runs": [
            {"run": 41, "model": "linear", "metrics": {"accuracy": 0.8233, "f1": 0.7012}},
            {"run": 42, "model": "mlp", "metrics": {"accuracy": 0.8512, "f1": 0.7431}},
        ],
    }
    changes = {"id": 43, "kind": "compare", "spec": CompareSpec(runs=(41, 42)), "result": result, "dataset_name": None}
    return _run(RunState.SUCCEEDED).model_copy(update=changes)

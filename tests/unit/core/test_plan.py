"""A run can be repeated from its plan bit by bit, and ends when it is told to."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.errors import RunStopped, failed
from shared.events import EpochDone, Stage, StageStarted
from shared.specs import ModelName, TrainSpec
from workers.core.auto import Fitted, fit_candidates
from workers.core.dataset import understand_dataset
from workers.core.development import development
from workers.core.loop import Data, descend
from workers.core.progress import Progress
from workers.core.train import train

Write = Callable[..., Path]
Fit = Callable[..., dict[str, Any]]


def fit_from(plan: dict[str, Any], data: Path, out: Path, **words: Any) -> dict[str, Any]:
    """Train again as a plan says, which has been through a file."""
    plan = json.loads(json.dumps(plan))
    spec = TrainSpec(dataset="data", **words)
    return train(data, spec, out=out, report=lambda _: None, should_stop=lambda: False, plan=plan)


@pytest.mark.parametrize("model", [*ModelName])
def test_a_plan_repeats_what_the_clock_cut_short(
    write: Write, fit: Fit, mixed_table: Callable[..., str], tmp_path: Path, model: ModelName
) -> None:
    """Cut off by the time and repeated from its plan without a clock: the same weights, bit by bit, the same blend."""
    data = write(mixed_table())
    words = {"model": model, "time_s": 0.2}
    first = fit(data, out="first", **words)
    again = fit_from(first["plan"], data, tmp_path / "again", **{**words, "time_s": 600})
    kept = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("first", "again")]
    assert kept[0] == kept[1]
    assert first["plan"]["weights"] == again["plan"]["weights"]
    assert first["plan"]["temperature"] == again["plan"]["temperature"]
    assert first["plan"]["candidates"] == again["plan"]["candidates"]
    assert first["metrics"] == again["metrics"]
    models = [(tmp_path / name / "model.onnx").read_bytes() for name in ("first", "again")]
    assert models[0] == models[1]
    if model in (ModelName.AUTO, ModelName.MLP, ModelName.MLP_PLE, ModelName.TABM):
        assert any(plan["clock"] for plan in first["plan"]["candidates"].values())  # it was cut short


@pytest.fixture
def data_of(write: Write) -> Callable[..., Data]:
    """The development rows of a table, as the candidates get them."""

    def make(text: str, spec: TrainSpec) -> Data:
        return development(understand_dataset(write(text), spec), spec, torch.device("cpu")).data

    return make


def candidates(data: Data, spec: TrainSpec, *, time_s: float = 60, plan: dict[str, Any] | None = None) -> Fitted:
    """The candidates alone; a plan has been through a file."""
    follow = None if plan is None else json.loads(json.dumps(plan))
    progress = Progress(lambda _: None, lambda: False)
    return fit_candidates(data, spec, progress=progress, time_s=time_s, threads=1, follow=follow)


def plan_of(fitted: Fitted) -> dict[str, Any]:
    """What a repeat follows."""
    weights = {name.value: weight for name, weight in fitted.choice.weights.items()}
    return {"candidates": fitted.plan, "weights": weights, "temperature": fitted.choice.temperature}


def bits(fitted: Fitted, name: ModelName) -> bytes:
    """What a candidate says of its validation rows."""
    return fitted.candidates[name].outputs.tobytes()


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("mlp", {"lr": 0.05, "batch": 31, "widths": [7], "epochs": 4, "activation": "tanh", "dropout": 0.0}),
        ("mlp-ple", {"optimizer": "sgd", "momentum": 0.5, "schedule": "cosine", "bins": 5, "epochs": 3, "clip": 0.1}),
        ("tabm", {"widths": [5, 5], "members": 3, "bins": 4, "dropout": 0.0, "epochs": 2, "l2": 0.2}),
        ("gbdt", {"learning_rate": 0.3, "num_leaves": 3, "lambda_l2": 9.0, "epochs": 7, "trees": [2, 2, 2, 2, 2]}),
        ("linear", {"l2": 0.5, "epochs": 9}),
    ],
)
def test_a_repeat_follows_the_plan_rather_than_the_defaults(
    data_of: Callable[..., Data], mixed_table: Callable[..., str], model: str, told: dict[str, Any]
) -> None:
    """Whatever a plan says of a candidate is done and stands in the new plan: a repeat of that says the same bits."""
    spec = TrainSpec(dataset="data", model=model, target="kind", **({} if model == "linear" else {"epochs": 2}))
    data = data_of(mixed_table(rows=90), spec)
    first = candidates(data, spec)
    plan = plan_of(first)
    plan["candidates"][model] = plan["candidates"][model] | told
    again = candidates(data, spec, plan=plan)
    assert json.loads(json.dumps({key: again.plan[model][key] for key in told})) == told
    assert bits(first, spec.model) != bits(again, spec.model)
    third = candidates(data, TrainSpec(dataset="data", model=model, target="kind", seed=7), plan=plan_of(again))
    assert bits(third, spec.model) == bits(again, spec.model)
    assert json.dumps(third.plan) == json.dumps(again.plan)


def test_a_repeat_blends_as_the_plan_says(data_of: Callable[..., Data], mixed_table: Callable[..., str]) -> None:
    """Weights and temperature are those of the plan, in the order of its candidates."""
    spec = TrainSpec(dataset="data", target="kind", epochs=1)
    data = data_of(mixed_table(rows=90), spec)
    plan = plan_of(candidates(data, spec))
    plan |= {"weights": {"mlp": 0.25, "linear": 0.75}, "temperature": 1.5}
    choice = candidates(data, spec, plan=plan).choice
    assert list(choice.weights.items()) == [("linear", 0.75), ("mlp", 0.25)]
    assert choice.temperature == 1.5
    assert choice.sentence == "Model: what the plan that was repeated says."


def test_a_rate_that_was_lowered_is_followed(
    data_of: Callable[..., Data], mixed_table: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that exploded and began again is repeated from its second attempt, cut where the clock cut it."""
    spec = TrainSpec(dataset="data", model="mlp", target="kind", patience=100_000, epochs=100_000)
    data, steep = data_of(mixed_table(rows=120), spec), {"left": 1}

    def explodes_once(*args: Any, **words: Any) -> Any:
        steep["left"] -= 1
        if steep["left"] < 0:
            return descend(*args, **words)
        words["clock"].is_over()
        raise failed("training_diverged", "it does", "say less")

    monkeypatch.setattr("workers.core.loop.descend", explodes_once)
    first = candidates(data, spec, time_s=0.5)
    assert first.notes[0] == "`mlp`: the loss exploded, so it began again with lr=0.0002."
    assert (first.plan["mlp"]["ended_by"], first.plan["mlp"]["asked_before"]) == ("time", 1)
    again = candidates(data, spec, plan=plan_of(first))
    assert bits(first, ModelName.MLP) == bits(again, ModelName.MLP)
    assert first.plan == again.plan
    assert not any("began again" in note for note in again.notes)


@pytest.mark.parametrize(
    ("model", "target"), [*((model, "kind") for model in ModelName), (ModelName.AUTO, "size"), (ModelName.TABM, "size")]
)
def test_the_same_seed_gives_the_same_bits(
    write: Write, fit: Fit, mixed_table: Callable[..., str], tmp_path: Path, model: ModelName, target: str
) -> None:
    """Two runs that end by themselves are the same, bit by bit, whatever the time they took."""
    data = write(mixed_table(rows=80))
    words = {"target": target, "epochs": 2}
    reports = [fit(data, out=name, model=model, **words) for name in ("a", "b")]
    kept = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("a", "b")]
    assert kept[0] == kept[1]
    assert reports[0]["plan"] == reports[1]["plan"]
    assert reports[0]["metrics"] == reports[1]["metrics"]


@pytest.mark.parametrize("model", [*ModelName])
def test_the_shortest_time_still_gives_a_model(
    write: Write, fit: Fit, mixed_table: Callable[..., str], model: ModelName
) -> None:
    """However little time is given, what was learnt in it is a model that passes the gate; whoever reads is told."""
    report = fit(write(mixed_table()), model=model, time_s=1e-6)
    assert report["parity"]["max_difference"] < 1e-4
    assert all(candidate["ended_by"] == "time" for candidate in report["candidates"].values())
    name = "linear" if model is ModelName.AUTO else model.value
    assert set(report["candidates"]) == {name}
    assert f"`{name}` was stopped by the time budget; give more with time=..." in report["warnings"]
    if model is ModelName.AUTO:
        left_out = "The time was over before `gbdt` could be trained; give more with time=..."
        assert left_out in report["warnings"]


@pytest.mark.parametrize("stage", [Stage.READ, Stage.TRAIN, Stage.EVALUATE])
def test_a_stop_at_any_stage_is_heard(
    write: Write, mixed_table: Callable[..., str], tmp_path: Path, stage: Stage
) -> None:
    """Asked as a stage begins, the run ends within a second and leaves no report."""
    asked = list[float]()

    def report(event: object) -> None:
        if isinstance(event, StageStarted) and event.stage is stage:
            asked.append(time.monotonic())

    spec = TrainSpec(dataset="data", time_s=60)
    with pytest.raises(RunStopped):
        train(write(mixed_table()), spec, out=tmp_path / "out", report=report, should_stop=lambda: bool(asked))
    assert time.monotonic() - asked[0] < 1.0
    assert not (tmp_path / "out" / "report.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        {"model": "linear", "optimizer": "sgd", "lr": 1e-9, "patience": 100_000, "epochs": 100_000},
        {"model": "mlp", "lr": 1e-9, "patience": 100_000, "epochs": 100_000},
        {"model": "mlp-ple", "lr": 1e-9, "patience": 100_000, "epochs": 100_000},
        {"model": "tabm", "lr": 1e-9, "patience": 100_000, "epochs": 100_000},
        {"model": "gbdt", "lr": 1e-6, "patience": 100_000, "epochs": 100_000},
    ],
)
def test_a_stop_while_a_model_learns_is_heard(
    write: Write, mixed_table: Callable[..., str], tmp_path: Path, words: dict[str, Any]
) -> None:
    """Asked in the middle of its learning, each model ends within a second."""
    asked = list[float]()

    def report(event: object) -> None:
        if isinstance(event, EpochDone):
            asked.append(time.monotonic())

    spec = TrainSpec(dataset="data", time_s=600, **words)
    with pytest.raises(RunStopped):
        train(write(mixed_table()), spec, out=tmp_path / "out", report=report, should_stop=lambda: bool(asked))
    assert time.monotonic() - asked[0] < 1.0


@pytest.mark.parametrize(
    ("words", "split"),
    [
        ({}, {"kind": "random", "column": None, "seed": 0, "folds": 5}),
        ({"group": "user_id", "split_seed": 3}, {"kind": "group", "column": "user_id", "seed": 3}),
        ({"time": "since"}, {"kind": "time", "column": "since", "seed": None, "folds": 1}),
    ],
)
def test_a_plan_says_how_rows_were_dealt(
    write: Write, fit: Fit, mixed_table: Callable[..., str], words: dict[str, Any], split: dict[str, Any]
) -> None:
    """By chance, by group or by time, with the seed, the shares and the folds."""
    plan = fit(write(mixed_table()), model="linear", target="kind", **words)["plan"]
    assert {key: plan["split"][key] for key in split} == split
    assert plan["split"]["shares"] == {"train": 0.6, "validation": 0.2, "test": 0.2}


def test_a_plan_resolves_every_candidate(write: Write, fit: Fit, mixed_table: Callable[..., str]) -> None:
    """Loss, smoothing, class weights, folds and threads stand with each, and a single one's stand at the top too."""
    plan = fit(write(mixed_table()), weights="balanced", smoothing=0.1, time_s=2)["plan"]
    for name, candidate in plan["candidates"].items():
        assert candidate["loss"] == "cross_entropy"
        assert candidate["smoothing"] == (0.0 if name == "gbdt" else 0.1)
        assert len(candidate["class_weights"]) == 2
        assert (candidate["folds"], candidate["threads"]) == (5, 1)
    alone = fit(write(mixed_table()), model="mlp", epochs=2)["plan"]
    assert (alone["model"], alone["loss"], alone["widths"]) == ("mlp", "cross_entropy", [128, 64])
    assert alone["horizon_updates"] == alone["updates"]

"""Every model learns every task, with every word that it takes, and what it learnt passes the gate."""

import random
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from shared.errors import RunFailed
from shared.specs import Activation, LossName, ModelName, Norm, OptimizerName, ScheduleName, Task, TrainSpec
from workers.core.dataset import understand_dataset
from workers.core.development import development
from workers.core.loop import Data, Recipe
from workers.core.models import MODELS
from workers.core.models.candidate import Candidate
from workers.core.models.gbdt import resolve_parameters
from workers.core.models.networks import quick_products, resolve_recipe
from workers.core.progress import Clock, Progress

LEARNERS = tuple(MODELS)
CLASS_LOSSES = (LossName.CROSS_ENTROPY, LossName.FOCAL)
NUMBER_LOSSES = (LossName.MSE, LossName.MAE, LossName.HUBER, LossName.QUANTILE)


def table(task: Task, *, rows: int = 240, seed: int = 1) -> str:
    """Numbers with gaps, words, yes and no, dates, and a target that follows from them, noisily."""
    chance = random.Random(seed)
    lines = ["size,color,active,since,target"]
    for _ in range(rows):
        size, color = chance.gauss(0, 1), chance.choice(("red", "green", "blue"))
        active, year = chance.random() < 0.5, chance.randint(2015, 2024)
        score = size + (color == "red") - active + (year - 2020) / 4 + chance.gauss(0, 0.3)
        said = {
            Task.BINARY: "good" if score > 0 else "bad",
            Task.MULTICLASS: "low" if score < -1 else "middle" if score < 0.5 else "high",
            Task.REGRESSION: f"{100 + 7 * score:.3f}",
        }
        shown = "" if chance.random() < 0.1 else f"{size:.3f}"
        since = f"{year}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
        lines.append(f"{shown},{color},{'yes' if active else 'no'},{since},{said[task]}")
    return "\n".join(lines) + "\n"


def rare_table(rows: int = 600) -> str:
    """Two classes that overlap, one row in ten of the second."""
    chance = random.Random(0)
    lines = ["a,b,kind"]
    for k in range(rows):
        rare = k % 10 == 0
        lines.append(
            f"{chance.gauss(rare * 1.2, 1):.4f},{chance.gauss(rare * 0.8, 1):.4f},{'rare' if rare else 'usual'}"
        )
    return "\n".join(lines) + "\n"


@pytest.fixture
def data_of(write: Callable[..., Path]) -> Callable[..., Data]:
    """The development rows of a table, as the models get them."""

    def make(text: str, **words: Any) -> Data:
        spec = TrainSpec(dataset="data", **words)
        return development(understand_dataset(write(text), spec), spec, torch.device("cpu")).data

    return make


def fitted(data: Data, **words: Any) -> Candidate:
    """One candidate alone, without a limit of time."""
    spec = TrainSpec(dataset="data", **words)
    progress = Progress(lambda _: None, lambda: False)
    return MODELS[spec.model](data, spec, progress=progress, clock=Clock(600), threads=1)


@pytest.mark.parametrize("task", [*Task])
@pytest.mark.parametrize("model", LEARNERS)
def test_each_model_learns_each_task(
    write: Callable[..., Path], fit: Callable[..., dict[str, Any]], model: ModelName, task: Task
) -> None:
    """On a table of most kinds of columns each beats what a model without features says, and passes the gate."""
    rate = {} if model is ModelName.LINEAR else {"lr": 0.3 if model is ModelName.GBDT else 0.02}
    report = fit(write(table(task)), model=model, epochs=12, **rate)
    scores, headline = report["metrics"], report["headline"]
    assert (report["task"], report["model"]) == (task, model)
    assert scores["test"][headline] > scores["baseline"][headline] + 0.15
    assert report["parity"]["max_difference"] < 1e-4
    assert report["parity"]["labels_equal"] == 1.0
    assert set(report["candidates"]) == {model}
    assert report["plan"]["epochs_done"] >= 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            {
                "model": "mlp",
                "optimizer": "sgd",
                "momentum": 0.7,
                "nesterov": True,
                "schedule": "cosine",
                "restarts": 2,
            },
            {"optimizer": "sgd", "momentum": 0.7, "nesterov": True, "schedule": "cosine", "restarts": 2},
        ),
        ({"model": "mlp", "optimizer": "gd"}, {"optimizer": "gd", "momentum": 0.0, "nesterov": False}),
        (
            {"model": "mlp-ple", "lr": 0.004, "batch": 31, "warmup": 0.5, "clip": 0.1, "l1": 1e-5, "l2": 0.03},
            {"lr": 0.004, "batch": 31, "warmup": 0.5, "clip": 0.1, "l1": 1e-5, "l2": 0.03, "epochs": 2},
        ),
        (
            {"model": "tabm", "optimizer": "adam", "schedule": "exponential"},
            {"optimizer": "adam", "schedule": "exponential"},
        ),
        ({"model": "linear", "optimizer": "adamw", "lr": 0.05, "patience": 3}, {"optimizer": "adamw", "lr": 0.05}),
        ({"model": "linear", "l2": 0.5}, {"optimizer": "lbfgs", "l2": 0.5, "l1": 0.0}),
        ({"model": "linear", "l1": 0.01, "l2": 0.5}, {"optimizer": "fista", "l2": 0.5, "l1": 0.01}),
        (
            {"model": "gbdt", "lr": 0.3, "l1": 0.1, "l2": 2.0, "seed": 5},
            {"optimizer": "boosting", "learning_rate": 0.3, "lambda_l1": 0.1, "lambda_l2": 2.0, "seed": 5},
        ),
    ],
)
def test_words_land_in_the_plan(data_of: Callable[..., Data], words: dict[str, Any], said: dict[str, Any]) -> None:
    """What was asked for stands in the plan as it was done."""
    words = {"epochs": 2, **words}
    plan = fitted(data_of(table(Task.BINARY, rows=90), **words), **words).plan
    assert said == {key: plan[key] for key in said}
    assert plan["epochs_done"] <= 2


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_every_word_of_networks_works_with_the_others(data_of: Callable[..., Data], task: Task) -> None:
    """Each optimizer with each schedule, and with them in turn each loss, activation and norm."""
    losses = NUMBER_LOSSES if task is Task.REGRESSION else CLASS_LOSSES
    text = table(task, rows=80)
    for k, (optimizer, schedule) in enumerate(product(OptimizerName, ScheduleName)):
        words: dict[str, Any] = {
            "model": (ModelName.MLP, ModelName.MLP_PLE)[k % 2],
            "optimizer": optimizer,
            "schedule": schedule,
            "loss": losses[k % len(losses)],
            "activation": tuple(Activation)[(k + k // 5) % 5],
            "norm": tuple(Norm)[k % 3],
            "width": 8,
            "epochs": 2,
            "task": task,
        }
        candidate = fitted(data_of(text, **words), **words)
        assert np.isfinite(candidate.outputs).all(), words
        assert candidate.plan["ended_by"] == "epochs", words
        assert np.isfinite(candidate.curve).all(), words


@pytest.mark.parametrize("model", LEARNERS)
@pytest.mark.parametrize("loss", NUMBER_LOSSES)
def test_each_loss_of_numbers(data_of: Callable[..., Data], model: ModelName, loss: LossName) -> None:
    """Each model takes each loss of a regression and comes closer to the target than its mean does."""
    words = {"model": model, "loss": loss, "epochs": 8, "lr": 0.05 if model is not ModelName.GBDT else 0.3}
    data = data_of(table(Task.REGRESSION, rows=160), **words)
    candidate = fitted(data, **words)
    error = np.square(candidate.outputs - data.y.numpy()).mean()
    assert error < 0.8 * float(data.y.var())


@pytest.mark.parametrize("model", [ModelName.LINEAR, ModelName.MLP, ModelName.GBDT])
def test_balanced_weights_find_the_rare_class(
    write: Callable[..., Path], fit: Callable[..., dict[str, Any]], model: ModelName
) -> None:
    """Weighed alike, the rare class is recalled more often."""
    data = write(rare_table())
    recall = {}
    for weights in ("none", "balanced"):
        report = fit(data, model=model, weights=weights, epochs=15)
        rare = next(row for row in report["per_class"] if row["class"] == "rare")
        recall[weights] = rare["recall"]
    assert recall["balanced"] > recall["none"] + 0.2


def test_a_high_quantile_is_asked_for(data_of: Callable[..., Data]) -> None:
    """The 90 % quantile of a linear model and of a network lies above most of the rows."""
    for model in (ModelName.LINEAR, ModelName.MLP):
        words = {"model": model, "loss": "quantile", "quantile": 0.9, "epochs": 60}
        data = data_of(table(Task.REGRESSION), **words)
        assert 0.75 < float((fitted(data, **words).outputs >= data.y.numpy()).mean()) < 0.98


@pytest.mark.parametrize("model", LEARNERS)
def test_numbers_beyond_float32_are_only_far_away(
    write: Callable[..., Path], fit: Callable[..., dict[str, Any]], tmp_path: Path, model: ModelName
) -> None:
    """A number that is huge where nobody learnt from it gives a prediction like any other, and the run passes."""
    chance = random.Random(0)
    rows = [(chance.gauss(k % 2, 1), chance.gauss(0, 1), k) for k in range(120)]
    cells = [
        f"{'1e60' if k > 112 else f'{a:.3f}'},{'-1e80' if k > 116 else f'{b:.3f}'},{k},{k % 2}" for a, b, k in rows
    ]
    report = fit(write("a,b,when,y\n" + "\n".join(cells)), model=model, time="when", number=("a", "b"), epochs=3)
    assert report["parity"]["max_difference"] < 1e-4
    table = pl.read_csv(tmp_path / "out" / "test_predictions.csv")
    assert table["probability_1"].is_finite().all()
    assert table["row"].to_list()[-1] == 120


def test_all_conflicts_are_told_once_the_task_is_known(
    write: Callable[..., Path], fit: Callable[..., dict[str, Any]]
) -> None:
    """Words that do not go together end the run with every reason, before anything is trained."""
    words = {"model": "gbdt", "depth": 3, "loss": "mse", "smoothing": 0.1, "restarts": 2}
    with pytest.raises(RunFailed) as caught:
        fit(write(table(Task.BINARY, rows=60)), **words)
    said = [problem.message for problem in caught.value.problems]
    assert {problem.code for problem in caught.value.problems} == {"words_conflict"}
    assert said == [
        "`gbdt` grows trees and takes no words of networks; met restarts=2 smoothing=0.1 depth=3.",
        "loss=mse is for regression; the task is binary.",
    ]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("mlp", {"depth": 1, "width": 5}),
        ("mlp", {"depth": 3}),
        ("mlp-ple", {"width": 7}),
        ("tabm", {"depth": 1, "width": 6, "dropout": 0.0}),
    ],
)
def test_depth_and_width_are_those_of_the_network(
    data_of: Callable[..., Data], model: str, words: dict[str, Any]
) -> None:
    """As many hidden layers, as wide as asked for."""
    asked = {"model": model, "epochs": 1, **words}
    candidate = fitted(data_of(table(Task.BINARY, rows=60), **asked), **asked)
    hidden = [layer for layer in candidate.member.modules() if type(layer).__name__ == "Dense"]  # type: ignore[attr-defined]
    hidden = hidden if model == "tabm" else hidden[:-1]  # the head of tabm is of its members
    assert len(hidden) == words.get("depth", 2)
    if "width" in words:
        assert {layer.weight.shape[-1] for layer in hidden} == {words["width"]}


def test_dropout_is_off_when_predicting(data_of: Callable[..., Data]) -> None:
    """Two looks at the same rows say the same."""
    words = {"model": "mlp", "dropout": 0.8, "epochs": 2}
    data = data_of(table(Task.BINARY, rows=80), **words)
    member = fitted(data, **words).member
    with torch.inference_mode():
        torch.testing.assert_close(member.outputs(data.x), member.outputs(data.x), rtol=0, atol=0)


def test_each_row_is_judged_by_a_fold_that_had_not_learnt_it(data_of: Callable[..., Data]) -> None:
    """With a target of pure noise no model looks better than chance on its validation rows, however well it learnt."""
    chance = random.Random(3)
    text = "a,b,target\n" + "".join(
        f"{chance.gauss(0, 1):.4f},{chance.gauss(0, 1):.4f},{chance.gauss(0, 1):.4f}\n" for _ in range(200)
    )
    for model in LEARNERS:
        data = data_of(text, model=model)
        candidate = fitted(data, model=model, epochs=20, lr=0.05)
        assert np.square(candidate.outputs - data.y.numpy()).mean() > 0.9


@pytest.mark.parametrize("schedule", ["step", "exponential", "cosine"])
@pytest.mark.parametrize("model", [ModelName.MLP, ModelName.LINEAR])
def test_a_schedule_reaches_its_end(data_of: Callable[..., Data], model: ModelName, schedule: str) -> None:
    """Without epochs= it is stretched over a number of them that is reached, whatever the patience of others is."""
    words = {"model": model, "schedule": schedule, "optimizer": "adam", "width": 4 if model is ModelName.MLP else None}
    plan = fitted(data_of(table(Task.BINARY, rows=90), **words), **words).plan
    assert plan["ended_by"] == "epochs"
    assert plan["updates"] == plan["horizon_updates"]
    assert 3_000 <= plan["horizon_updates"] < 3_100


def test_words_of_a_schedule_are_kept(data_of: Callable[..., Data]) -> None:
    """epochs= and patience= say when it ends; a warm-up shortens the horizon, and nothing else does."""
    data = data_of(table(Task.BINARY, rows=90))

    def recipe(**words: Any) -> Recipe:
        return resolve_recipe(data, TrainSpec(dataset="data", **words), lr=1e-3, l2=0.0)

    rows = max(len(fold.train) for fold in data.folds)
    an_epoch = -(-rows // recipe().batch)
    assert recipe(schedule="cosine", epochs=7).patience_updates == 7 * an_epoch
    assert recipe(schedule="cosine", patience=3).patience_updates == 3 * an_epoch
    assert recipe(warmup=0.1).epochs == -(-3_000 // an_epoch)
    assert recipe(warmup=0.1).patience_updates == recipe().patience_updates == 600
    assert recipe().epochs == recipe(schedule="constant").epochs == 30_000 // an_epoch


@pytest.mark.parametrize(
    ("model", "resolved"),
    [
        (ModelName.MLP, {"widths": (128, 64), "activation": "relu", "norm": "none", "dropout": 0.1}),
        (ModelName.MLP_PLE, {"widths": (128, 128), "bins": 32}),
        (ModelName.TABM, {"widths": (128, 128), "bins": 48, "members": 8}),
        (ModelName.GBDT, {"epochs": 1, "patience": 50, "bins": 255}),
        (ModelName.LINEAR, {"l2_before": None}),
    ],
)
def test_defaults_are_resolved_in_the_plan(
    data_of: Callable[..., Data], model: ModelName, resolved: dict[str, Any]
) -> None:
    """What a model chose for itself can be read in its plan."""
    words = {"model": model, "epochs": 1} | ({"l2": 0.1} if model is ModelName.LINEAR else {})
    plan = fitted(data_of(table(Task.BINARY, rows=90), **words), **words).plan
    assert {key: plan[key] for key in resolved} == resolved


def test_a_cpu_multiplies_as_ever(data_of: Callable[..., Data]) -> None:
    """Reduced precision is for GPUs: on a CPU nothing is set, not even for a moment."""
    before = torch.get_float32_matmul_precision()
    seen: list[str] = []
    words = {"model": ModelName.MLP, "epochs": 1}
    data = data_of(table(Task.BINARY, rows=60), **words)
    progress = Progress(lambda _: seen.append(torch.get_float32_matmul_precision()), lambda: False)
    spec = TrainSpec(dataset="data", **words)
    plan = MODELS[ModelName.MLP](data, spec, progress=progress, clock=Clock(600), threads=1).plan
    assert {*seen, plan["matmul_precision"], torch.get_float32_matmul_precision()} == {before}
    with quick_products(True) as precision:  # what a GPU gets is taken back
        assert torch.get_float32_matmul_precision() == precision == "high"
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_multiplies_faster(write: Callable[..., Path], fit: Callable[..., dict[str, Any]]) -> None:
    """Networks use TF32 there, and the plan says so; a linear model stays exact."""
    before = torch.get_float32_matmul_precision()
    data = write(table(Task.REGRESSION))
    assert fit(data, model="mlp", epochs=2)["plan"]["matmul_precision"] == "high"
    assert fit(data, model="linear", optimizer="sgd", epochs=2)["plan"]["matmul_precision"] == before
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize("model", [ModelName.LINEAR, ModelName.GBDT])
def test_the_last_word_on_epochs_is_that_of_the_report(data_of: Callable[..., Data], model: ModelName) -> None:
    """Trials of other strengths and other folds come before it."""
    told: list[Any] = []
    data = data_of(table(Task.BINARY), model=model)
    spec = TrainSpec(dataset="data", model=model)
    progress = Progress(told.append, lambda: False)
    candidate = MODELS[model](data, spec, progress=progress, clock=Clock(600), threads=1)
    assert told[-1].epoch == candidate.plan["epochs_done"]


def test_the_huber_loss_of_trees_is_that_of_networks(data_of: Callable[..., Data]) -> None:
    """Both turn from squares to sizes at one deviation."""
    data = data_of(table(Task.REGRESSION, rows=90), loss="huber")
    assert resolve_parameters(data, TrainSpec(dataset="data", loss="huber"), 1)["alpha"] == 1.0

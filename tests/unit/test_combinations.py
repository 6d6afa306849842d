"""Words of a training run that do not go together: each is refused with its reason, and nothing else is."""

from typing import Any

import pytest

from bot.grammar import parse
from bot.words import split_words
from shared.combinations import column_problems, problems_of
from shared.errors import RefusedWords
from shared.specs import DescribeSpec, LossName, ModelName, OptimizerName, Task, TrainSpec

SOLVED = "`linear` without optimizer= is solved to its optimum in one go; met "
LAYERS = "`linear` has no layers; met "
TREES = "`gbdt` grows trees and takes no words of networks; met "
MOMENTUM = "momentum= and nesterov= go with optimizer=sgd or optimizer=gd; met "
ONCE = "A column is named by one of target=, drop=, category=, text=, date= and number=; "


def problems(task: Task | None = None, **words: Any) -> list[tuple[str, str]]:
    """What is wrong with a spec: each message with what to do."""
    found = problems_of(TrainSpec(dataset="a.csv", **words), task)
    assert {problem.code for problem in found} <= {"words_conflict"}
    return [(problem.message, problem.hint) for problem in found]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (
            {"momentum": 0.9},
            MOMENTUM + "momentum=0.9 with no optimizer=.",
            "Say optimizer=sgd, or leave momentum= out.",
        ),
        (
            {"momentum": 0.0, "nesterov": True, "optimizer": "adam"},
            MOMENTUM + "momentum=0 nesterov=yes with optimizer=adam.",
            "Say optimizer=sgd, or leave momentum= and nesterov= out.",
        ),
        (
            {"nesterov": True, "optimizer": "gd"},
            "nesterov=yes looks ahead along the momentum, so it needs one above 0; momentum is 0 (optimizer=gd has "
            "none unless it is given).",
            "Say momentum=0.9, or leave nesterov= out.",
        ),
        (
            {"nesterov": True, "optimizer": "sgd", "momentum": 0.0},
            "nesterov=yes looks ahead along the momentum, so it needs one above 0; momentum is 0.",
            "Say momentum=0.9, or leave nesterov= out.",
        ),
        (
            {"restarts": 2},
            "restarts= goes with schedule=cosine; met restarts=2 with no schedule=.",
            "Say schedule=cosine, or leave restarts= out.",
        ),
        (
            {"restarts": 2, "schedule": "step"},
            "restarts= goes with schedule=cosine; met restarts=2 with schedule=step.",
            "Say schedule=cosine, or leave restarts= out.",
        ),
        (
            {"batch": 64, "optimizer": "gd"},
            "optimizer=gd takes each step on all rows at once; met batch=64.",
            "Leave batch= out, or say optimizer=sgd.",
        ),
        (
            {"model": "linear", "schedule": "step", "warmup": 0.1, "clip": 1, "smoothing": 0.1, "patience": 3},
            SOLVED + "schedule=step warmup=0.1 clip=1 smoothing=0.1 patience=3.",
            "Leave schedule=, warmup=, clip=, smoothing= and patience= out, or name an optimizer=.",
        ),
        (
            {"model": "linear", "lr": 0.1, "batch": 8},
            SOLVED + "lr=0.1 batch=8.",
            "Leave lr= and batch= out, or name an optimizer=.",
        ),
        (
            {"model": "linear", "schedule": "cosine", "restarts": 1},
            SOLVED + "schedule=cosine restarts=1.",
            "Leave schedule= and restarts= out, or name an optimizer=.",
        ),
        (
            {"model": "linear", "momentum": 0.9},
            SOLVED + "momentum=0.9.",
            "Leave momentum= out, or name an optimizer=.",
        ),
        (
            {"model": "linear", "depth": 2, "width": 8, "activation": "relu", "dropout": 0.1, "norm": "layer"},
            LAYERS + "depth=2 width=8 activation=relu dropout=0.1 norm=layer.",
            "Leave depth=, width=, activation=, dropout= and norm= out, or choose model=mlp.",
        ),
        (
            {"model": "linear", "optimizer": "sgd", "depth": 2},
            LAYERS + "depth=2.",
            "Leave depth= out, or choose model=mlp.",
        ),
        (
            {"model": "gbdt", "optimizer": "sgd", "momentum": 0.9, "batch": 8, "width": 4, "smoothing": 0.1},
            TREES + "optimizer=sgd batch=8 momentum=0.9 smoothing=0.1 width=4.",
            "Leave optimizer=, batch=, momentum=, smoothing= and width= out, or choose model=mlp.",
        ),
        (
            {"model": "gbdt", "schedule": "cosine", "restarts": 3, "warmup": 0.0, "clip": 1.5, "nesterov": True},
            TREES + "schedule=cosine warmup=0 restarts=3 clip=1.5 nesterov=yes.",
            "Leave schedule=, warmup=, restarts=, clip= and nesterov= out, or choose model=mlp.",
        ),
        (
            {"model": "gbdt", "loss": "focal"},
            "`gbdt` trains with every loss but focal; met loss=focal.",
            "Use loss=cross_entropy, or choose model=mlp.",
        ),
        (
            {"model": "tabm", "norm": "batch"},
            "The members of `tabm` share their layers, so it takes no norm; met norm=batch.",
            "Leave norm= out, or choose model=mlp.",
        ),
        (
            {"quantile": 0.9, "loss": "mae"},
            "quantile= goes with loss=quantile; met quantile=0.9 with loss=mae.",
            "Say loss=quantile, or leave quantile= out.",
        ),
        (
            {"quantile": 0.9},
            "quantile= goes with loss=quantile; met quantile=0.9 with no loss=.",
            "Say loss=quantile, or leave quantile= out.",
        ),
        (
            {"weights": "balanced", "loss": "mse"},
            "weights= is for classes; loss=mse is of regression.",
            "Leave weights= out.",
        ),
        (
            {"smoothing": 0.1, "loss": "focal"},
            "smoothing= softens the labels of loss=cross_entropy; met smoothing=0.1 with loss=focal.",
            "Leave one of them out.",
        ),
        (
            {"group": "customer", "time": "day"},
            "Rows are split by group or by time, not by both; met group=customer and time=day.",
            "Leave one of them out.",
        ),
        (
            {"group": "y", "target": "y"},
            "Rows are not split by what is predicted; group= and target= both name `y`.",
            "Name another column in group=, or leave it out.",
        ),
        (
            {"time": "y", "target": "y"},
            "Rows are not split by what is predicted; time= and target= both name `y`.",
            "Name another column in time=, or leave it out.",
        ),
        (
            {"drop": ("a", "b"), "text": ("b",), "number": ("b",)},
            ONCE + "`b` is named by drop=, text= and number=.",
            "Name it once.",
        ),
        (
            {"target": "y", "category": ("y",)},
            ONCE + "`y` is named by target= and category=.",
            "Name it once; task= says how the target is read.",
        ),
    ],
)
def test_words_that_do_not_go_together(words: dict[str, Any], message: str, hint: str) -> None:
    """Each conflict is one problem with the rule, the values that were met, and what to do."""
    assert problems(**words) == [(message, hint)]


@pytest.mark.parametrize(
    ("task", "words", "message", "hint"),
    [
        (
            Task.BINARY,
            {"loss": "mse"},
            "loss=mse is for regression; the task is binary.",
            "Use loss=cross_entropy or focal, or leave loss= out, or say task=regression if the target is a number.",
        ),
        (
            Task.MULTICLASS,
            {"loss": "quantile", "quantile": 0.9},
            "loss=quantile is for regression; the task is multiclass.",
            "Use loss=cross_entropy or focal, or leave loss= out, or say task=regression if the target is a number.",
        ),
        (
            Task.REGRESSION,
            {"loss": "cross_entropy"},
            "loss=cross_entropy is for classes; the task is regression.",
            "Use loss=mse, mae, huber or quantile, or leave loss= out, or say task=multiclass if the numbers of the "
            "target stand for classes.",
        ),
        (
            Task.REGRESSION,
            {"smoothing": 0.1, "weights": "balanced"},
            "smoothing= and weights= are for classes; the task is regression.",
            "Leave smoothing= and weights= out.",
        ),
    ],
)
def test_words_that_do_not_fit_the_task(task: Task, words: dict[str, Any], message: str, hint: str) -> None:
    """What only classes or only a regression can use is refused once the task is known, and not before."""
    assert problems(task, **words) == [(message, hint)]
    assert problems(None, **words) == []


def test_a_task_that_was_told_is_not_offered_to_be_changed() -> None:
    """Who said the task has a wrong loss, and is told of losses only."""
    (problem,) = problems_of(TrainSpec(dataset="a.csv", task=Task.BINARY, loss=LossName.MSE), Task.BINARY)
    assert problem.hint == "Use loss=cross_entropy or focal, or leave loss= out."


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"optimizer": "sgd", "nesterov": True},
        {"optimizer": "gd", "momentum": 0.9, "nesterov": True, "l1": 0.1},
        {"optimizer": "adam", "batch": 8, "l1": 0.1, "nesterov": False},
        {"schedule": "cosine", "restarts": 3, "warmup": 0.1},
        {"model": "linear", "lr": 0.1, "batch": 8, "l1": 0.1, "l2": 0.1, "loss": "huber", "weights": "none"},
        {"model": "linear", "loss": "quantile", "schedule": "cosine", "patience": 3, "clip": 1},
        {"model": "linear", "optimizer": "sgd", "schedule": "step", "momentum": 0.9, "patience": 3, "clip": 1},
        {"model": "gbdt", "lr": 0.1, "epochs": 50, "patience": 5, "loss": "quantile", "quantile": 0.1},
        {"model": "gbdt", "weights": "balanced", "norm": "none", "nesterov": False},
        {"model": "tabm", "norm": "none", "depth": 3},
        {"model": "auto", "depth": 3, "dropout": 0.1, "norm": "batch", "optimizer": "sgd", "momentum": 0.5},
        {"group": "customer", "target": "y", "drop": ("customer",)},
        {"time": "day", "time_s": 60, "date": ("day",)},
        {"loss": "focal", "weights": "balanced"},
        {"category": ("a",), "text": ("b",), "date": ("c",), "number": ("d",), "drop": ("e",), "target": "y"},
    ],
)
def test_words_that_go_together(words: dict[str, Any]) -> None:
    """What the models can do is not refused; with `auto` the words of networks go to the networks."""
    assert problems(**words) == []


@pytest.mark.parametrize("model", [*ModelName])
@pytest.mark.parametrize("optimizer", [None, *OptimizerName])
def test_no_word_is_told_twice_for_the_same_reason(model: ModelName, optimizer: OptimizerName | None) -> None:
    """A word that the model has no use for is told once, and not again for its optimizer or schedule."""
    found = problems(model=model, optimizer=optimizer, momentum=0.9, restarts=1)
    assert sum("momentum=0.9" in message for message, _ in found) <= 1
    assert sum("restarts=1" in message for message, _ in found) == 1


def test_every_problem_is_told_at_once() -> None:
    """A command with several conflicts is refused with all of them, from the words alone."""
    with pytest.raises(RefusedWords) as met:
        parse(
            split_words("train a.csv task=regression loss=focal weights=balanced group=a time=b optimizer=gd batch=9")
        )
    assert [problem.code for problem in met.value.problems] == ["words_conflict"] * 4


def test_a_description_has_the_rules_of_columns() -> None:
    """`describe` refuses a column of which two things are said, as `train` does."""
    spec = DescribeSpec(dataset="a.csv", drop=("a",), date=("a",))
    assert [problem.message for problem in column_problems(spec)] == [ONCE + "`a` is named by drop= and date=."]
    with pytest.raises(RefusedWords, match="is named by drop= and date="):
        parse(["describe", "a.csv", "drop=a", "date=a"])

"""Each loss is the one that its name promises."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_absolute_error, mean_pinball_loss, mean_squared_error
from torch import Tensor

from shared.specs import LossName, Task, TrainSpec
from workers.core.objective import Objective, resolve_objective


def numbers() -> tuple[Tensor, Tensor]:
    """Outputs and targets [50, 1]."""
    chance = np.random.default_rng(0)
    return (
        torch.from_numpy(chance.normal(size=(50, 1))).float(),
        torch.from_numpy(chance.normal(size=(50, 1))).float(),
    )


def logits() -> tuple[Tensor, Tensor]:
    """Outputs [50, 3] and targets [50], of which few are of the last class."""
    chance = np.random.default_rng(0)
    y = chance.choice(3, size=50, p=[0.6, 0.3, 0.1])
    return torch.from_numpy(chance.normal(size=(50, 3))).float(), torch.from_numpy(y)


@pytest.mark.parametrize(
    ("loss", "oracle"),
    [
        (LossName.MSE, mean_squared_error),
        (LossName.MAE, mean_absolute_error),
        (LossName.QUANTILE, lambda y, out: mean_pinball_loss(y, out, alpha=0.9)),
        (LossName.HUBER, lambda y, out: np.where((e := np.abs(y - out)) <= 1, e**2 / 2, e - 0.5).mean()),
    ],
)
def test_losses_of_numbers(loss: LossName, oracle) -> None:
    """Each loss of a regression is what scikit-learn or its formula says."""
    out, y = numbers()
    objective = Objective(loss, quantile=0.9)
    expected = oracle(y.numpy(), out.numpy())
    assert float(objective.training_loss(out, y)) == pytest.approx(expected, rel=1e-5)
    assert float(objective.validation_loss(out, y)) == pytest.approx(expected, rel=1e-5)


def test_cross_entropy() -> None:
    """The log loss of the softmax."""
    out, y = logits()
    expected = log_loss(y, out.double().softmax(dim=1).numpy(), labels=[0, 1, 2])
    assert float(Objective(LossName.CROSS_ENTROPY).training_loss(out, y)) == pytest.approx(expected, rel=1e-5)


def test_class_weights_make_classes_count_the_same() -> None:
    """Balanced weights are scikit-learn's, have a mean of 1 over the rows, and weigh the loss of each row."""
    out, y = logits()
    weights = resolve_objective(TrainSpec(dataset="d", weights="balanced"), Task.MULTICLASS, y, 3).class_weights
    counts = np.bincount(y.numpy())
    np.testing.assert_allclose(weights, 50 / (3 * counts), rtol=1e-6)
    each = weights[y]
    assert float(each.mean()) == pytest.approx(1.0)
    expected = log_loss(y, out.double().softmax(dim=1).numpy(), labels=[0, 1, 2], sample_weight=each.numpy())
    loss = Objective(LossName.CROSS_ENTROPY, class_weights=weights)
    assert float(loss.training_loss(out, y)) == pytest.approx(expected, rel=1e-5)
    assert float(loss.validation_loss(out, y)) == pytest.approx(expected, rel=1e-5)


def test_a_batch_of_one_class_weighs_what_the_class_does() -> None:
    """The mean over batches is the loss of all rows, also where a batch holds one class alone."""
    out, y = logits()
    order = y.argsort()
    out, y = out[order], y[order]
    loss = Objective(LossName.CROSS_ENTROPY, class_weights=torch.tensor([0.5, 1.0, 3.0]), smoothing=0.1)
    batches = [loss.training_loss(out[start : start + 10], y[start : start + 10]) for start in range(0, 50, 10)]
    torch.testing.assert_close(torch.stack(batches).mean(), loss.training_loss(out, y))


def test_a_class_without_rows_has_a_finite_weight() -> None:
    """A class that no row of training has divides by nothing."""
    y = torch.tensor([0, 0, 1])
    weights = resolve_objective(TrainSpec(dataset="d", weights="balanced"), Task.MULTICLASS, y, 3).class_weights
    assert torch.isfinite(weights).all()


def test_smoothing_softens_only_what_is_learnt() -> None:
    """A tenth of each label is spread over all classes in training, and nothing of it in validation."""
    out, y = logits()
    log_p = out.log_softmax(dim=1)
    picked = log_p[torch.arange(50), y]
    expected = -(0.9 * picked + 0.1 * log_p.mean(dim=1)).mean()
    objective = Objective(LossName.CROSS_ENTROPY, smoothing=0.1)
    torch.testing.assert_close(objective.training_loss(out, y), expected)
    torch.testing.assert_close(objective.validation_loss(out, y), -picked.mean())


def test_focal_loss_looks_away_from_easy_rows() -> None:
    """Lin et al. 2017, with an exponent of 2: (1 - p)^2 times the cross-entropy, times the weight of the class."""
    out, y = logits()
    p = out.softmax(dim=1)[torch.arange(50), y]
    each = -((1 - p) ** 2) * p.log()
    torch.testing.assert_close(Objective(LossName.FOCAL).training_loss(out, y), each.mean())
    weights = torch.tensor([0.5, 1.0, 3.0])
    weighted = Objective(LossName.FOCAL, class_weights=weights).training_loss(out, y)
    torch.testing.assert_close(weighted, (weights[y] * each).mean())


@pytest.mark.parametrize("loss", [*LossName])
def test_the_losses_of_members_are_averaged(loss: LossName) -> None:
    """An ensemble's loss is the mean of its members' losses, never the loss of what they say together."""
    out, y = logits() if loss in (LossName.CROSS_ENTROPY, LossName.FOCAL) else numbers()
    members = torch.stack([out, 2 * out, out - out.flip(0)], dim=1)  # [rows, members, outputs]
    objective = Objective(loss)
    alone = torch.stack([objective.training_loss(members[:, k], y) for k in range(3)])
    torch.testing.assert_close(objective.training_loss(members, y), alone.mean())
    together = objective.training_loss(members.mean(dim=1), y)
    assert not math.isclose(float(together), float(alone.mean()), rel_tol=1e-3)


@pytest.mark.parametrize("loss", [*LossName])
def test_the_losses_of_folds_are_averaged(loss: LossName) -> None:
    """Folds of one size, with members or without, count the same."""
    out, y = logits() if loss in (LossName.CROSS_ENTROPY, LossName.FOCAL) else numbers()
    objective = Objective(loss)
    folds, targets = torch.stack([out, -out]), torch.stack([y, y.flip(0)])
    alone = torch.stack([objective.training_loss(folds[k], targets[k]) for k in range(2)])
    torch.testing.assert_close(objective.training_loss(folds, targets), alone.mean())
    members = torch.stack([folds, folds / 2], dim=2)  # [folds, rows, members, outputs]
    halves = torch.stack([objective.training_loss(folds[k] / 2, targets[k]) for k in range(2)])
    torch.testing.assert_close(objective.training_loss(members, targets), (alone.mean() + halves.mean()) / 2)


@pytest.mark.parametrize(
    ("task", "words", "name"),
    [
        (Task.REGRESSION, {}, LossName.MSE),
        (Task.REGRESSION, {"loss": "quantile", "quantile": 0.2}, LossName.QUANTILE),
        (Task.BINARY, {}, LossName.CROSS_ENTROPY),
        (Task.MULTICLASS, {"loss": "focal"}, LossName.FOCAL),
    ],
)
def test_what_a_spec_leaves_open(task: Task, words: dict[str, object], name: LossName) -> None:
    """The task decides the loss that nobody named; nothing else is on unless it was asked for."""
    objective = resolve_objective(TrainSpec(dataset="d", **words), task, torch.tensor([0, 1]), 2)
    assert objective.name is name
    assert objective.quantile == words.get("quantile", 0.5)
    assert (objective.smoothing, objective.class_weights) == (0.0, None)


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (Objective(LossName.MSE), "Mean squared error (standardised)"),
        (Objective(LossName.MAE), "Mean absolute error (standardised)"),
        (Objective(LossName.HUBER), "Huber loss (standardised)"),
        (Objective(LossName.QUANTILE, quantile=0.9), "Pinball loss at 0.9 (standardised)"),
        (Objective(LossName.CROSS_ENTROPY), "Cross-entropy"),
        (Objective(LossName.CROSS_ENTROPY, class_weights=torch.ones(2)), "Cross-entropy, classes weighed"),
        (Objective(LossName.FOCAL), "Focal loss"),
    ],
)
def test_a_plot_names_the_loss(objective, words):
    """What was minimised stands at the axis."""
    assert objective.in_words() == words

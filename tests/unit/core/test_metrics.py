"""Scores and the model without features."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from shared.specs import LossName, Task
from workers.core.aim import Aim
from workers.core.metrics import baseline, headline, names, per_class, roc_auc, score, score_folds


def test_regression_by_hand():
    """r2, rmse, mse and mae of three rows."""
    scores = score(Task.REGRESSION, np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0]))
    assert scores == pytest.approx({"r2": -1.0, "rmse": (4 / 3) ** 0.5, "mse": 4 / 3, "mae": 2 / 3})


def test_classification_by_hand():
    """Of two classes precision, recall and F1 are those of the second; one row of four is wrong."""
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]], dtype=np.float32)
    scores = score(Task.BINARY, np.array([0, 0, 1, 1]), probabilities)
    assert scores["accuracy"] == 0.75
    assert scores["precision"] == pytest.approx(2 / 3)
    assert scores["recall"] == 1.0
    assert scores["f1"] == pytest.approx(0.8)
    assert scores["roc_auc"] == 1.0
    assert scores["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.9]).mean(), rel=1e-6)


def test_what_is_not_defined_is_none():
    """One row has no r2, one class no roc_auc, no rows nothing."""
    assert score(Task.REGRESSION, np.array([1.0]), np.array([1.0]))["r2"] is None
    assert score(Task.BINARY, np.array([0, 0]), np.array([[0.9, 0.1], [0.8, 0.2]]))["roc_auc"] is None
    assert set(score(Task.BINARY, np.array([], dtype=int), np.zeros((0, 2))).values()) == {None}


def test_the_baseline_knows_no_features():
    """It says the training mean, or the shares of the classes, for every row."""
    assert baseline(Task.REGRESSION, np.array([1.0, 3.0]), [2.0])["mse"] == 1.0
    assert baseline(Task.BINARY, np.array([0, 1, 1, 1]), [0.25, 0.75])["accuracy"] == 0.75


def test_more_classes_are_averaged():
    """Of three classes precision, recall and F1 are macro averages."""
    probabilities = np.eye(3)[[0, 1, 2, 0]].astype(np.float32)
    scores = score(Task.MULTICLASS, np.array([0, 1, 2, 2]), probabilities)
    assert scores["precision"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert scores["recall"] == pytest.approx((1 + 1 + 0.5) / 3)


def test_a_class_that_is_never_named_or_never_there():
    """Without a row of the second class, or a word of it, its scores are zero and no error."""
    never = score(Task.BINARY, np.array([0, 0]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    assert (never["precision"], never["recall"], never["f1"]) == (0.0, 0.0, 0.0)
    assert score(Task.BINARY, np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))["recall"] == 0.0


def test_the_loss_that_was_asked_for_is_a_score():
    """A quantile comes with its pinball loss and its coverage, a Huber loss with itself; the headline follows."""
    actual, predicted = np.array([1.0, 2.0, 3.0, 10.0]), np.array([2.0, 2.0, 2.0, 2.0])
    upper = Aim(LossName.QUANTILE, quantile=0.9)
    scores = score(Task.REGRESSION, actual, predicted, upper)
    assert scores["pinball"] == pytest.approx((0.1 * 1 + 0 + 0.9 * 1 + 0.9 * 8) / 4)
    assert scores["coverage"] == 0.5
    assert tuple(scores) == names(Task.REGRESSION, upper)
    robust = Aim(LossName.HUBER, turn=2.0)
    assert score(Task.REGRESSION, actual, predicted, robust)["huber"] == pytest.approx((0.5 + 0 + 0.5 + 2 * 7) / 4)
    assert [headline(Task.REGRESSION, Aim(loss)) for loss in ("mse", "mae", "huber", "quantile")] == [
        "r2", "mae", "huber", "pinball",
    ]  # fmt: skip
    assert headline(Task.BINARY, Aim(LossName.FOCAL)) == "roc_auc"


def test_areas_of_folds_are_averaged():
    """Two folds that rank their rows perfectly, on different scales, are perfect; ranked together they are not."""
    one = (np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    other = (np.array([0, 1]), np.array([[0.3, 0.7], [0.2, 0.8]]))
    nothing = (np.array([0]), np.array([[0.5, 0.5]]))
    together = [np.concatenate(values) for values in zip(one, other, strict=True)]
    assert score(Task.BINARY, *together)["roc_auc"] == 0.75
    assert score_folds(Task.BINARY, [one, other])["roc_auc"] == 1.0
    assert score_folds(Task.BINARY, [one, other])["accuracy"] == score(Task.BINARY, *together)["accuracy"] == 0.5
    assert score_folds(Task.BINARY, [one, nothing])["roc_auc"] == 1.0
    assert score_folds(Task.BINARY, [nothing, nothing])["roc_auc"] is None


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_areas_are_those_of_scikit_learn(classes: int):
    """With ties and classes of all sizes the area under the curve is the one that scikit-learn counts."""
    chance = np.random.default_rng(classes)
    actual = np.concatenate([np.arange(classes), chance.integers(0, classes, 400) ** 2 // classes])
    said = np.round(chance.dirichlet(np.ones(classes), len(actual)), 2) + 0.01
    said /= said.sum(axis=1, keepdims=True)
    expected = roc_auc_score(actual, said[:, 1] if classes == 2 else said, multi_class="ovr")
    assert roc_auc(actual, said) == pytest.approx(expected, abs=1e-12)
    rows = per_class(actual, said, [f"c{k}" for k in range(classes)])
    ones = [roc_auc_score(actual == k, said[:, k]) for k in range(classes)]
    assert [row["roc_auc"] for row in rows] == pytest.approx(ones, abs=1e-12)


def test_a_class_alone_has_no_area():
    """Where a class has no row, or every row, there is nothing to rank it against."""
    rows = per_class(np.array([1, 1, 1]), np.full((3, 2), 0.5), ["a", "b"])
    assert [row["roc_auc"] for row in rows] == [None, None]

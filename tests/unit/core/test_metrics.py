"""Scores and the model without features."""

import numpy as np
import pytest

from shared.specs import Task
from workers.core.metrics import baseline, score


def test_regression_by_hand():
    """r2, rmse, mse and mae of three rows."""
    scores = score(Task.REGRESSION, np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0]))
    assert scores == pytest.approx({"r2": -1.0, "rmse": (4 / 3) ** 0.5, "mse": 4 / 3, "mae": 2 / 3})


def test_classification_by_hand():
    """Macro averages of two classes, one row of four wrong."""
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]], dtype=np.float32)
    scores = score(Task.BINARY, np.array([0, 0, 1, 1]), probabilities)
    assert scores["accuracy"] == 0.75
    assert scores["precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert scores["recall"] == pytest.approx(0.75)
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

"""Influences beside what they are defined by: how a score moves when one row weighs a little more."""

import numpy as np
import pytest
from sklearn import metrics as sk

from workers.core.influence import class_scores, mean_of, root_of_mean, unexplained

_BIT = 1e-6


def moved(score, rows: int) -> np.ndarray:
    """[rows]: the derivative of `score`, a function of weights of mean one, by the share of each row."""
    even = np.ones(rows)
    return np.array([(score(even + _BIT * (np.arange(rows) == k)) - score(even)) / _BIT * rows for k in range(rows)])


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_of_means_over_classes(name):
    """Macro averages of scikit-learn, with a class that is never said and one that never occurs."""
    chance = np.random.default_rng(0)
    actual, labels = chance.integers(4, size=30), chance.choice([0, 1, 2, 4], size=30)
    labels[:15] = np.where(actual[:15] == 3, 0, actual[:15])

    def score(weights: np.ndarray) -> float:
        found = sk.precision_recall_fscore_support(
            actual, labels, average="macro", sample_weight=weights, zero_division=0
        )
        return found[("precision", "recall", "f1").index(name)]

    one = class_scores(actual, labels, 6)[name]
    assert one.value == pytest.approx(score(np.ones(30)))
    assert one.pulls == pytest.approx(moved(score, 30), abs=1e-4)
    hit = np.flatnonzero(actual == labels)[0]
    assert one.more[0, actual[hit]] == pytest.approx(one.pulls[hit])


def test_of_scores_of_numbers():
    """Mean, root of a mean, and what is missing from R2 to one."""
    chance = np.random.default_rng(0)
    actual = chance.gamma(2.0, size=25)
    said = actual + chance.normal(size=25)
    squares = (said - actual) ** 2
    root, missing = root_of_mean(squares), unexplained(said - actual, actual)
    assert mean_of(squares).pulls == pytest.approx(moved(lambda w: np.average(squares, weights=w), 25), abs=1e-4)
    assert root.pulls == pytest.approx(moved(lambda w: np.average(squares, weights=w) ** 0.5, 25), abs=1e-4)
    assert missing.value == pytest.approx(1 - sk.r2_score(actual, said))
    assert missing.pulls == pytest.approx(moved(lambda w: 1 - sk.r2_score(actual, said, sample_weight=w), 25), abs=1e-3)

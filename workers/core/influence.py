"""How much each row pulls a score: its influence (Hampel 1974). The mean over the rows is zero.

The influence of a difference is the difference of the influences, which is what makes a comparison on the same rows a
paired one.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata


@dataclass(frozen=True)
class Pulled:
    """A score, and [rows] by how much each row pulls it."""

    value: float
    pulls: np.ndarray


@dataclass(frozen=True)
class Counted(Pulled):
    """A score that counts hits and misses of classes."""

    more: np.ndarray
    """[2, classes]: by how much one more hit of each class would pull it, and one more miss."""


def mean_of(values: np.ndarray) -> Pulled:
    """The mean of [rows] values."""
    mean = float(values.mean())
    return Pulled(mean, values - mean)


def root_of_mean(values: np.ndarray) -> Pulled:
    """The root of the mean of [rows] values of which none is negative."""
    root = float(values.mean()) ** 0.5
    return Pulled(root, (values - values.mean()) / (2 * root) if root > 0 else np.zeros(len(values)))


def unexplained(errors: np.ndarray, actual: np.ndarray) -> Pulled:
    """What is missing from R2 to one: the mean of the squared errors [rows] over the variance of `actual` [rows]."""
    squares, away = errors**2, (actual - actual.mean()) ** 2
    variance = float(away.mean())
    share = float(squares.mean()) / variance
    return Pulled(share, (squares - share * away) / variance)


def class_scores(actual: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, Counted]:
    """Precision, recall and F1 as `metrics.score` counts them of more than two classes: means over those that occur.

    `actual` and `labels` [rows]: the class numbers, and those that were said.
    """
    rows, is_hit = len(actual), (actual == labels).astype(np.float64)
    occur, said = (np.bincount(one, minlength=classes).astype(np.float64) for one in (actual, labels))
    hits = np.bincount(actual, weights=is_hit, minlength=classes)
    weights = (occur + said > 0) / (occur + said > 0).sum()

    def scored(part: np.ndarray, whole: np.ndarray, *of_rows: np.ndarray) -> Counted:
        """`part` of `whole` [classes]; `of_rows` [rows]: the classes to whose whole a row adds one each."""
        shares = part / np.maximum(whole, 1)
        each = weights * rows / np.maximum(whole, 1)
        pulls = sum((each[k] * (is_hit - shares[k]) for k in of_rows), np.zeros(rows))
        more = np.stack([len(of_rows) * each * (1 - shares), -each * shares])
        return Counted(float(weights @ shares), pulls, more)

    return {
        "precision": scored(hits, said, labels),
        "recall": scored(hits, occur, actual),
        "f1": scored(2 * hits, occur + said, actual, labels),
    }


def auc_and_influence(positive: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """The area under the ROC curve, and [rows] by how much each row pulls it (DeLong's structural components)."""
    rows, hits = len(positive), int(positive.sum())
    misses = rows - hits
    ranks, beaten = rankdata(scores), np.empty(rows)
    beaten[positive] = (ranks[positive] - rankdata(scores[positive])) / misses
    beaten[~positive] = 1 - (ranks[~positive] - rankdata(scores[~positive])) / hits
    auc = float(beaten[positive].mean())
    influence = beaten - auc
    influence[positive] *= rows / np.sqrt(hits * (hits - 1.0))
    influence[~positive] *= rows / np.sqrt(misses * (misses - 1.0))
    return auc, influence

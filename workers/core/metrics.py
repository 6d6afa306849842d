"""Scores of predictions, by scikit-learn but for the area under the curve; what is not defined is None, never NaN."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn import metrics as sk

from shared.specs import LossName, Task
from workers.core.aim import METRICS, Aim, usual_aim

Scores = dict[str, float | None]

_OF_CLASSES = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss")
NAMES = {Task.BINARY: _OF_CLASSES, Task.MULTICLASS: _OF_CLASSES, Task.REGRESSION: ("r2", "rmse", "mse", "mae")}
"""Every score of a task; a loss that was asked for adds its own, see `names`."""

HEADLINE = {Task.BINARY: "roc_auc", Task.MULTICLASS: "f1", Task.REGRESSION: "r2"}
"""The score that stands for a model, unless a loss was asked for that is a score itself: see `headline`."""

LOWER_IS_BETTER = frozenset(("mse", *METRICS.values()))

_RANKED_CELLS = 2_000_000  # rows x classes that are ranked at once

MOST_CLASSES = 100
"""A table of more classes is read by nobody."""

Part = tuple[np.ndarray, np.ndarray]
"""What `score` takes of the rows of a fold: what they are, and what was said of them."""


def names(task: Task, aim: Aim | None = None) -> tuple[str, ...]:
    """Every score of a run: those of its task, and those of the loss that was asked for."""
    more = {LossName.HUBER: ("huber",), LossName.QUANTILE: ("pinball", "coverage")}
    return NAMES[task] + (() if aim is None else more.get(aim.loss, ()))


def headline(task: Task, aim: Aim) -> str:
    """The score that stands for a model: of a regression by another loss than squared errors, that loss."""
    return aim.metric if aim.loss in (LossName.MAE, LossName.HUBER, LossName.QUANTILE) else HEADLINE[task]


def score(task: Task, actual: np.ndarray, predicted: np.ndarray, aim: Aim | None = None) -> Scores:
    """The scores of a part.

    Classification: `actual` [rows] int64 class numbers, `predicted` [rows, classes] probabilities. Regression: both
    [rows], in the target's unit. Precision, recall and F1 are those of the second of two classes, and macro averages
    over the classes that occur in either where there are more. `coverage` is the share of the rows that lie at or below
    what was predicted: that of a 90 % quantile should be 0.9.
    """
    if len(actual) == 0:
        return dict.fromkeys(names(task, aim))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # undefined scores are said with None
        if task is not Task.REGRESSION:
            return _finite(_classification(actual, predicted))
        return _finite(_regression(actual, predicted, aim or usual_aim(task)))


def score_folds(task: Task, parts: Sequence[Part], aim: Aim | None = None) -> Scores:
    """The scores of several folds' models, each on rows of its own.

    Rows are counted together, but for the area under the curve: it ranks rows, and what two models say has no common
    scale to be ranked on. It is the mean over the folds where it is defined.
    """
    actual, predicted = (np.concatenate(values) for values in zip(*parts, strict=True))
    scores = score(task, actual, predicted, aim)
    if task is not Task.REGRESSION and len(parts) > 1:
        areas = [roc_auc(actual, normalised(said)) for actual, said in parts if len(actual)]
        known = [area for area in areas if area is not None]
        scores |= _finite({"roc_auc": float(np.mean(known)) if known else None})
    return scores


def baseline(task: Task, actual: np.ndarray, guess: Sequence[float], aim: Aim | None = None) -> Scores:
    """The scores on `actual` of a model without features: `guess` holds the constant that suits the loss best, or the
    class shares, of the training part.
    """
    if task is Task.REGRESSION:
        return score(task, actual, np.full(len(actual), guess[0]), aim)
    return score(task, actual, np.tile(np.array(guess), (len(actual), 1)))


def per_class(actual: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """One row of scores for each class against the rest, as they stand in `classes`; of more than 100 classes, those
    with the most rows. A score is None where nothing was there to divide by.
    """
    counts = np.bincount(actual, minlength=len(classes))
    shown = np.sort(np.argsort(-counts, kind="stable")[:MOST_CLASSES])
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        actual, predicted.argmax(axis=1), labels=shown, average=None, zero_division=np.nan
    )
    areas = _areas(actual, predicted, shown)
    scores = [
        {"precision": precision[k], "recall": recall[k], "f1": f1[k], "roc_auc": areas[k]} for k in range(len(shown))
    ]
    return [{"class": classes[one], "support": int(support[k]), **_finite(scores[k])} for k, one in enumerate(shown)]


def roc_auc(actual: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Of the second class where there are two, else the mean over one class against the rest; None where a class is
    absent.
    """
    classes = probabilities.shape[1]
    if len(np.unique(actual)) < classes:
        return None
    return float(_areas(actual, probabilities, np.array([1]) if classes == 2 else np.arange(classes)).mean())


def normalised(predicted: np.ndarray) -> np.ndarray:
    """[rows, classes] float64 probabilities whose rows sum to one as exactly as they can."""
    probabilities = predicted.astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return probabilities


def _regression(actual: np.ndarray, predicted: np.ndarray, aim: Aim) -> dict[str, float | None]:
    mse = sk.mean_squared_error(actual, predicted)
    r2 = sk.r2_score(actual, predicted) if len(actual) > 1 and np.ptp(actual) > 0 else None
    scores = {"r2": r2, "rmse": mse**0.5, "mse": mse, "mae": sk.mean_absolute_error(actual, predicted)}
    if aim.loss in (LossName.HUBER, LossName.QUANTILE):
        scores[aim.metric] = float(aim.row_losses(actual, predicted.astype(np.float64)).mean())
    if aim.loss is LossName.QUANTILE:
        scores["coverage"] = float((actual <= predicted).mean())
    return scores


def _classification(actual: np.ndarray, predicted: np.ndarray) -> dict[str, float | None]:
    labels = predicted.argmax(axis=1)
    probabilities = normalised(predicted)
    classes = predicted.shape[1]
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        actual, labels, labels=[1] if classes == 2 else None, average="macro", zero_division=0
    )
    return {
        "accuracy": sk.accuracy_score(actual, labels),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "roc_auc": roc_auc(actual, probabilities),
        "log_loss": sk.log_loss(actual, probabilities, labels=np.arange(classes)),
    }


def _areas(actual: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """[len(classes)] the area under the curve of each class against the rest, NaN where there are only rows of it or
    none: the share of its rows' ranks that is above all others' (Mann & Whitney 1947), ties counted half.
    """
    rows, areas = len(actual), np.full(len(classes), np.nan)
    step = max(1, _RANKED_CELLS // rows)
    for start in range(0, len(classes), step):
        part = classes[start : start + step]
        positive = actual[:, None] == part
        ranks = rankdata(scores[:, part], axis=0)
        hits = positive.sum(axis=0)
        beaten = np.where(positive, ranks, 0.0).sum(axis=0) - hits * (hits + 1) / 2
        pairs = hits * (rows - hits)
        np.divide(beaten, pairs, out=areas[start : start + step], where=pairs > 0)
    return areas


def _finite(scores: Mapping[str, float | None]) -> Scores:
    return {name: float(value) if value is not None and np.isfinite(value) else None for name, value in scores.items()}

"""How far a score may be off: 95 % intervals of every score of a part.

Accuracy, and of two classes precision, recall and F1: Wilson (1927). Area under the ROC curve: DeLong (1988), on the
scale of its logit. Means over more than two classes: the infinitesimal jackknife, on that scale too. Means of errors
and losses, so the RMSE as well: Student's t without its skewness (Hall 1992). R2: Student's t on the scale of the
logarithm of what is missing to one. `spread` has the standard errors and their degrees of freedom.
`benchmarks/significance.py` counts how many hold.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import norm

from shared.specs import LossName, Task
from workers.core.aim import Aim, usual_aim
from workers.core.influence import Counted, auc_and_influence, class_scores, mean_of, unexplained
from workers.core.metrics import Part, names, normalised, roc_auc
from workers.core.spread import LEAST_ROWS, spread

Interval = list[float]
"""The lower and the upper end."""

_Z = float(norm.ppf(0.975))
_MOST_RANKED = 20_000_000  # rows x classes
_NO_SPREAD = 1e-12  # of a score; less is what rounding leaves of none


def intervals(
    task: Task,
    actual: np.ndarray,
    predicted: np.ndarray,
    *,
    aim: Aim | None = None,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Interval | None]:
    """The 95 % interval of each score of `metrics.score`, which says what `actual` and `predicted` are.

    None where the score or its spread is not defined: too few rows, or rows that show no spread at all (a model
    without any error), where an interval of no width would claim to be certain; a share's interval has a width even
    there. Below some hundred rows those of squared errors are too narrow where one error in many is far larger than the
    others. The same for the same seed, which matters for very many rows x classes alone. `check` is called between the
    parts of the work and may end it by raising.
    """
    if len(actual) == 0:
        return dict.fromkeys(names(task, aim))
    check()
    with np.errstate(all="ignore"):  # what is not finite is said with None
        if task is Task.REGRESSION:
            return _of_numbers(actual, predicted, aim or usual_aim(task))
        found = _of_classes(actual, predicted)
        check()
        found["roc_auc"] = _auc_interval(actual, normalised(predicted), np.random.default_rng(seed))
    return {name: found[name] for name in names(task, aim)}


def fold_interval(
    task: Task, parts: Sequence[Part], metric: str, *, aim: Aim | None = None, check: Callable[[], None] = lambda: None
) -> Interval | None:
    """The interval of `metric` as `metrics.score_folds` counts it."""
    if metric != "roc_auc" or len(parts) == 1:
        actual, said = (np.concatenate(values) for values in zip(*parts, strict=True))
        return intervals(task, actual, said, aim=aim, check=check)[metric]
    chance, found = np.random.default_rng(0), list[tuple[float, float, float]]()
    for actual, said in parts:
        check()
        probabilities = normalised(said)
        with np.errstate(all="ignore"):
            ends = _auc_interval(actual, probabilities, chance) if len(actual) else None
        area = roc_auc(actual, probabilities)
        found += [] if ends is None or area is None else [(area, ends[0], ends[1])]
    if not found:
        return None
    areas, lows, highs = np.array(found).T
    # The folds' rows are different ones, so that the variances of their areas add up.
    below, above = (float(np.sqrt(np.square(areas - ends).sum())) / len(found) for ends in (lows, highs))
    return sound(float(areas.mean()) - below, min(1.0, float(areas.mean()) + above))


def wilson(hits: float, rows: int) -> Interval:
    """The interval of a share, `hits` of `rows` (Wilson 1927); defined for no hits and for nothing but hits too."""
    share = hits / rows
    center = (share + _Z**2 / (2 * rows)) / (1 + _Z**2 / rows)
    half = _Z * np.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2)) / (1 + _Z**2 / rows)
    return [max(0.0, float(center - half)), min(1.0, float(center + half))]


def mean_interval(values: np.ndarray) -> Interval | None:
    """The interval of a mean over rows, by the normal distribution; None where the rows show no spread."""
    if len(values) < LEAST_ROWS:
        return None
    mean, half = float(values.mean()), _Z * float(values.std(ddof=1)) / len(values) ** 0.5
    return sound(mean - half, mean + half)


def row_log_losses(actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """[rows]: what each row adds to the log loss."""
    tiny = np.finfo(np.float64).eps  # where scikit-learn's log loss clips as well
    given = normalised(predicted)[np.arange(len(actual)), actual]
    losses: np.ndarray = -np.log(np.clip(given, tiny, 1 - tiny))
    return losses


def sound(low: float, high: float) -> Interval | None:
    """The interval, or None where it would have no width or no end."""
    return [low, high] if np.isfinite([low, high]).all() and low < high else None


def _of_numbers(actual: np.ndarray, predicted: np.ndarray, aim: Aim) -> dict[str, Interval | None]:
    predicted = predicted.astype(np.float64)
    errors = predicted - actual
    unit = float(np.abs(errors).max()) or 1.0  # so that squares stay in range
    squared = _of_mean((errors / unit) ** 2)
    found = {
        "r2": _of_explained(errors / unit, actual / unit),
        "rmse": squared and sound(squared[0] ** 0.5 * unit, squared[1] ** 0.5 * unit),
        "mse": squared and sound(squared[0] * unit * unit, squared[1] * unit * unit),
        "mae": _of_mean(np.abs(errors)),
    }
    if aim.loss in (LossName.HUBER, LossName.QUANTILE):
        found[aim.metric] = _of_mean(aim.row_losses(actual, predicted))
    if aim.loss is LossName.QUANTILE:
        found["coverage"] = wilson(float((actual <= predicted).sum()), len(actual))
    return {name: found[name] for name in names(Task.REGRESSION, aim)}


def _of_classes(actual: np.ndarray, predicted: np.ndarray) -> dict[str, Interval | None]:
    """All but the area under the curve."""
    labels, classes = predicted.argmax(axis=1), predicted.shape[1]
    found: dict[str, Interval | None] = {
        "accuracy": wilson(float((actual == labels).sum()), len(actual)),
        "log_loss": _of_mean(row_log_losses(actual, predicted)),
    }
    if classes == 2:
        return found | _of_second_class(actual == 1, labels == 1)
    return found | {name: _of_means(one) for name, one in class_scores(actual, labels, classes).items()}


def _of_second_class(occurs: np.ndarray, is_said: np.ndarray) -> dict[str, Interval | None]:
    """Each is a share of some of the rows, or follows from one as F1 does: with J the share of hits among the rows that
    are of the class or said to be, F1 = 2 J / (1 + J).
    """
    hits, either = float((occurs & is_said).sum()), int((occurs | is_said).sum())
    overlap = wilson(hits, either) if either else None
    return {
        "precision": wilson(hits, int(is_said.sum())) if is_said.any() else None,
        "recall": wilson(hits, int(occurs.sum())) if occurs.any() else None,
        "f1": overlap and [2 * end / (1 + end) for end in overlap],
    }


def _of_means(one: Counted) -> Interval | None:
    """Of a mean of shares over classes, on the scale of its logit, which keeps it within zero and one. Half a hit and
    half a miss of each class are added to its spread, as Jeffreys' prior adds them (Brown, Cai & DasGupta 2001).
    """
    if len(one.pulls) < LEAST_ROWS or not 0 < one.value < 1:
        return None
    slope = one.value * (1 - one.value)
    unseen = 0.5 * float(np.square(one.more / slope).sum())
    ends = spread(one.pulls / slope, unseen=unseen).around(float(np.log(one.value / (1 - one.value))))
    return sound(*(float(1 / (1 + np.exp(-end))) for end in ends))


def _of_mean(losses: np.ndarray) -> Interval | None:
    """Of the mean of [rows] losses, of which none is negative."""
    one = mean_of(losses)
    far = spread(one.pulls)
    if len(losses) < LEAST_ROWS or not far.error > _NO_SPREAD * one.value:
        return None
    low, high = far.around_skewed(one.value)
    return sound(max(0.0, low), high)


def _of_explained(errors: np.ndarray, actual: np.ndarray) -> Interval | None:
    """Of R2; what is missing to one is a ratio of two means, whose logarithm is spread more evenly than itself."""
    if len(actual) < LEAST_ROWS or np.ptp(actual) == 0:
        return None
    missing = unexplained(errors, actual)
    low, high = spread(missing.pulls / missing.value).around(float(np.log(missing.value)))
    return sound(1 - float(np.exp(high)), 1 - float(np.exp(low)))


def _auc_interval(actual: np.ndarray, probabilities: np.ndarray, chance: np.random.Generator) -> Interval | None:
    """Of the second class where there are two, else of the mean over one class against the rest.

    The variance is that of the mean of each row's influence: for two classes, DeLong's. Beyond 20 million cells it
    is taken from as many rows, drawn at random, and scaled to all of them.
    """
    rows, classes = probabilities.shape
    used = rows
    if rows * classes > _MOST_RANKED:
        used = max(1, _MOST_RANKED // classes)
        kept = chance.choice(rows, size=used, replace=False)
        actual, probabilities = actual[kept], probabilities[kept]
    judged = (1,) if classes == 2 else range(classes)
    counts = np.bincount(actual, minlength=classes)
    if min(counts.min(), *(used - counts)) < 2:
        return None
    auc, influence = 0.0, np.zeros(used)
    for k in judged:
        one_auc, one_influence = auc_and_influence(actual == k, probabilities[:, k])
        auc += one_auc / len(judged)
        influence += one_influence / len(judged)
    if not 0 < auc < 1:
        return None
    half = _Z * np.sqrt((influence**2).mean() / rows) / (auc * (1 - auc))
    logit = np.log(auc / (1 - auc))
    return sound(*(float(1 / (1 + np.exp(-end))) for end in (logit - half, logit + half)))

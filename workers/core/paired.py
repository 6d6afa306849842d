"""Whether models differ on the same rows: paired tests, and 95 % intervals of the differences of every score.

Accuracy: McNemar (1947), exact or mid-p (Fagerland et al. 2013), and the interval of Bonett & Price (2012). Area under
the ROC curve: DeLong et al. (1988), counted by ranks as Sun & Xu (2014) do. Every other score: Student's t of how much
each row pulls the difference (see `influence` and `spread`), so for a mean of losses the paired t-test; for precision,
recall and F1 with the half rows of Agresti & Min (2005). Interval and test follow from the same standard error and
never disagree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import binom, norm

from shared.specs import Task
from workers.core.influence import Counted, Pulled, auc_and_influence, class_scores, mean_of, root_of_mean, unexplained
from workers.core.intervals import Interval, row_log_losses, sound
from workers.core.metrics import normalised, score
from workers.core.spread import LEAST_ROWS, Spread, spread

FEW_DISCORDANT = 25
"""Fewer rows on which just one of two models is right get McNemar's exact test."""
_COUNTED = frozenset(("precision", "recall", "f1"))
_TEST = "paired t"
_Z = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Difference:
    """By how much the first of two models differs from the second in one score, in the unit of the score."""

    value: float
    interval: Interval | None
    """95 %; None where no row tells the models apart, or too few rows are there."""
    p: float | None
    """Two-sided, not corrected."""
    test: str


Differences = dict[tuple[int, int], dict[str, Difference]]
"""For each pair of models, by their places, what is known of each score."""


def differences(
    task: Task,
    actual: np.ndarray,
    outputs: Sequence[np.ndarray],
    *,
    check: Callable[[], None] = lambda: None,
) -> Differences:
    """All pairs of models on the same rows.

    `actual` [rows] and each of `outputs` [rows, classes] or [rows] as for `metrics.score`. A score that one of a pair
    does not have is left out. `check` may end the work by raising.
    """
    scores = [score(task, actual, one) for one in outputs]
    found: Differences = {pair: {} for pair in combinations(range(len(outputs)), 2)}
    for name in scores[0]:  # one after the other, for each takes a number for each row and model
        check()
        known = [k for k, one in enumerate(scores) if one[name] is not None]
        told = _told(name, [float(scores[k][name] or 0.0) for k in known], actual, [outputs[k] for k in known])
        for (k, first), (j, second) in combinations(enumerate(known), 2):
            check()
            found[first, second][name] = told(k, j)
    return found


def mcnemar(first_only: int, second_only: int) -> tuple[float, str]:
    """The two-sided p of McNemar's test, and which one it was: exact below 25 rows on which just one is right, else
    mid-p, which keeps the level and wastes less power.

    `first_only`, `second_only`: the rows where just the first, or just the second, is right.
    """
    rows, fewer = first_only + second_only, min(first_only, second_only)
    if rows == 0:
        return 1.0, "McNemar, exact"
    exact = min(1.0, 2 * float(binom.cdf(fewer, rows, 0.5)))
    if rows < FEW_DISCORDANT:
        return exact, "McNemar, exact"
    # With equal counts the exact p is 1 and counts the middle twice.
    mid = (
        1 - float(binom.pmf(fewer, rows, 0.5))
        if first_only == second_only
        else exact - float(binom.pmf(fewer, rows, 0.5))
    )
    return mid, "McNemar, mid-p"


def accuracy_difference(first: np.ndarray, second: np.ndarray) -> Difference:
    """Of two models by [rows] bool each: where they are right."""
    rows = len(first)
    first_only, second_only = int((first & ~second).sum()), int((~first & second).sum())
    p, test = mcnemar(first_only, second_only)
    # Bonett & Price 2012: one more row of each kind keeps the interval honest where few rows differ.
    above, below = (first_only + 1) / (rows + 2), (second_only + 1) / (rows + 2)
    half = _Z * np.sqrt((above + below - (above - below) ** 2) / (rows + 2))
    interval = [max(-1.0, float(above - below - half)), min(1.0, float(above - below + half))]
    is_same = first_only + second_only == 0
    return Difference((first_only - second_only) / rows, None if is_same else interval, p, test)


def delong(positive: np.ndarray, first: np.ndarray, second: np.ndarray) -> Difference:
    """The areas under the ROC curve of two scores of the same rows: `positive` [rows] bool, the scores [rows]."""
    return _area_difference(auc_and_influence(positive, first), auc_and_influence(positive, second))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p-values corrected for how many they are (Holm 1979): below 0.05, the chance that any of those which are
    called so is a false one is at most 5 %. None stays None and is not counted.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        corrected[place] = least
    return corrected


def _area(actual: np.ndarray, outputs: np.ndarray) -> tuple[float, np.ndarray] | None:
    """The area as `metrics.score` counts it and [rows] its influences; None where a class has fewer than two rows."""
    classes = outputs.shape[1]
    counts = np.bincount(actual, minlength=classes)
    if min(counts.min(), *(len(actual) - counts)) < 2:
        return None
    probabilities = normalised(outputs)
    judged = (1,) if classes == 2 else range(classes)
    area, influence = 0.0, np.zeros(len(actual))
    for k in judged:
        one, pulls = auc_and_influence(actual == k, probabilities[:, k])
        area += one / len(judged)
        influence += pulls / len(judged)
    return area, influence


def _area_difference(first: tuple[float, np.ndarray] | None, second: tuple[float, np.ndarray] | None) -> Difference:
    if first is None or second is None:
        return Difference(0.0, None, None, "DeLong")
    value, pulls = first[0] - second[0], first[1] - second[1]
    error = float(np.sqrt((pulls**2).mean() / len(pulls)))
    if error < 1e-12:  # the two rank all rows alike
        return Difference(value, None, 1.0, "DeLong")
    p = 2 * float(norm.sf(abs(value) / error))
    return Difference(value, [max(-1.0, value - _Z * error), min(1.0, value + _Z * error)], p, "DeLong")


def _told(
    name: str, values: Sequence[float], actual: np.ndarray, outputs: Sequence[np.ndarray]
) -> Callable[[int, int], Difference]:
    """What tells of any two of the models, by their places, how they differ in this score; `values`: what each has."""
    if name == "accuracy":
        right = [one.argmax(axis=1) == actual for one in outputs]
        return lambda k, j: accuracy_difference(right[k], right[j])
    if name == "roc_auc":
        areas = [_area(actual, one) for one in outputs]
        return lambda k, j: _area_difference(areas[k], areas[j])
    if name in _COUNTED and outputs and outputs[0].shape[1] == 2:
        said = [one.argmax(axis=1) == 1 for one in outputs]
        return lambda k, j: _of_one_class(name, values[k] - values[j], actual == 1, said[k], said[j])
    if name in _COUNTED:
        counted = [class_scores(actual, one.argmax(axis=1), one.shape[1])[name] for one in outputs]
        return lambda k, j: _of_classes(values[k] - values[j], counted[k], counted[j])
    with np.errstate(all="ignore"):
        pulls = [_pulls(name, actual, one) for one in outputs]
    return lambda k, j: _by_pulls(values[k], values[j], pulls[k] - pulls[j])


def _pulls(name: str, actual: np.ndarray, output: np.ndarray) -> np.ndarray:
    """[rows]: how much each row pulls a score that follows from means over rows."""
    if name == "log_loss":
        return mean_of(row_log_losses(actual, output)).pulls
    errors = output.astype(np.float64) - actual
    if name == "r2":
        return -unexplained(errors, actual).pulls
    if name == "mae":
        return mean_of(np.abs(errors)).pulls
    return (root_of_mean if name == "rmse" else mean_of)(errors**2).pulls


def _by_pulls(first: float, second: float, pulls: np.ndarray) -> Difference:
    """`pulls` [rows]: how much each row pulls the difference of the two scores."""
    value = first - second
    if len(pulls) < LEAST_ROWS:
        return Difference(value, None, None, _TEST)
    far = spread(pulls)
    if not far.error > 1e-12 * max(abs(first), abs(second)):  # less is what rounding leaves of no spread
        return Difference(value, None, 1.0 if value == 0 else None, _TEST)
    return Difference(value, sound(*far.around(value)), far.p(value), _TEST)


def _of_classes(value: float, first: Counted, second: Counted) -> Difference:
    """Of means over classes: the half rows of `_of_one_class` are shared by them, and add to the spread alone."""
    pulls = first.pulls - second.pulls
    if len(pulls) < LEAST_ROWS:
        return Difference(value, None, None, _TEST)
    if not pulls.any():
        return Difference(value, None, 1.0 if value == 0 else None, _TEST)
    unseen = np.square(first.more[:, None] - second.more[None]).sum() / 2 / first.more.shape[1]
    far = spread(pulls, unseen=float(unseen))
    return _within_one(value, value, far)


def _of_one_class(name: str, value: float, occurs: np.ndarray, first: np.ndarray, second: np.ndarray) -> Difference:
    """Of [rows] bool each: where the class is, and where each of two models says it is.

    Agresti & Min (2005) add half a row to each cell of the table of where either is right; here it is shared by rows of
    the class and others. Where few rows tell the models apart, the spread that these show is no measure.
    """
    if len(occurs) < LEAST_ROWS:
        return Difference(value, None, None, _TEST)
    if np.array_equal(first, second):
        return Difference(value, None, 1.0, _TEST)
    cells = np.bincount(4 * occurs + 2 * first + second, minlength=8) + 0.25
    rows, (is_class, one, other) = cells.sum(), np.indices((2, 2, 2)).reshape(3, 8)

    def pulled(said: np.ndarray) -> Pulled:
        """By the rows of each cell, [8]."""
        hit = is_class * said
        part, whole = {"precision": (hit, said), "recall": (hit, is_class), "f1": (2 * hit, is_class + said)}[name]
        share = float(cells @ part / (cells @ whole))
        return Pulled(share, (part - share * whole) * rows / (cells @ whole))

    left, right = pulled(one), pulled(other)
    error = float(cells @ (left.pulls - right.pulls) ** 2) ** 0.5 / rows
    return _within_one(value, left.value - right.value, Spread(len(occurs), error, len(occurs) - 1.0, 0.0))


def _within_one(value: float, center: float, far: Spread) -> Difference:
    """Of scores between zero and one, whose difference is nowhere beyond one."""
    low, high = far.around(center)
    return Difference(value, sound(max(-1.0, low), min(1.0, high)), far.p(center), _TEST)

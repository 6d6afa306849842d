"""Whether models differ on the same rows: paired tests, and 95 % intervals of the differences of every score.

Accuracy: McNemar (1947), exact or mid-p (Fagerland et al. 2013), and the interval of Bonett & Price (2012). Area under
the ROC curve: DeLong et al. (1988), counted by ranks as Sun & Xu (2014) do. Every other score: the paired bootstrap,
the same resampled rows for all models, with percentiles that are expanded for the number of rows (Hesterberg 2015);
its p is where such an interval just reaches zero, so that test and interval never disagree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import sparse
from scipy.stats import binom, norm
from scipy.stats import t as student

from shared.specs import Task
from workers.core.intervals import (
    LEAST_ROWS,
    Interval,
    auc_and_influence,
    row_log_losses,
    sound,
)
from workers.core.metrics import normalised, score
from workers.core.resample import expanded_percentiles, resampled_sums

REPEATS = 2000
"""Resamples of the bootstrap."""
FEW_DISCORDANT = 25
"""Fewer rows on which just one of two models is right get McNemar's exact test."""
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
    seed: int = 0,
    repeats: int = REPEATS,
    check: Callable[[], None] = lambda: None,
) -> Differences:
    """All pairs of models on the same rows.

    `actual` [rows] and each of `outputs` [rows, classes] or [rows] as for `metrics.score`. A score that one of a pair
    does not have is left out. The same for the same seed; `check` may end the work by raising.
    """
    scores = [score(task, actual, one) for one in outputs]
    drawn = _drawn(task, actual, outputs, np.random.default_rng(seed), repeats, check) if len(actual) > 1 else {}
    areas = [] if task is Task.REGRESSION else [_area(actual, one) for one in outputs]
    right = [] if task is Task.REGRESSION else [one.argmax(axis=1) == actual for one in outputs]
    found: Differences = {}
    for first, second in combinations(range(len(outputs)), 2):
        check()
        pair: dict[str, Difference] = {}
        for name, one in scores[first].items():
            other = scores[second].get(name)
            if one is None or other is None:
                continue
            if name == "accuracy":
                pair[name] = accuracy_difference(right[first], right[second])
            elif name == "roc_auc":
                pair[name] = _area_difference(areas[first], areas[second])
            else:
                pair[name] = _of_resamples(one - other, drawn[name][:, first] - drawn[name][:, second], len(actual))
        found[first, second] = pair
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


def _of_resamples(value: float, drawn: np.ndarray, rows: int) -> Difference:
    """`drawn` [repeats]: the difference in each resample."""
    test = "paired bootstrap"
    drawn = drawn[np.isfinite(drawn)]
    if rows < LEAST_ROWS or not len(drawn):
        return Difference(value, None, None, test)
    if np.ptp(drawn) == 0:
        return Difference(value, None, 1.0 if value == 0 else None, test)
    low, high = np.quantile(drawn, expanded_percentiles(rows))
    # Half of the resamples at zero count for either side; none is ever sure.
    below = ((drawn < 0).sum() + 0.5 * (drawn == 0).sum() + 0.5) / (len(drawn) + 1)
    tail = norm.ppf(min(below, 1 - below)) / np.sqrt(rows / (rows - 1))
    return Difference(value, sound(float(low), float(high)), min(1.0, 2 * float(student.cdf(tail, rows - 1))), test)


def _drawn(
    task: Task,
    actual: np.ndarray,
    outputs: Sequence[np.ndarray],
    chance: np.random.Generator,
    repeats: int,
    check: Callable[[], None],
) -> dict[str, np.ndarray]:
    """[repeats, models] of each score but accuracy and the area, of the same resampled rows for all models."""
    if task is Task.REGRESSION:
        columns, scores_of = _number_columns(actual, outputs)
    else:
        columns, scores_of = _class_columns(actual, outputs)
    with np.errstate(all="ignore"):
        slices = [scores_of(sums) for sums in resampled_sums(columns, chance, repeats, check)]
    return {name: np.concatenate([one[name] for one in slices]) for name in slices[0]}


_ScoresOf = Callable[[np.ndarray], dict[str, np.ndarray]]
"""From sums [some, columns] to scores [some, models]."""


def _number_columns(actual: np.ndarray, outputs: Sequence[np.ndarray]) -> tuple[sparse.csr_array, _ScoresOf]:
    centered = actual - actual.mean()
    errors = np.stack([one.astype(np.float64) - actual for one in outputs], axis=1)
    models = errors.shape[1]
    columns = np.column_stack([np.ones(len(actual)), centered, centered**2, np.abs(errors), errors**2])

    def scores_of(sums: np.ndarray) -> dict[str, np.ndarray]:
        rows, total, squares = sums[:, :1], sums[:, 1:2], sums[:, 2:3]
        mae, mse = sums[:, 3 : 3 + models] / rows, sums[:, 3 + models :] / rows
        return {"r2": 1 - mse * rows / (squares - total**2 / rows), "rmse": np.sqrt(mse), "mse": mse, "mae": mae}

    return sparse.csr_array(columns), scores_of


def _class_columns(actual: np.ndarray, outputs: Sequence[np.ndarray]) -> tuple[sparse.csr_array, _ScoresOf]:
    """Of two classes the second one alone is counted, as its precision, recall and F1 are the scores."""
    classes, models = outputs[0].shape[1], len(outputs)
    kept = 1 if classes == 2 else classes
    labels = [one.argmax(axis=1) for one in outputs]
    losses = np.stack([row_log_losses(actual, one) for one in outputs], axis=1)
    blocks = [sparse.csr_array(np.column_stack([np.ones(len(actual)), losses])), _one_hot(actual, classes, kept)]
    for said in labels:
        hits = np.where(said == actual, said, -1)
        blocks += [_one_hot(said, classes, kept), _one_hot(hits, classes, kept)]

    def scores_of(sums: np.ndarray) -> dict[str, np.ndarray]:
        found: dict[str, list[np.ndarray]] = {"precision": [], "recall": [], "f1": []}
        start = 1 + models
        occur = sums[:, start : start + kept]
        for k in range(models):
            first = start + kept + 2 * k * kept
            said, hits = sums[:, first : first + kept], sums[:, first + kept : first + 2 * kept]
            counted = 1 if kept == 1 else (occur + said > 0).sum(axis=1)
            found["precision"].append((hits / np.maximum(said, 1)).sum(axis=1) / counted)
            found["recall"].append((hits / np.maximum(occur, 1)).sum(axis=1) / counted)
            found["f1"].append((2 * hits / np.maximum(occur + said, 1)).sum(axis=1) / counted)
        scores = {name: np.stack(values, axis=1) for name, values in found.items()}
        return scores | {"log_loss": sums[:, 1 : 1 + models] / sums[:, :1]}

    return sparse.csr_array(sparse.hstack(blocks)), scores_of


def _one_hot(numbers: np.ndarray, classes: int, kept: int) -> sparse.csr_array:
    """[rows, kept]: the last `kept` of the classes; a number below zero is none of them."""
    places = numbers - (classes - kept)
    rows = np.flatnonzero(places >= 0)
    return sparse.csr_array((np.ones(len(rows)), (rows, places[rows])), shape=(len(numbers), kept))

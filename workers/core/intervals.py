"""How far a score may be off: 95 % intervals of every score of a part.

Accuracy: Wilson (1927). Area under the ROC curve: DeLong (1988) on the scale of its logit. Squared errors: the
bootstrap-t. Whatever else depends on the confusion matrix or on means over rows: expanded percentiles of the bootstrap.
`benchmarks/significance.py` counts how many hold. The work is bounded for any number of rows: see `resample` and
`_resampled_confusions`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.stats import rankdata
from scipy.stats import t as student

from shared.specs import LossName, Task
from workers.core.aim import Aim, usual_aim
from workers.core.metrics import Part, names, normalised, roc_auc
from workers.core.resample import expanded_percentiles, resampled_sums

Interval = list[float]
"""The lower and the upper end."""

_Z = 1.959964  # of a normal distribution, 95 % lie within so many standard deviations
LEAST_ROWS = 10
"""Fewer rows have too few resamples to speak of a distribution."""
_MOST_RANKED = 20_000_000  # rows x classes
_MOST_DRAWN = 20_000_000  # resamples x cells of the confusion matrix
_MOST_STUDENTS = 2.5  # of few rows, a bootstrap-t may have no end; so many times Student's quantile is far enough


def intervals(  # noqa: PLR0913 - all but the first three are how, not what
    task: Task,
    actual: np.ndarray,
    predicted: np.ndarray,
    *,
    aim: Aim | None = None,
    seed: int = 0,
    repeats: int = 1000,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Interval | None]:
    """The 95 % interval of each score of `metrics.score`, which says what `actual` and `predicted` are.

    None where the score or its spread is not defined: too few rows, or rows that show no spread at all (a model
    without any error), where an interval of no width would claim to be certain. Below a few hundred rows those of
    squared errors are somewhat too narrow where a few errors are far larger than the others. The same for the same
    seed. `check` is called between the resamples and may end the work by raising.
    """
    if len(actual) == 0:
        return dict.fromkeys(names(task, aim))
    draws = _Draws(np.random.default_rng(seed), repeats, check)
    with np.errstate(all="ignore"):  # what is not finite is said with None
        if task is Task.REGRESSION:
            return _of_numbers(actual, predicted, aim or usual_aim(task), draws)
        return _of_classes(actual, predicted, draws)


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


def sound(low: float, high: float) -> Interval | None:
    """The interval, or None where it would have no width or no end."""
    return [low, high] if np.isfinite([low, high]).all() and low < high else None


@dataclass(frozen=True)
class _Draws:
    """How resamples are drawn, and what is asked between them."""

    chance: np.random.Generator
    repeats: int
    check: Callable[[], None]


def _of_numbers(actual: np.ndarray, predicted: np.ndarray, aim: Aim, draws: _Draws) -> dict[str, Interval | None]:
    predicted = predicted.astype(np.float64)
    errors = predicted - actual
    centered = actual - actual.mean()  # the difference of two sums of squares below stays precise
    unit = float(np.abs(errors).max()) or 1.0  # so that fourth powers stay in range
    asked = aim.row_losses(actual, predicted)
    columns = [np.ones(len(actual)), np.abs(errors), (errors / unit) ** 2, (errors / unit) ** 4, centered, centered**2]
    sums = _sums(np.stack([*columns, asked], axis=1), draws)
    rows, mae, sse, fourth, total, squares, loss = sums.T
    r2 = 1 - sse * unit**2 / (squares - total**2 / rows)
    mse = _of_squares(sse / rows, fourth / rows, errors / unit)
    drawn = {"r2": r2, "mae": mae / rows}
    if aim.loss in (LossName.HUBER, LossName.QUANTILE):
        drawn[aim.metric] = loss / rows
    found = {name: _percentiles(values, len(actual)) for name, values in drawn.items()}
    found["mse"] = None if mse is None else sound(mse[0] * unit**2, mse[1] * unit**2)
    found["rmse"] = None if mse is None else sound(mse[0] ** 0.5 * unit, mse[1] ** 0.5 * unit)
    if aim.loss is LossName.QUANTILE:
        found["coverage"] = wilson(float((actual <= predicted).sum()), len(actual))
    return {name: found[name] for name in names(Task.REGRESSION, aim)}


def _of_squares(means: np.ndarray, fourths: np.ndarray, errors: np.ndarray) -> Interval | None:
    """Of the mean squared error, by the bootstrap-t on the scale of its logarithm (Efron & Tibshirani 1993, chapter
    12): a few large errors make most of it, and percentiles miss those that a sample has by chance too few of.

    `means`, `fourths` [repeats]: the means of the squares and of the fourth powers in each resample.
    """
    rows, mean, fourth = len(errors), float((errors**2).mean()), float((errors**4).mean())
    if rows < LEAST_ROWS or mean == 0 or fourth <= mean**2:
        return None
    spread = np.sqrt(np.maximum(fourths / means**2 - 1, 0) / rows)
    away = (np.log(means) - np.log(mean)) / spread
    away = away[np.isfinite(away)]
    if len(away) < 0.9 * len(means):
        return None
    most = _MOST_STUDENTS * float(student.ppf(0.975, rows - 1))
    below, above = np.clip(np.quantile(away, [0.025, 0.975]), -most, most)
    own = float(np.sqrt((fourth / mean**2 - 1) / rows))
    return sound(mean * float(np.exp(-above * own)), mean * float(np.exp(-below * own)))


def _of_classes(actual: np.ndarray, predicted: np.ndarray, draws: _Draws) -> dict[str, Interval | None]:
    rows, labels, probabilities = len(actual), predicted.argmax(axis=1), normalised(predicted)
    sums = _sums(np.stack([np.ones(rows), row_log_losses(actual, predicted)], axis=1), draws)
    averages = np.concatenate(list(_resampled_confusions(actual, labels, predicted.shape[1], draws)), axis=1)
    return {
        "accuracy": wilson(float((actual == labels).sum()), rows),
        "precision": _percentiles(averages[0], rows),
        "recall": _percentiles(averages[1], rows),
        "f1": _percentiles(averages[2], rows),
        "roc_auc": _auc_interval(actual, probabilities, draws.chance),
        "log_loss": _percentiles(sums[:, 1] / sums[:, 0], rows),
    }


def _sums(columns: np.ndarray, draws: _Draws) -> np.ndarray:
    """[repeats, columns]: the sums over each resample."""
    return np.concatenate(list(resampled_sums(columns, draws.chance, draws.repeats, draws.check)))


def _resampled_confusions(actual: np.ndarray, labels: np.ndarray, classes: int, draws: _Draws) -> Iterator[np.ndarray]:
    """Slices [3, some] of the precision, recall and F1 of resamples: of the second of two classes, else macro averages.

    To resample rows and count the cells of the confusion matrix is to draw the cells from one multinomial
    distribution, which costs the same for any number of rows; very many cells get fewer resamples.
    """
    cells, counts = np.unique(actual * classes + labels, return_counts=True)
    places = np.arange(len(cells))
    ones = np.ones(len(cells))
    of_class = sparse.csr_array((ones, (places, cells // classes)), shape=(len(cells), classes))
    as_class = sparse.csr_array((ones, (places, cells % classes)), shape=(len(cells), classes))
    on_diagonal = (cells // classes == cells % classes).astype(np.float64)
    right = sparse.csr_array((on_diagonal, (places, cells % classes)), shape=(len(cells), classes))
    left = max(100, min(draws.repeats, _MOST_DRAWN // len(cells)))
    slice_size = max(1, 2_000_000 // (len(cells) + classes))
    while left > 0:
        draws.check()
        shares = counts / len(actual)
        drawn = draws.chance.multinomial(len(actual), shares, size=min(left, slice_size)).astype(np.float64)
        hits, occur, said = drawn @ right, drawn @ of_class, drawn @ as_class
        counted = (occur + said > 0).sum(axis=1)
        parts = (hits / np.maximum(said, 1), hits / np.maximum(occur, 1), 2 * hits / np.maximum(occur + said, 1))
        yield np.stack([part[:, 1] if classes == 2 else part.sum(axis=1) / counted for part in parts])
        left -= len(drawn)


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


def _percentiles(draws: np.ndarray, rows: int) -> Interval | None:
    finite = draws[np.isfinite(draws)]
    if rows < LEAST_ROWS or len(finite) < 0.9 * len(draws):
        return None
    low, high = np.quantile(finite, expanded_percentiles(rows))
    return sound(float(low), float(high))

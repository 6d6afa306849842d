"""The intervals of scores, beside published examples, scikit-learn and SciPy's bootstrap."""

import time

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn import metrics as sk

from shared.errors import RunStopped
from shared.specs import LossName, Task
from workers.core.aim import Aim
from workers.core.influence import auc_and_influence
from workers.core.intervals import fold_interval, intervals, mean_interval, wilson
from workers.core.metrics import NAMES, names, score, score_folds


def classified(rows: int, classes: int, *, seed: int = 0, signal: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers, and probabilities that tell them more or less."""
    chance = np.random.default_rng(seed)
    actual = chance.integers(classes, size=rows)
    scores = chance.normal(size=(rows, classes))
    scores[np.arange(rows), actual] += signal
    shares = np.exp(scores)
    return actual, (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def estimated(rows: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers, and estimates that are somewhat off."""
    chance = np.random.default_rng(seed)
    actual = chance.gamma(2.0, 50.0, size=rows)
    return actual, (actual + chance.normal(scale=20, size=rows)).astype(np.float32)


@pytest.mark.parametrize(
    ("hits", "rows", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_shares_as_published(hits, rows, low, high):
    """Wilson's interval gives the numbers of Newcombe's comparison (1998, table I), and their mirror image."""
    assert wilson(hits, rows) == pytest.approx([low, high], abs=5e-5)
    assert wilson(rows - hits, rows) == pytest.approx([1 - high, 1 - low], abs=5e-5)


@pytest.mark.parametrize("classes", [2, 4])
def test_classes_beside_the_plain_bootstrap(classes):
    """Every interval lies where SciPy's bootstrap of the whole score over rows puts it."""
    actual, predicted = classified(400, classes)
    task = Task.BINARY if classes == 2 else Task.MULTICLASS
    found = intervals(task, actual, predicted)
    assert tuple(found) == NAMES[task]
    for name, (low, high) in _bootstrapped(task, actual, predicted).items():
        assert found[name] == pytest.approx([low, high], abs=0.15 * (high - low)), name


def test_numbers_beside_the_plain_bootstrap():
    """The intervals of a regression are those of SciPy's bootstrap."""
    actual, predicted = estimated(300)
    found = intervals(Task.REGRESSION, actual, predicted)
    for name, (low, high) in _bootstrapped(Task.REGRESSION, actual, predicted).items():
        assert found[name] == pytest.approx([low, high], abs=0.15 * (high - low)), name


def test_the_area_under_the_curve_is_delongs():
    """The area is scikit-learn's, ties included, and the spread of the influences is DeLong's variance, counted out."""
    actual, predicted = classified(60, 2)
    scores = np.round(predicted[:, 1], 1)
    auc, influence = auc_and_influence(actual == 1, scores)
    assert auc == pytest.approx(sk.roc_auc_score(actual, scores), abs=1e-12)
    hits, misses = scores[actual == 1], scores[actual == 0]
    beats = (hits[:, None] > misses[None]) + 0.5 * (hits[:, None] == misses[None])
    delong = beats.mean(axis=1).var(ddof=1) / len(hits) + beats.mean(axis=0).var(ddof=1) / len(misses)
    assert (influence**2).mean() / len(actual) == pytest.approx(delong, rel=1e-12)


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_intervals_hold_what_they_promise(task):
    """Over many samples, about 95 % of the intervals hold the score of the whole population."""

    def sample(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        return estimated(rows, seed=seed) if task is Task.REGRESSION else classified(rows, 2, seed=seed)

    truth = score(task, *sample(200_000, 1_000))
    found = [intervals(task, *sample(150, seed)) for seed in range(120)]
    for name, true in truth.items():
        held = np.mean([one[name][0] <= true <= one[name][1] for one in found])
        assert held >= 0.9, name


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_many_rows_are_bounded_and_as_exact(task):
    """From blocks of many rows come intervals around the score, narrower by the root of the rows, at once."""
    make = estimated if task is Task.REGRESSION else lambda rows: classified(rows, 2)
    few, many = make(5_000), make(500_000)
    started = time.process_time()
    found = intervals(task, *many)
    assert time.process_time() - started < 5
    scores, wider = score(task, *many), intervals(task, *few)
    for name, (low, high) in found.items():
        assert low < scores[name] < high, name
        assert (wider[name][1] - wider[name][0]) / (high - low) == pytest.approx(10, rel=0.2), name


def test_very_many_cells_are_ranked_on_a_part_of_the_rows(monkeypatch):
    """The area's interval from a part of the rows is about as wide as from all of them."""
    actual, predicted = classified(20_000, 3)
    whole = intervals(Task.MULTICLASS, actual, predicted)["roc_auc"]
    monkeypatch.setattr("workers.core.intervals._MOST_RANKED", 15_000)
    part = intervals(Task.MULTICLASS, actual, predicted)["roc_auc"]
    assert part != whole
    assert part[1] - part[0] == pytest.approx(whole[1] - whole[0], rel=0.1)


def test_the_same_seed_gives_the_same_intervals(monkeypatch):
    """A repeat is identical; another seed is another chance only where a part of the rows stands for all."""
    data = classified(200, 3)
    assert intervals(Task.MULTICLASS, *data, seed=1) == intervals(Task.MULTICLASS, *data, seed=2)
    monkeypatch.setattr("workers.core.intervals._MOST_RANKED", 300)
    first, other = (intervals(Task.MULTICLASS, *data, seed=seed) for seed in (1, 2))
    assert intervals(Task.MULTICLASS, *data, seed=1) == first
    assert {name for name in first if first[name] != other[name]} == {"roc_auc"}


def test_scores_of_one_class_have_the_intervals_of_shares():
    """Of 8 rows of the class 6 are found, with 4 false alarms: 6 of 10, 6 of 8, and F1 from 6 of 12."""
    actual, labels = np.repeat([1, 1, 0, 0], [6, 2, 4, 20]), np.repeat([1, 0, 1, 0], [6, 2, 4, 20])
    found = intervals(Task.BINARY, actual, np.eye(2)[labels] * 0.8 + 0.1)
    assert (found["precision"], found["recall"]) == (wilson(6, 10), wilson(6, 8))
    assert found["f1"] == pytest.approx([2 * end / (1 + end) for end in wilson(6, 12)])


@pytest.mark.parametrize("tail", [0.5, 1.0])
def test_skewed_errors_are_held_too(tail):
    """Where few errors are far larger than the others, intervals of 200 rows hold the truth as often as they say."""

    def sample(rows: int, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        known = chance.gamma(1 / tail, 50.0, size=rows)
        return known * (1 + 0.2 * chance.normal(size=rows)), known

    truth = score(Task.REGRESSION, *sample(1_000_000, np.random.default_rng(0)))
    chance = np.random.default_rng(1)
    found = [intervals(Task.REGRESSION, *sample(200, chance)) for _ in range(800)]
    for name, true in truth.items():
        assert np.mean([one[name][0] <= true <= one[name][1] for one in found]) >= 0.925, name


def test_classes_of_few_rows_widen_the_interval_of_a_mean():
    """A class of which two rows are there, both right, is not taken as certain."""
    actual = np.repeat([0, 1, 2], [100, 100, 2])
    labels = np.where(np.arange(202) % 10 == 0, (actual + 1) % 2, actual)
    labels[200:] = 2
    low, high = intervals(Task.MULTICLASS, actual, np.eye(3)[labels] * 0.7 + 0.1)["recall"]
    assert low < 0.8
    assert high > 0.95


def test_what_shows_no_spread_has_no_interval():
    """No rows, few rows, one class, or a model without error: None, but for shares, which Wilson's interval defines."""
    actual, sure = np.tile([0, 1], 20), np.tile([[1.0, 0.0], [0.0, 1.0]], (20, 1)).astype(np.float32)
    perfect = intervals(Task.BINARY, actual, sure)
    assert {name for name, interval in perfect.items() if interval} == {"accuracy", "precision", "recall", "f1"}
    assert perfect["recall"] == pytest.approx([0.8389, 1.0], abs=1e-4)
    assert perfect["accuracy"] == pytest.approx([0.9124, 1.0], abs=1e-4)
    few = intervals(Task.BINARY, actual[:4], np.full((4, 2), 0.5))
    assert {name for name, interval in few.items() if interval} == {"accuracy", "recall", "f1"}  # no row is said to be
    assert intervals(Task.BINARY, np.zeros(40, dtype=int), np.full((40, 2), 0.5))["roc_auc"] is None
    assert set(intervals(Task.BINARY, np.array([], dtype=int), np.zeros((0, 2))).values()) == {None}
    constant = intervals(Task.REGRESSION, np.ones(50), np.linspace(0, 1, 50))
    assert constant["r2"] is None
    assert constant["mae"][0] < 0.5 < constant["mae"][1]
    assert set(intervals(Task.REGRESSION, np.arange(50.0), np.arange(50.0))) == set(NAMES[Task.REGRESSION])


def test_the_mean_of_rows():
    """The interval of a mean is the textbook's; without spread, or with few rows, there is none."""
    assert mean_interval(np.arange(100.0)) == pytest.approx([43.81, 55.19], abs=0.01)
    assert mean_interval(np.ones(100)) is None
    assert mean_interval(np.arange(9.0)) is None


def _bootstrapped(task: Task, actual: np.ndarray, predicted: np.ndarray) -> dict[str, list[float]]:
    """The interval of each score by SciPy, which draws the same rows for each of them."""
    known: dict[bytes, dict[str, float]] = {}

    def scores_of(rows: np.ndarray) -> dict[str, float]:
        if rows.tobytes() not in known:
            known[rows.tobytes()] = score(task, actual[rows], predicted[rows])
        return known[rows.tobytes()]

    found = {}
    for name in NAMES[task]:
        plain = bootstrap(
            (np.arange(len(actual)),),
            lambda rows, name=name: scores_of(rows)[name],
            vectorized=False,
            n_resamples=500,
            method="percentile",
            rng=7,
        )
        found[name] = [plain.confidence_interval.low, plain.confidence_interval.high]
    return found


@pytest.mark.parametrize("aim", [Aim(LossName.QUANTILE, quantile=0.9), Aim(LossName.HUBER, turn=0.5)])
def test_the_loss_that_was_asked_for_has_an_interval(aim):
    """Its score lies within, and the coverage of a quantile has that of a share."""
    chance = np.random.default_rng(0)
    actual = chance.normal(size=400)
    predicted = actual + chance.normal(size=400)
    found, scores = (
        intervals(Task.REGRESSION, actual, predicted, aim=aim),
        score(Task.REGRESSION, actual, predicted, aim),
    )
    assert set(found) == set(names(Task.REGRESSION, aim))
    assert found[aim.metric][0] < scores[aim.metric] < found[aim.metric][1]
    if aim.loss is LossName.QUANTILE:
        assert found["coverage"] == wilson((actual <= predicted).sum(), 400)


def test_the_area_of_folds_has_the_interval_of_their_mean():
    """Five folds of 200 rows tell as much as one part of 1,000."""
    actual, predicted = _scored(1000)
    parts = [(actual[k::5], predicted[k::5]) for k in range(5)]
    low, high = fold_interval(Task.BINARY, parts, "roc_auc")
    whole = intervals(Task.BINARY, actual, predicted)["roc_auc"]
    assert low < score_folds(Task.BINARY, parts)["roc_auc"] < high
    assert high - low == pytest.approx(whole[1] - whole[0], rel=0.15)
    assert (
        fold_interval(Task.BINARY, parts, "f1")
        == intervals(Task.BINARY, *(np.concatenate(values) for values in zip(*parts, strict=True)))["f1"]
    )
    assert fold_interval(Task.BINARY, [(actual[:1], predicted[:1])] * 2, "roc_auc") is None


@pytest.mark.parametrize("task", [*Task])
def test_the_work_can_be_ended(task):
    """Whoever asks between the parts of the work may raise."""

    def stop():
        raise RunStopped

    actual, predicted = _scored(50) if task is not Task.REGRESSION else (np.arange(50.0), np.arange(50.0) ** 1.1)
    with pytest.raises(RunStopped):
        intervals(task, actual, predicted, check=stop)


def _scored(rows):
    """Two classes and noisy probabilities of them."""
    chance = np.random.default_rng(0)
    actual = chance.integers(0, 2, rows)
    likely = 1 / (1 + np.exp(-(actual - 0.5 + chance.normal(size=rows))))
    return actual, np.stack([1 - likely, likely], axis=1)

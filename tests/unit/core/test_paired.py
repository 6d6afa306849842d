"""Paired tests beside published examples, what their definitions count out, and cases whose answer is known."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, ttest_rel

from shared.errors import RunStopped
from shared.specs import Task
from workers.core.metrics import NAMES, score
from workers.core.paired import accuracy_difference, delong, differences, holm, mcnemar
from workers.core.told_apart import told_apart


def classified(rows: int, classes: int, *, seed: int = 0, models: int = 2) -> tuple[np.ndarray, list[np.ndarray]]:
    """Class numbers, and models that tell them more or less."""
    chance = np.random.default_rng(seed)
    actual = chance.integers(classes, size=rows)
    said = []
    for k in range(models):
        scores = chance.normal(size=(rows, classes))
        scores[np.arange(rows), actual] += 1.2 - 0.4 * k
        shares = np.exp(scores)
        said.append((shares / shares.sum(axis=1, keepdims=True)).astype(np.float32))
    return actual, said


def test_approval_ratings_as_published():
    """Agresti's table of 1,600 voters (794, 150, 86, 570): the difference is 0.04, with 0.0213 to 0.0587 by Wald."""
    first = np.repeat([True, True, False, False], [794, 150, 86, 570])
    second = np.repeat([True, False, True, False], [794, 150, 86, 570])
    found = accuracy_difference(first, second)
    assert found.value == pytest.approx(0.04)
    assert found.interval == pytest.approx([0.0213, 0.0587], abs=3e-4)
    # The published statistic is (86 - 150)^2 / (86 + 150) = 17.36; mid-p and the chi-square agree for so many rows.
    assert found.test == "McNemar, mid-p"
    assert found.p == pytest.approx(2 * norm.sf(17.356**0.5), rel=0.2)


@pytest.mark.parametrize(
    ("first_only", "second_only", "p", "test"),
    [
        (0, 0, 1.0, "McNemar, exact"),
        (5, 0, 0.0625, "McNemar, exact"),
        (1, 9, 22 / 1024, "McNemar, exact"),
        (4, 4, 1.0, "McNemar, exact"),
    ],
)
def test_few_rows_get_the_exact_test(first_only, second_only, p, test):
    """The binomial distribution, counted by hand."""
    assert mcnemar(first_only, second_only) == (pytest.approx(p), test)


def test_mid_p_as_published():
    """Fagerland, Lydersen & Laake (2013): the exact test less half of the probability of what was seen, either side."""
    counted = sum(norm_binomial(20, k) for k in range(5)) * 2 + norm_binomial(20, 5)
    exact, _ = mcnemar(5, 15)
    assert exact - norm_binomial(20, 5) == pytest.approx(counted)
    many, test = mcnemar(10, 20)
    assert test == "McNemar, mid-p"
    assert many == pytest.approx(sum(norm_binomial(30, k) for k in range(10)) * 2 + norm_binomial(30, 10))
    assert mcnemar(15, 15)[0] == pytest.approx(1 - norm_binomial(30, 15))


def norm_binomial(rows: int, hits: int) -> float:
    """The probability of so many heads."""
    ways = 1
    for k in range(hits):
        ways = ways * (rows - k) // (k + 1)
    return ways / 2**rows


def test_delong_as_it_is_defined():
    """The covariance of two areas, counted over all pairs of rows as DeLong et al. (1988) write it."""
    chance = np.random.default_rng(3)
    positive = chance.random(60) < 0.4
    first = np.round(chance.normal(size=60) + positive, 1)
    second = np.round(first * 0.5 + chance.normal(size=60) + 0.4 * positive, 1)
    parts = []
    for scores in (first, second):
        beats = np.array([[(a > b) + 0.5 * (a == b) for b in scores[~positive]] for a in scores[positive]])
        parts.append((beats.mean(), beats.mean(axis=1), beats.mean(axis=0)))
    hits, misses = parts[0][1].size, parts[0][2].size
    variance = np.var(parts[0][1] - parts[1][1], ddof=1) / hits + np.var(parts[0][2] - parts[1][2], ddof=1) / misses
    z = (parts[0][0] - parts[1][0]) / variance**0.5
    found = delong(positive, first, second)
    assert found.value == pytest.approx(parts[0][0] - parts[1][0])
    assert found.p == pytest.approx(2 * norm.sf(abs(z)))
    half = 1.959964 * variance**0.5
    assert found.interval == pytest.approx([found.value - half, found.value + half])


def test_a_small_example_of_delong_by_hand():
    """Three rows of each kind: one score orders all but one pair, the other is right on five of nine."""
    positive = np.array([True, True, True, False, False, False])
    first, second = np.array([6.0, 5, 3, 4, 2, 1]), np.array([6.0, 2, 3, 4, 5, 1])
    found = delong(positive, first, second)
    # Rows of the first kind beat 3, 3, 2 and 3, 1, 1 of three; of the other, 2, 3, 3 and 1, 1, 3 of three are beaten.
    by_hits = np.array([3 - 3, 3 - 1, 2 - 1]) / 3
    by_misses = np.array([2 - 1, 3 - 1, 3 - 3]) / 3
    variance = (by_hits.var(ddof=1) + by_misses.var(ddof=1)) / 3
    assert found.value == pytest.approx(8 / 9 - 5 / 9)
    assert found.p == pytest.approx(2 * norm.sf((1 / 3) / variance**0.5))


def test_means_of_losses_get_the_paired_t_test():
    """For a mean over many rows, interval and p are those of the paired t-test."""
    chance = np.random.default_rng(0)
    actual = chance.normal(size=400)
    models = [actual + chance.normal(scale=s, size=400) for s in (1.0, 1.15)]
    found = differences(Task.REGRESSION, actual, models)[0, 1]["mae"]
    losses = [np.abs(one - actual) for one in models]
    theory = ttest_rel(*losses)
    ends = theory.confidence_interval(0.95)
    assert found.value == pytest.approx(losses[0].mean() - losses[1].mean())
    assert found.interval == pytest.approx([ends.low, ends.high], abs=1e-4)
    assert found.p == pytest.approx(theory.pvalue, rel=0.02)


@pytest.mark.parametrize(("task", "classes"), [(Task.BINARY, 2), (Task.MULTICLASS, 4)])
def test_every_score_beside_scipys_bootstrap(task, classes):
    """The interval of each difference lies where SciPy's paired bootstrap of the whole scores puts it."""
    actual, models = classified(300, classes)
    found = differences(task, actual, models)[0, 1]
    assert tuple(found) == NAMES[task]

    scored: dict[bytes, list[dict[str, float]]] = {}

    def difference(rows: np.ndarray, name: str) -> float:
        key = rows.tobytes()  # SciPy draws the same rows for each score
        if key not in scored:
            scored[key] = [score(task, actual[rows], model[rows]) for model in models[:2]]
        first, second = scored[key]
        return first[name] - second[name]

    for name in ("f1", "precision", "log_loss", "roc_auc", "accuracy"):
        one = bootstrap(
            (np.arange(300),),
            lambda rows, name=name: difference(rows, name),
            vectorized=False,
            n_resamples=400,
            method="percentile",
            rng=1,
        ).confidence_interval
        width = one.high - one.low
        assert found[name].interval == pytest.approx([one.low, one.high], abs=0.2 * width), name
        assert found[name].value == pytest.approx(difference(np.arange(300), name)), name


@pytest.mark.parametrize("name", ["f1", "log_loss", "r2", "mae"])
def test_test_and_interval_agree(name):
    """A p below 0.05 is an interval without zero, whatever the sample."""
    task = Task.REGRESSION if name in {"r2", "mae"} else Task.BINARY
    for seed in range(12):
        if task is Task.BINARY:
            actual, models = classified(120, 2, seed=seed)
        else:
            chance = np.random.default_rng(seed)
            actual = chance.normal(size=40)
            models = [actual + chance.normal(scale=s, size=40) for s in (0.5, 0.65)]
        found = differences(task, actual, models)[0, 1][name]
        low, high = found.interval
        if abs(found.p - 0.05) > 0.01:
            assert (found.p < 0.05) == (not low <= 0 <= high)


def test_half_rows_as_agresti_and_min_add_them():
    """Recall of one class is a share of its rows: the interval is that of their table with a half, here a quarter for
    these rows, in each cell; and one row that tells models apart is no proof.
    """
    right = [np.repeat(one, [30, 8, 2, 10]) for one in ([1, 1, 0, 0], [1, 0, 1, 0])]
    actual = np.repeat([1, 0], [50, 50])
    outputs = [np.eye(2)[np.concatenate([one, np.zeros(50, dtype=int)])] * 0.8 + 0.1 for one in right]
    found = differences(Task.BINARY, actual, outputs)[0, 1]["recall"]
    above, below, rows = 8.25, 2.25, 51.0
    center = (above - below) / rows
    error = ((above + below) / rows - center**2) ** 0.5 / rows**0.5
    assert found.value == pytest.approx(6 / 50)
    assert found.interval == pytest.approx([center - 1.984 * error, center + 1.984 * error], abs=1e-3)
    assert found.p == pytest.approx(2 * norm.sf(center / error), rel=0.1)
    lone = [outputs[0], outputs[0].copy()]
    lone[1][45] = lone[1][45, ::-1]
    assert differences(Task.BINARY, actual, lone)[0, 1]["recall"].p > 0.3


@pytest.mark.parametrize("classes", [2, 3])
def test_few_rows_of_a_class_are_held_too(classes):
    """With some 12 of 150 rows of a class, the intervals of differences hold the truth as often as they say."""
    task = Task.BINARY if classes == 2 else Task.MULTICLASS

    def sample(rows: int, chance: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
        scores = chance.normal(size=(rows, classes)) * 2 - 3.0 * (np.arange(classes) == 1)
        actual = (scores + chance.gumbel(size=scores.shape)).argmax(axis=1)
        return actual, [np.exp(one) for one in (scores, scores + chance.normal(size=scores.shape))]

    actual, models = sample(500_000, np.random.default_rng(0))
    truth = [score(task, actual, one) for one in models]
    chance = np.random.default_rng(1)
    found = [differences(task, *sample(150, chance))[0, 1] for _ in range(400)]
    for name in ("f1", "recall", "log_loss"):
        true = truth[0][name] - truth[1][name]
        held = [one[name].interval is None or one[name].interval[0] <= true <= one[name].interval[1] for one in found]
        assert np.mean(held) >= 0.92, name


def test_models_that_say_the_same_are_not_told_apart():
    """No interval of no width, and a p of one."""
    actual, (one, _) = classified(80, 3)
    for name, found in differences(Task.MULTICLASS, actual, [one, one.copy()])[0, 1].items():
        assert (found.value, found.interval, found.p) == (0.0, None, 1.0), name


def test_very_few_rows_and_many():
    """Below ten rows nothing is said; a hundred thousand are done at once, with intervals narrower by the root."""
    actual, models = classified(6, 2, seed=4)
    assert differences(Task.BINARY, actual, models)[0, 1]["log_loss"].p is None
    few = differences(Task.BINARY, *classified(4_000, 2))[0, 1]
    many = differences(Task.BINARY, *classified(100_000, 2))[0, 1]
    for name in ("accuracy", "f1", "roc_auc", "log_loss"):
        widths = [one[name].interval[1] - one[name].interval[0] for one in (few, many)]
        assert widths[0] / widths[1] == pytest.approx(5, rel=0.2), name


def test_a_repeat_gives_the_same_and_a_stop_is_obeyed():
    """A repeat is identical; whoever asks for a stop gets it."""
    data = classified(100, 2, models=3)
    assert differences(Task.BINARY, *data) == differences(Task.BINARY, *data)
    assert list(differences(Task.BINARY, *data)) == [(0, 1), (0, 2), (1, 2)]

    def stop() -> None:
        raise RunStopped

    with pytest.raises(RunStopped):
        differences(Task.BINARY, *data, check=stop)


def test_holms_correction_as_published():
    """Holm (1979): the smallest times the number of all, and so on, never falling; None is not counted."""
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def told(values: list[float | None], rows: int = 400, *, noise: float = 0.0) -> dict:
    """A comparison of runs 11, 12, ... that are right on these shares of the rows."""
    chance = np.random.default_rng(5)
    actual = chance.integers(2, size=rows)
    models = []
    for value in values:
        scores = np.where(actual == 1, 1.0, -1.0) * (value or 0.0) + chance.normal(size=rows)
        second = 1 / (1 + np.exp(-scores))
        models.append(np.stack([1 - second, second], axis=1))
    runs = [11 + k for k in range(len(values))]
    reached = {
        run: None if values[k] is None else score(Task.BINARY, actual, models[k])["roc_auc"]
        for k, run in enumerate(runs)
    }
    return told_apart(runs, reached, differences(Task.BINARY, actual, models), headline="roc_auc", rows=rows)


def test_the_best_is_named_when_it_is_told_apart():
    """The better of two is named with the interval, and comes first in its pair whatever was typed first."""
    found = told([0.2, 1.2])
    assert (found["best"], found["tied"]) == (12, [])
    assert found["pairs"][0]["runs"] == [12, 11]
    assert found["pairs"][0]["differences"]["roc_auc"]["difference"] > 0
    assert found["sentence"].startswith("Run 12 is better than 11 by 0.")
    assert found["sentence"].endswith("; the interval excludes zero.")


def test_ties_are_named_as_ties():
    """Two that cannot be told apart are tied, and no run is the best; a third that is worse is said to be."""
    found = told([1.2, 0.1, 1.2])
    assert (found["best"], found["tied"]) == (None, [11, 13])
    assert found["sentence"].startswith("Runs 11 and 13 cannot be told apart on 400 rows, corrected for 3 comparisons:")
    assert " Run 12 is worse than run 1" in found["sentence"]


def test_the_best_of_several_is_told_apart_from_each():
    """Every corrected test has to say so."""
    found = told([2.5, 0.1, 0.8])
    assert found["best"] == 11
    assert found["sentence"].startswith("Run 11 is better than each of the 2 others on 400 rows, corrected for 3")
    for pair in found["pairs"]:
        one = pair["differences"]["roc_auc"]
        assert one["p_corrected"] >= one["p"]


def test_a_score_that_is_not_defined_makes_no_best():
    """Without the headline score nobody is ahead."""
    found = told_apart([1, 2], {1: None, 2: None}, {(0, 1): {}}, headline="roc_auc", rows=20)
    assert (found["best"], found["tied"]) == (None, [])
    assert found["sentence"] == "On 20 rows roc_auc is not defined, so no run is the best."


@pytest.mark.parametrize(("rows", "classes"), list(product([11, 60], [2, 5])))
def test_false_alarms_are_rare(rows, classes):
    """Of samples in which both models are as good, few are called different, with few rows too."""
    task = Task.BINARY if classes == 2 else Task.MULTICLASS
    calls = dict.fromkeys(NAMES[task], 0)
    for seed in range(80):
        chance = np.random.default_rng(seed)
        actual = chance.integers(classes, size=rows)
        models = []
        for _ in range(2):
            scores = chance.normal(size=(rows, classes))
            scores[np.arange(rows), actual] += 1.0
            models.append(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))
        for name, one in differences(task, actual, models)[0, 1].items():
            calls[name] += one.p is not None and one.p < 0.05
    assert {name: count for name, count in calls.items() if count > 0.15 * 80} == {}

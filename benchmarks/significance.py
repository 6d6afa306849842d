"""Whether our statistics keep what they promise: false alarms, power, and how many 95 % intervals hold the truth.

Samples of processes whose truth is known go through the code of `evaluate` and `compare` itself. With a number, so many
simulations instead of 5,000.
"""

import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from shared.specs import Task
from workers.core import metrics
from workers.core.intervals import intervals, wilson
from workers.core.paired import Differences, differences, holm

SIMULATIONS = 5_000
TRUTH_ROWS = 2_000_000
FEATURES = 10
_WEIGHTS = np.linspace(1.0, 0.1, FEATURES)
_OF_CLASSES = ("accuracy", "roc_auc", "f1", "log_loss")
_OF_NUMBERS = ("r2", "rmse", "mae")

Sample = tuple[np.ndarray, list[np.ndarray]]
"""What happened [rows], and what each of two models says of it."""
Drawn = Callable[[np.random.Generator, int], Sample]


def main() -> None:
    """Print all tables."""
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else SIMULATIONS
    started = time.perf_counter()
    _say(f"{simulations:,} simulations each; in brackets the 95 % interval of what was counted\n")
    _false_alarms(simulations)
    _power(simulations)
    for rows in (200, 500):
        _coverage(simulations, rows)
    _say(f"{time.perf_counter() - started:.0f} s")


def _false_alarms(simulations: int) -> None:
    """Two models of the same family, none better: how often a test calls one so."""
    _say("models that are as good as each other    rows   score     called different, of 5 %")
    kinds: tuple[tuple[str, Callable[[int], Iterator[Sample]], Task, tuple[str, ...]], ...] = (
        ("logistic, each on rows of its own", _resampled, Task.BINARY, ("accuracy", "roc_auc")),
        ("logistic, each on half of the columns", _halves, Task.BINARY, _OF_CLASSES),
        ("linear, each on half of the columns", _half_numbers, Task.REGRESSION, _OF_NUMBERS),
    )
    for name, samples, task, names in kinds:
        alarms = _alarms((differences(task, *one) for one in islice(samples(1_000), simulations)), names)
        for score in names:
            _say(f"{name:40} {1_000:5}   {score:9} {_share(alarms[score], simulations)}")
    families = sum(map(_is_any_called, islice(_five(1_000), simulations // 4)))
    _say(f"{'five of them, any pair, Holm':40} {1_000:5}   roc_auc   {_share(families, simulations // 4)}\n")


def _power(simulations: int) -> None:
    """One of two models is right on five points more of all rows: how often a test says so."""
    truth, models = _planted(np.random.default_rng(0), TRUTH_ROWS)
    first, second = (metrics.score(Task.BINARY, truth, one) for one in models)
    planted = _minus(first["accuracy"], second["accuracy"])
    right = [one.argmax(axis=1) == truth for one in models]
    apart = float((right[0] != right[1]).mean())
    _say(f"planted: {100 * planted:.1f} points of accuracy, 1,000 rows, just one is right on {apart:.0%} of them")
    _say("score     called better")
    chance = np.random.default_rng(1)
    found = (differences(Task.BINARY, *_planted(chance, 1_000)) for _ in range(simulations))
    called = _alarms(found, _OF_CLASSES)
    for name in _OF_CLASSES:
        _say(f"{name:9} {_share(called[name], simulations)}")
    _say()


def _coverage(simulations: int, rows: int) -> None:
    """How many of the intervals hold the score, or the difference of two, of the whole population."""
    _say(f"95 % intervals of {rows:,} rows   score     of a score             of a difference")
    kinds: tuple[tuple[str, Drawn, Task, tuple[str, ...]], ...] = (
        ("two classes", _two_classes, Task.BINARY, _OF_CLASSES),
        ("three classes", _three_classes, Task.MULTICLASS, _OF_CLASSES),
        ("numbers, normal errors", _numbers, Task.REGRESSION, _OF_NUMBERS),
        ("numbers, skewed", _skewed_numbers, Task.REGRESSION, _OF_NUMBERS),
    )
    for kind, draw, task, names in kinds:
        actual, models = draw(np.random.default_rng(0), TRUTH_ROWS)
        true = [metrics.score(task, actual, one) for one in models]
        held, held_differences = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
        chance = np.random.default_rng(1)
        for _ in range(simulations):
            actual, models = draw(chance, rows)
            found = intervals(task, actual, models[0])
            pair = differences(task, actual, models)[0, 1]
            for name in names:
                held[name] += _holds(found[name], true[0][name])
                held_differences[name] += _holds(pair[name].interval, _minus(true[0][name], true[1][name]))
        for name in names:
            counted = [_share(one[name], simulations) for one in (held, held_differences)]
            _say(f"{kind:28} {name:9} {counted[0]:22} {counted[1]}")
    _say()


def _alarms(found: Iterator[Differences], names: tuple[str, ...]) -> dict[str, int]:
    counts = dict.fromkeys(names, 0)
    for one in found:
        for name in names:
            p = one[0, 1][name].p
            counts[name] += p is not None and p < 0.05
    return counts


def _is_any_called(sample: Sample) -> bool:
    """Whether any pair of several models is called different after the correction."""
    found = differences(Task.BINARY, *sample)
    corrected = holm([pair["roc_auc"].p for pair in found.values()])
    return any(p is not None and p < 0.05 for p in corrected)


def _features(chance: np.random.Generator, rows: int) -> np.ndarray:
    return chance.normal(size=(rows, FEATURES))


def _classes_of(chance: np.random.Generator, logit: np.ndarray) -> np.ndarray:
    """[rows] int64 class numbers."""
    return (chance.random(len(logit)) < 1 / (1 + np.exp(-logit))).astype(np.int64)


def _said(logit: np.ndarray) -> np.ndarray:
    """[rows, 2] float32 probabilities."""
    second = 1 / (1 + np.exp(-logit))
    return np.stack([1 - second, second], axis=1).astype(np.float32)


def _resampled(rows: int) -> Iterator[Sample]:
    """The same model of two samples of the same process: as good in accuracy and area up to second order, though not in
    F1, which a threshold of a half does not make the most of, nor in log loss.
    """
    chance = np.random.default_rng(rows)
    while True:
        fitted = []
        for _ in range(2):
            x = _features(chance, 5_000)
            fitted.append(_logistic(x, _classes_of(chance, x @ _WEIGHTS)))
        x = _features(chance, rows)
        yield _classes_of(chance, x @ _WEIGHTS), [_said(x @ weights) for weights in fitted]


def _logistic(x: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """The weights [features] of logistic regression, by Newton's steps."""
    weights = np.zeros(x.shape[1])
    for _ in range(6):
        said = 1 / (1 + np.exp(-x @ weights))
        weights += np.linalg.solve((x * (said * (1 - said))[:, None]).T @ x, x.T @ (actual - said))
    return weights


def _halves(rows: int) -> Iterator[Sample]:
    """Two models that often disagree: each sees columns of its own, which tell as much as the other's."""
    return _parted(rows, 2)


def _five(rows: int) -> Iterator[Sample]:
    return _parted(rows, 5)


def _parted(rows: int, parts: int) -> Iterator[Sample]:
    chance = np.random.default_rng(rows + parts)
    while True:
        x = _features(chance, rows)
        shares = [x[:, k::parts].sum(axis=1) for k in range(parts)]
        shares = [one * (parts * 2 / FEATURES) ** 0.5 for one in shares]
        yield _classes_of(chance, sum(shares, np.zeros(rows))), [_said(one) for one in shares]


def _half_numbers(rows: int) -> Iterator[Sample]:
    chance = np.random.default_rng(rows)
    while True:
        x = _features(chance, rows)
        shares = [x[:, k::2].sum(axis=1) for k in range(2)]
        actual = shares[0] + shares[1] + chance.normal(scale=1.0, size=rows)
        yield actual, [one.astype(np.float32) for one in shares]


def _planted(chance: np.random.Generator, rows: int) -> Sample:
    """One model knows the process, the other hardly looks at a column that counts."""
    x = _features(chance, rows)
    logit = 1.3 * x @ _WEIGHTS
    return _classes_of(chance, logit), [_said(logit), _said(logit - 1.185 * x[:, 0])]


def _two_classes(chance: np.random.Generator, rows: int) -> Sample:
    """One row in four is of the second class."""
    x = _features(chance, rows)
    logit = x @ _WEIGHTS - 2.0
    return _classes_of(chance, logit), [_said(logit), _said(logit + 0.7 * chance.normal(size=rows))]


def _three_classes(chance: np.random.Generator, rows: int) -> Sample:
    logits = 1.5 * chance.normal(size=(rows, 3)) + [0.0, 0.5, -0.5]
    actual = (logits + chance.gumbel(size=(rows, 3))).argmax(axis=1)
    worse = logits + 0.7 * chance.normal(size=(rows, 3))
    shares = [np.exp(one) / np.exp(one).sum(axis=1, keepdims=True) for one in (logits, worse)]
    return actual, [one.astype(np.float32) for one in shares]


def _numbers(chance: np.random.Generator, rows: int) -> Sample:
    known = chance.normal(size=rows)
    actual = known + chance.normal(scale=0.7, size=rows)
    return actual, [known.astype(np.float32), (known + 0.3 * chance.normal(size=rows)).astype(np.float32)]


def _skewed_numbers(chance: np.random.Generator, rows: int) -> Sample:
    """A target like a price, whose errors grow with it."""
    known = chance.gamma(2.0, 50.0, size=rows)
    actual = known * (1 + 0.2 * chance.normal(size=rows))
    return actual, [known.astype(np.float32), (known + 15 * chance.normal(size=rows)).astype(np.float32)]


def _holds(interval: list[float] | None, true: float | None) -> bool:
    return interval is not None and true is not None and interval[0] <= true <= interval[1]


def _minus(first: float | None, second: float | None) -> float:
    return (first or 0.0) - (second or 0.0)


def _say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _share(count: int, of: int) -> str:
    low, high = wilson(count, of)
    return f"{count / of:6.2%} ({low:.2%} to {high:.2%})"


if __name__ == "__main__":
    main()

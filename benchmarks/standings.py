"""Who predicts better, and whether that is more than chance: scores, ranks and paired tests over files and splits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics

from shared.specs import Task

LEAST_PROBABILITY = 1e-6  # a probability of 0 in float32 would cost one model without end and another 16
RANKED = {Task.BINARY: "roc_auc", Task.MULTICLASS: "log_loss", Task.REGRESSION: "rmse"}
RANKED_SECOND = {Task.BINARY: "accuracy", Task.MULTICLASS: "accuracy", Task.REGRESSION: "mae"}
_ERRORS = {"log_loss", "rmse", "mae"}  # less is better


def score(task: Task, actual: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """The scores of numbers [rows], or of probabilities [rows, classes], on rows that nobody learnt from."""
    if task is Task.REGRESSION:
        return {
            "rmse": float(metrics.root_mean_squared_error(actual, outputs)),
            "mae": float(metrics.mean_absolute_error(actual, outputs)),
            "r2": float(metrics.r2_score(actual, outputs)),
        }
    shares = np.clip(outputs, LEAST_PROBABILITY, 1.0)
    shares /= shares.sum(axis=1, keepdims=True)
    labels, guesses = np.arange(outputs.shape[1]), outputs.argmax(axis=1)
    scores = {
        "log_loss": float(metrics.log_loss(actual, shares, labels=labels)),
        "accuracy": float(metrics.accuracy_score(actual, guesses)),
    }
    if task is Task.BINARY:
        return {"roc_auc": float(metrics.roc_auc_score(actual, outputs[:, 1])), **scores}
    present = [k for k in labels if 0 < (actual == k).sum() < len(actual)]
    areas = [metrics.roc_auc_score(actual == k, outputs[:, k]) for k in present]
    f1 = float(metrics.f1_score(actual, guesses, average="macro"))
    return {**scores, "macro_f1": f1, "macro_ovr_auc": float(np.mean(areas))}


@dataclass(frozen=True)
class Result:
    """One model on one split of one file."""

    file: str
    task: Task
    seed: int
    model: str
    train_rows: int
    test_rows: int
    scores: dict[str, float]
    """Empty where the model failed."""
    seconds: float
    """From typed columns, or for ours from the file, to the outputs for the test rows."""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Against:
    """Ours beside one other on one file; differences are positive where ours is better."""

    file: str
    difference: float
    standard_errors: float
    """The mean difference in standard errors of the splits' differences, as if splits were independent."""
    corrected_t: float
    """The same with the variance that overlapping training parts ask for (Nadeau & Bengio 2003)."""
    p: float


class Standings:
    """All results of the models that have one on every split."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.by = {(r.file, r.seed, r.model): r for r in results}
        self.splits = sorted({(r.file, r.seed) for r in results}, key=lambda split: (_first(results, split[0]), split))
        self.files = list(dict.fromkeys(file for file, _ in self.splits))
        named = list(dict.fromkeys(r.model for r in results))
        self.models = [m for m in named if all((*split, m) in self.by for split in self.splits)]
        self.incomplete = [m for m in named if m not in self.models]
        self.tasks = {r.file: r.task for r in results}

    def goodness(self, file: str, model: str, metric: dict[Task, str] = RANKED) -> np.ndarray:
        """[splits] the score, with its sign such that more is better; -inf where the model failed."""
        name = metric[self.tasks[file]]
        scores = [self.by[split_file, seed, model].scores for split_file, seed in self.splits if split_file == file]
        sign = -1.0 if name in _ERRORS else 1.0
        return np.array([sign * found[name] if name in found else -np.inf for found in scores])

    def mean_ranks(self, metric: dict[Task, str] = RANKED) -> dict[str, tuple[float, float]]:
        """For each model the mean rank over files and splits (1 is the best, ties share) and over files' means."""
        splits, means = [], []
        for file in self.files:
            table = np.array([self.goodness(file, model, metric) for model in self.models])  # [models, splits]
            splits.append(stats.rankdata(-table, axis=0))
            means.append(stats.rankdata(-table.mean(axis=1)))
        over_splits, over_files = np.concatenate(splits, axis=1).mean(axis=1), np.mean(means, axis=0)
        return {m: (float(over_splits[k]), float(over_files[k])) for k, m in enumerate(self.models)}

    def against(self, ours: str, peer: str) -> list[Against]:
        """Ours beside one peer, file by file."""
        return [self._against(file, self.goodness(file, ours) - self.goodness(file, peer)) for file in self.files]

    def against_best(self, ours: str) -> list[tuple[Against, list[str]]]:
        """Ours beside the peer that is best on the other splits of the file, and who that was on each split."""
        peers = [model for model in self.models if model != ours]
        found = []
        for file in self.files:
            table = np.array([self.goodness(file, peer) for peer in peers])  # [peers, splits]
            splits = table.shape[1]
            if splits == 1:
                best = table.argmax(axis=0)
            else:
                best = np.array([np.delete(table, k, axis=1).mean(axis=1).argmax() for k in range(splits)])
            differences = self.goodness(file, ours) - table[best, np.arange(splits)]
            found.append((self._against(file, differences), [peers[k] for k in best]))
        return found

    def wilcoxon_p(self, ours: str, peer: str) -> float:
        """Whether ours and a peer differ over files: the signed-rank test on the logarithm of the ratio of their mean
        errors (1 - ROC AUC, log loss, RMSE), since the files' scores have no unit in common.
        """
        ratios = [np.log(self._error(file, peer) / self._error(file, ours)) for file in self.files]
        return float(stats.wilcoxon(ratios).pvalue) if len(ratios) > 1 and any(ratios) else 1.0

    def _error(self, file: str, model: str) -> float:
        mean = float(self.goodness(file, model).mean())
        return max(1e-9, -mean if RANKED[self.tasks[file]] in _ERRORS else 1.0 - mean)

    def _against(self, file: str, differences: np.ndarray) -> Against:
        one = next(r for r in self.by.values() if r.file == file)
        splits, mean = len(differences), float(differences.mean())
        variance = float(differences.var(ddof=1)) if splits > 1 else float("nan")
        plain = _in_units(mean, np.sqrt(variance / splits))
        corrected = _in_units(mean, np.sqrt(variance * (1 / splits + one.test_rows / one.train_rows)))
        p = float(2 * stats.t.sf(abs(corrected), splits - 1)) if splits > 1 else float("nan")
        return Against(file, mean, plain, corrected, p)


def _in_units(value: float, unit: float) -> float:
    """Zero differences on every split are no difference, whatever the unit."""
    return 0.0 if value == 0 else float(np.divide(value, unit)) if unit else float(np.copysign(np.inf, value))


def _first(results: Sequence[Result], file: str) -> int:
    return next(k for k, result in enumerate(results) if result.file == file)

"""Which candidate is kept, or which blend of them, and how sure it may sound: decided on rows that had not taught them.

They are compared by the loss that was asked for. A blend is chosen greedily with replacement (Caruana et al. 2004,
"Ensemble selection from libraries of models") and kept when it beats the best single candidate by more than the
standard error of the difference, row by row. Its probabilities are then temperature-scaled (Guo et al. 2017). A focal
loss and label smoothing make probabilities shy, and some candidates shyer than others: there each is scaled before it
is compared.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from shared.specs import LossName, ModelName
from workers.core.aim import METRICS
from workers.core.objective import Objective
from workers.core.predictor import cooled

STEPS = 25
COOLEST, HOTTEST = 0.25, 4.0
LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class Choice:
    """What is kept of the candidates."""

    weights: dict[ModelName, float]
    """Of those that are kept, in the order of the candidates; they sum to 1."""
    temperature: float
    scores: dict[str, float]
    """Of each candidate and of `blend`, the metric that decided (`aim.METRICS`; numbers in deviations of the target).
    """
    sentence: str
    temperatures: dict[ModelName, float] = field(default_factory=dict)
    """At which each candidate was compared, where that is not 1."""


def choose(outputs: Mapping[ModelName, np.ndarray], y: np.ndarray, objective: Objective) -> Choice:
    """The best of the candidates, or their blend.

    `outputs` holds for each candidate [rows, classes] probabilities or [rows, 1] deviations, NaN for rows that it
    learnt from; `y` [rows] int64 classes, or [rows, 1] deviations. Only rows that all of them can be judged on count.
    """
    names = list(outputs)
    common = np.all([np.isfinite(out).all(axis=1) for out in outputs.values()], axis=0)
    stack = np.stack([outputs[name][common] for name in names]).astype(np.float64)  # [M, n, O]
    target = y[common]
    scaled = [fit_temperature(out, target) if _is_shy(objective) else 1.0 for out in stack]
    losses = np.stack([row_losses(_cooled(*pair), target, objective) for pair in zip(stack, scaled, strict=True)])
    best = int(losses.mean(axis=1).argmin())
    weights, sentence = np.eye(len(names))[best], ""
    scores = {name.value: _score(losses[k], objective) for k, name in enumerate(names)}
    if len(names) > 1:
        blend = greedy_weights(stack, target, objective, temperature=scaled[best])
        mixed = np.tensordot(blend, stack, axes=1)
        mixed = _cooled(mixed, fit_temperature(mixed, target)) if _is_shy(objective) else mixed
        blended = row_losses(mixed, target, objective)
        scores["blend"] = _score(blended, objective)
        gain = losses[best] - blended
        error = float(gain.std(ddof=1)) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
        keeps = bool(np.count_nonzero(blend) > 1 and gain.mean() > error)
        weights = blend if keeps else weights
        sentence = _sentence(names, scores, blend, best, keeps=keeps, objective=objective)
    kept = {name: float(weight) for name, weight in zip(names, weights, strict=True) if weight > 0}
    temperature = 1.0
    if objective.is_of_classes:
        temperature = fit_temperature(np.tensordot(weights, stack, axes=1), target)
    temperatures = {name: scale for name, scale in zip(names, scaled, strict=True) if scale != 1.0}
    return Choice(kept, temperature, scores, sentence, temperatures)


def row_losses(outputs: np.ndarray, y: np.ndarray, objective: Objective) -> np.ndarray:
    """The loss of each row, [n]: that of the objective, or the log loss of classes."""
    if not objective.is_of_classes:
        return objective.aim().row_losses(y[:, 0], outputs[:, 0])
    return _log_losses(outputs, y)


def greedy_weights(stack: np.ndarray, y: np.ndarray, objective: Objective, *, temperature: float = 1.0) -> np.ndarray:
    """[M] weights: of `STEPS` picks, each the candidate that helps the average most, the share of each candidate; what
    came after the best average is left out. Probabilities are judged at `temperature`.
    """
    counts, total = np.zeros(len(stack)), np.zeros(stack.shape[1:])
    best_loss, best_counts = math.inf, counts
    for step in range(1, STEPS + 1):
        averages = (_cooled((total + out) / step, temperature) for out in stack)
        means = [float(row_losses(average, y, objective).mean()) for average in averages]
        pick = int(np.argmin(means))
        counts[pick] += 1
        total = total + stack[pick]
        if means[pick] < best_loss:
            best_loss, best_counts = means[pick], counts.copy()
    share: np.ndarray = best_counts / best_counts.sum()
    return share


def fit_temperature(probabilities: np.ndarray, y: np.ndarray) -> float:
    """The temperature whose probabilities have the least log loss, between `COOLEST` and `HOTTEST`."""
    known = torch.from_numpy(np.ascontiguousarray(probabilities, dtype=np.float64))

    def loss(log_temperature: float) -> float:
        scaled = cooled(known, math.exp(log_temperature)).numpy()
        return float(_log_losses(scaled, y).mean())

    found = minimize_scalar(loss, bounds=(math.log(COOLEST), math.log(HOTTEST)), method="bounded")
    return round(float(math.exp(found.x)), 4) if found.fun < loss(0.0) else 1.0


def _is_shy(objective: Objective) -> bool:
    """Whether the probabilities that it teaches are no shares that one could expect."""
    return objective.is_of_classes and (objective.name is LossName.FOCAL or objective.smoothing > 0)


def _cooled(outputs: np.ndarray, temperature: float) -> np.ndarray:
    return outputs if temperature == 1.0 else cooled(torch.from_numpy(outputs), temperature).numpy()


def _log_losses(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    losses: np.ndarray = -np.log(np.clip(probabilities[np.arange(len(y)), y], LEAST_PROBABILITY, 1.0))
    return losses


def _score(losses: np.ndarray, objective: Objective) -> float:
    mean = float(losses.mean())
    return math.sqrt(mean) if objective.name is LossName.MSE else mean


def _sentence(
    names: list[ModelName],
    scores: dict[str, float],
    blend: np.ndarray,
    best: int,
    *,
    keeps: bool,
    objective: Objective,
) -> str:
    metric = METRICS[objective.name] + (" (after temperature scaling)" if _is_shy(objective) else "")
    reached = ", ".join(f"{name} {score:.4g}" for name, score in scores.items() if name != "blend")
    unit = "" if objective.is_of_classes else " in deviations of the target"
    if keeps:
        parts = " + ".join(
            f"{weight:.0%} {name.value}" for name, weight in zip(names, blend, strict=True) if weight > 0
        )
        what = f"a blend ({parts}), whose {metric} on the validation rows is {scores['blend']:.4g}{unit}"
        why = f"better than the best single one by more than its standard error ({reached})"
    else:
        what = f"{names[best].value}, the lowest {metric} on the validation rows{unit} ({reached})"
        why = f"a blend of them reached {scores['blend']:.4g}, no more than a standard error better"
    return f"Model: {what}; {why}. Change it with model=NAME."

"""Where and how a regression errs: on which side, by how much, and on which rows most."""

from typing import Any

import numpy as np
from scipy.stats import rankdata

from workers.core.intervals import mean_interval

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_WORST = 10
_NOTABLE = 0.3  # a rank correlation below that is of no use to anyone
_ROUNDING = 1e-4  # errors of that share of the target's deviation are those of the arithmetic, and follow its steps


def residuals(actual: np.ndarray, predicted: np.ndarray, *, rows: np.ndarray | None = None) -> dict[str, Any]:
    """What the errors (predicted minus actual, in the target's unit; above zero the prediction is too high) look like.

    `actual`, `predicted`, `rows` [rows]: `rows` holds the numbers by which people know the rows, by default 1, 2, ...
    `quantiles` of the error by share; `bias` is its mean, with the 95 % interval; `within_10_percent` the share of the
    rows whose error is at most a tenth of the actual value; `growth` the rank correlation (Spearman 1904) of the
    error's size with the prediction, None where all errors are rounding, `hint` a sentence where that is notable;
    `worst` the rows with the largest errors.
    """
    if len(actual) == 0:
        keys = ("quantiles", "bias", "bias_interval", "within_10_percent", "growth", "hint")
        return {**dict.fromkeys(keys), "worst": []}
    errors = predicted.astype(np.float64) - actual
    numbers = np.arange(1, len(actual) + 1) if rows is None else rows
    worst = np.argsort(-np.abs(errors), kind="stable")[:_WORST]
    is_exact = bool(np.abs(errors).max() <= _ROUNDING * actual.std())
    growth = None if is_exact else _growth(errors, predicted)
    return {
        "quantiles": {str(share): float(np.quantile(errors, share)) for share in _QUANTILES},
        "bias": float(errors.mean()),
        "bias_interval": mean_interval(errors),
        "within_10_percent": float((np.abs(errors) <= 0.1 * np.abs(actual)).mean()),
        "growth": growth,
        "hint": _hint(growth, len(errors), positive=bool((actual > 0).all())),
        "worst": [
            {"row": int(numbers[k]), "actual": float(actual[k]), "predicted": float(predicted[k])} for k in worst
        ],
    }


def _growth(errors: np.ndarray, predicted: np.ndarray) -> float | None:
    if len(errors) < 3 or np.ptp(predicted) == 0 or np.ptp(np.abs(errors)) == 0:
        return None
    return float(np.corrcoef(rankdata(np.abs(errors)), rankdata(predicted))[0, 1])


def _hint(growth: float | None, rows: int, *, positive: bool) -> str | None:
    """A sentence where the growth is notable and beyond chance, whose standard deviation is 1 / sqrt(n - 1)."""
    if growth is None or abs(growth) < max(_NOTABLE, 2 / (rows - 1) ** 0.5):
        return None
    if growth < 0:
        return f"The errors are larger where the prediction is lower (rank correlation {growth:.2f})."
    advice = "; if relative errors matter more than absolute ones, predict the logarithm" if positive else ""
    return f"The errors grow with the prediction (rank correlation {growth:.2f}){advice}."

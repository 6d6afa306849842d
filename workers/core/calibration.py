"""Whether a probability means what it says: of the rows that are given 80 %, about 80 % should be so."""

from typing import Any

import numpy as np

from workers.core.intervals import wilson
from workers.core.metrics import normalised

_BINS = 15
_LEAST_IN_BIN = 10


def calibration(actual: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """The expected calibration error, the Brier score and the table of a reliability plot.

    `actual` [rows] class numbers, `predicted` [rows, classes] probabilities. Two classes: of the second one's
    probability. More: of that of the class that is named. `ece` (Naeini et al. 2015) is the mean distance of predicted
    and observed over 15 bins of equal mass; fewer below 150 rows, and equal probabilities stay in one bin. `brier`
    (1950) is the mean squared distance of the probability from what happened: 0 to 1 for two classes; summed over the
    classes, 0 to 2, for more. Both are None without rows.
    """
    rows, classes = predicted.shape
    if rows == 0:
        return {"ece": None, "brier": None, "bins": []}
    probabilities = normalised(predicted)
    if classes == 2:
        said, happened = probabilities[:, 1], actual == 1
        brier = float(((said - happened) ** 2).mean())
    else:
        said, happened = probabilities.max(axis=1), probabilities.argmax(axis=1) == actual
        given = probabilities[np.arange(rows), actual]
        # Of the sum of (p - 1 where it happened)^2 over the classes, without a second matrix of that size.
        brier = float(((probabilities**2).sum(axis=1) - 2 * given + 1).mean())
    bins = _bins(said, happened)
    ece = sum(one["count"] * abs(one["predicted"] - one["observed"]) for one in bins) / rows
    return {"ece": ece, "brier": brier, "bins": bins}


def _bins(said: np.ndarray, happened: np.ndarray) -> list[dict[str, Any]]:
    """The mean probability, the observed share with its 95 % interval and the rows of each bin, in ascending order."""
    number = min(_BINS, max(1, len(said) // _LEAST_IN_BIN))
    inner_edges = np.quantile(said, np.arange(1, number) / number, method="inverted_cdf")
    place = np.searchsorted(np.unique(inner_edges), said, side="left")
    counts = np.bincount(place)
    sums, hits = np.bincount(place, weights=said), np.bincount(place, weights=happened)
    return [
        {
            "predicted": float(sums[k] / count),
            "observed": float(hits[k] / count),
            "interval": wilson(float(hits[k]), int(count)),
            "count": int(count),
        }
        for k, count in enumerate(counts)
        if count
    ]

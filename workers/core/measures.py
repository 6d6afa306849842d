"""Everything that a report says about a part that a model was tested on, beside its scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.specs import Task
from workers.core.calibration import calibration
from workers.core.intervals import intervals
from workers.core.metrics import per_class
from workers.core.residuals import residuals


def measure(
    task: Task, actual: np.ndarray, predicted: np.ndarray, *, classes: Sequence[str], rows: np.ndarray, seed: int = 0
) -> dict[str, Any]:
    """The keys of a report: `intervals` of the test part, and `per_class` and `calibration` or `residuals`.

    `actual` and `predicted` as for `metrics.score`; `rows` [rows]: the numbers by which people know the rows.
    """
    measured: dict[str, Any] = {"intervals": {"test": intervals(task, actual, predicted, seed=seed)}}
    if task is Task.REGRESSION:
        return measured | {"residuals": residuals(actual, predicted, rows=rows)}
    return measured | {
        "per_class": per_class(actual, predicted, classes),
        "calibration": calibration(actual, predicted),
    }

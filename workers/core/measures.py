"""Everything that a report says about a part that a model was tested on, beside its scores."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.specs import Task
from workers.core.aim import Aim
from workers.core.calibration import calibration
from workers.core.intervals import intervals
from workers.core.metrics import per_class
from workers.core.residuals import residuals


def measure(  # noqa: PLR0913 - all but the first three are how, not what
    task: Task,
    actual: np.ndarray,
    predicted: np.ndarray,
    *,
    classes: Sequence[str],
    rows: np.ndarray,
    aim: Aim | None = None,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """The keys of a report: `intervals` of the test part, and `per_class` and `calibration` or `residuals`; of two
    classes also the `positive_class`, whose precision, recall and F1 the scores are.

    `actual` and `predicted` as for `metrics.score`; `rows` [rows]: the numbers by which people know the rows. `check`
    is called between the parts of the work and may end it by raising.
    """
    measured: dict[str, Any] = {
        "intervals": {"test": intervals(task, actual, predicted, aim=aim, seed=seed, check=check)}
    }
    check()
    if task is Task.REGRESSION:
        return measured | {"residuals": residuals(actual, predicted, rows=rows)}
    measured |= {"per_class": per_class(actual, predicted, classes)}
    check()
    measured |= {"positive_class": classes[1]} if task is Task.BINARY else {}
    return measured | {"calibration": calibration(actual, predicted)}

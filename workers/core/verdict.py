"""The learning curve in one sentence: has the model learnt too little, too much by heart, or what there was?"""

from collections.abc import Sequence

from shared.specs import Task
from workers.core.metrics import HEADLINE, Scores

_MUCH_LOST = 0.25  # of what the training part gained over the baseline
_LITTLE = 1 / 3  # of the way from the baseline to a perfect score
_FEW_ROWS = 10_000


def verdict(
    task: Task,
    train_scores: Scores,
    validation_scores: Scores,
    baseline_scores: Scores,
    *,
    rows: int,
    interval: Sequence[float] | None = None,
) -> str:
    """One sentence on the headline metric, which is 1 for a perfect model in every task.

    `rows` is the number of rows that trained the model, `interval` the 95 % interval of the metric on the validation
    part (`intervals.intervals`); without one, chance is left out of account. A difference counts when it is larger
    than chance: the training score lies above the interval, the baseline below it. It is overfitting when, beyond
    chance, a quarter of what the model gained over the baseline on the training part is lost on the validation part;
    underfitting when even the training part is not a third of the way from the baseline to a perfect score.
    """
    metric = HEADLINE[task]
    train, validation, baseline = (part.get(metric) for part in (train_scores, validation_scores, baseline_scores))
    if train is None or validation is None or baseline is None:
        return f"Not judged: {metric} is not defined on every part."
    low, high = interval or (validation, validation)
    reached = f"{metric} is {_shown(train)} on the training part and {_shown(validation)} on the validation part"
    chance = f" ({_shown(low)} to {_shown(high)})" if interval else ""
    than_baseline = f"no better than a baseline without features ({_shown(baseline)})"
    gained, possible = train - baseline, 1 - baseline
    beats_baseline, falls_behind = low > baseline, train > high
    if not beats_baseline and not falls_behind and high - low > _LITTLE * possible:
        return (
            f"Too few rows to tell: {reached}, where chance alone moves it by that much{chance}; more rows are needed."
        )
    if falls_behind and train - validation > _MUCH_LOST * gained:
        nothing_left = "" if beats_baseline else f", {than_baseline}"
        return f"Overfitting: {reached}{chance}{nothing_left}; {_against_overfitting(rows)} would help."
    if not beats_baseline:
        return f"Nothing learnt: {reached}{chance}, {than_baseline}; these columns may not tell the target."
    if gained < _LITTLE * possible:
        return (
            f"Underfitting, or little to learn: {reached}{chance}; a larger model, more time= or columns that say more "
            "about the target would help."
        )
    return f"Healthy: {reached}{chance}."


def _against_overfitting(rows: int) -> str:
    if rows < _FEW_ROWS:
        return f"more rows (it learnt from {rows:,}), dropout= or a larger l2="
    return "dropout=, a larger l2= or a smaller model"


def _shown(score: float) -> str:
    return f"{score:.2f}" if abs(score) < 100 else f"{score:.3g}"

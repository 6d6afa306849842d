"""The learning curve in one sentence: has the model learnt too little, too much by heart, or what there was?"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.specs import ModelName
from workers.core.metrics import LOWER_IS_BETTER, Scores

_MUCH_LOST = 0.25  # of what the training part gained over the baseline
_LITTLE = 1 / 3  # of the way from the baseline to a perfect score
_FEW_ROWS = 10_000
_STILL_FALLING = 0.02  # of all that the loss fell, in the last tenth of the epochs
_NETWORKS = (ModelName.MLP, ModelName.MLP_PLE, ModelName.TABM)


@dataclass(frozen=True)
class Training:
    """How the model, or that of a blend which weighs most, was trained."""

    model: ModelName
    rows: int
    """That a fold learnt from."""
    ended_by: str
    curve: Sequence[tuple[float, float]] = ()
    """Training and validation loss after each epoch."""
    has_rate: bool = True
    """Whether it takes lr=: a linear model that is solved has none."""


def verdict(  # noqa: PLR0911 - each end of a training has its sentence
    metric: str,
    train_scores: Scores,
    validation_scores: Scores,
    baseline_scores: Scores,
    *,
    training: Training,
    interval: Sequence[float] | None = None,
) -> str:
    """One sentence on `metric`, which is 1 for a perfect model, or 0 where lower is better.

    The scores are those of each fold's model on its own rows (`fold_scores`), `interval` the 95 % interval of the
    validation part's (`intervals.fold_interval`); without one, chance is left out of account. A difference counts when
    it is larger than chance: the training score lies beyond the interval, the baseline on its other side. It is
    under-trained when the validation loss still fell at the end of an epoch count or a time; overfitting when, beyond
    chance, a quarter of what the model gained over the baseline on the training part is lost on the validation part;
    underfitting when even the training part is not a third of the way from the baseline to a perfect score.
    """
    train, validation, baseline = (part.get(metric) for part in (train_scores, validation_scores, baseline_scores))
    if train is None or validation is None or baseline is None:
        return f"Not judged: {metric} is not defined on every part."
    scores = f"{metric} is {_shown(metric, train)} on the training part and {_shown(metric, validation)} on the "
    scores += "validation part"
    chance = " ({} to {})".format(*(_shown(metric, end) for end in interval)) if interval else ""
    than_baseline = f"no better than a baseline without features ({_shown(metric, baseline)})"
    sign, perfect = (-1.0, 0.0) if metric in LOWER_IS_BETTER else (1.0, 1.0)
    low, high = sorted(sign * end for end in (interval or (validation, validation)))
    gained, possible = sign * (train - baseline), sign * (perfect - baseline)
    beats_baseline, falls_behind = low > sign * baseline, sign * train > high
    if not beats_baseline and not falls_behind and high - low > _LITTLE * possible:
        return (
            f"Too few rows to tell: {scores}, where chance alone moves it by that much{chance}; more rows are needed."
        )
    if is_still_falling(training):
        end = f"the validation loss still fell when the {training.ended_by} ended"
        return f"Under-trained: {scores}{chance}, and {end}; {_against_an_early_end(training)} would help."
    if falls_behind and sign * (train - validation) > _MUCH_LOST * gained:
        nothing_left = "" if beats_baseline else f", {than_baseline}"
        return f"Overfitting: {scores}{chance}{nothing_left}; {_against_overfitting(training)} would help."
    if not beats_baseline:
        return f"Nothing learnt: {scores}{chance}, {than_baseline}; these columns may not tell the target."
    if gained < _LITTLE * possible:
        return f"Underfitting, or little to learn: {scores}{chance}; {_against_underfitting(training)} would help."
    return f"Healthy: {scores}{chance}."


def is_still_falling(training: Training) -> bool:
    """Whether more epochs would have helped: the validation loss fell from each tenth of the epochs to the next in the
    last three, was at its least at the end, and the last tenth brought more than a trace of the whole fall.
    """
    losses = [validation for _, validation in training.curve]
    tenth = max(1, len(losses) // 10)
    if training.ended_by not in ("epochs", "time") or len(losses) < 2:
        return False
    starts = range(len(losses) - tenth, max(-1, len(losses) - 3 * tenth - 1), -tenth)
    *earlier, before, after = (sum(losses[start : start + tenth]) / tenth for start in reversed(starts))
    falls = all(one > before for one in earlier) and min(losses[-tenth:]) == min(losses)
    return falls and before - after > _STILL_FALLING * (losses[0] - min(losses))


def missed_quantile(quantile: float, coverage: float | None, interval: Sequence[float] | None) -> str:
    """A sentence where the share of the test rows at or below the predictions differs from the quantile that was asked
    for beyond chance: `coverage` with its 95 % interval; '' elsewhere.
    """
    if coverage is None or interval is None or interval[0] <= quantile <= interval[1]:
        return ""
    side = "low" if coverage < quantile else "high"
    low, high = interval
    return (
        f"The predictions are too {side} for quantile={quantile:g}: {coverage:.1%} of the test rows lie at or below "
        f"them ({low:.1%} to {high:.1%})."
    )


def _against_an_early_end(training: Training) -> str:
    if training.ended_by == "time":
        return "more time="
    words = "more epochs= or a higher lr=" if training.has_rate else "more epochs="
    return f"{words} with model=gbdt" if training.model is ModelName.GBDT else words


def _against_overfitting(training: Training) -> str:
    """Words that the model takes."""
    if training.model in _NETWORKS:
        words, with_many = "dropout= or a larger l2=", "dropout=, a larger l2= or a smaller width="
    elif training.model is ModelName.GBDT:
        words = with_many = "a larger l2= with model=gbdt"
    else:
        words = with_many = "a larger l2= or l1="
    return f"more rows (it learnt from {training.rows:,}), {words}" if training.rows < _FEW_ROWS else with_many


def _against_underfitting(training: Training) -> str:
    if training.model in _NETWORKS:
        return "a larger width= or depth=, or columns that say more about the target,"
    if training.model is ModelName.LINEAR:
        return "a model that is not linear (model=auto), or columns that say more about the target,"
    return "columns that say more about the target"


def _shown(metric: str, score: float) -> str:
    """Shares of one with two digits; losses, which have any unit, with four that count."""
    if 1_000 <= abs(score) < 1e9:
        return f"{score:,.0f}"
    return f"{score:.4g}" if metric in LOWER_IS_BETTER or abs(score) >= 100 else f"{score:.2f}"

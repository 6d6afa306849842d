"""How a train run stands against the best earlier one on the same data, as one sentence for its card."""

from sqlalchemy import Connection

from bot.scored import are_overlapping, interval_of
from bot.tables import number_text
from shared.log.best_before import best_before
from shared.log.runs import Run
from shared.log.states import RunState
from shared.metric_names import LOWER_IS_BETTER


def best_before_text(connection: Connection, run: Run) -> str:
    """The sentence; '' for a run that has no score to compare."""
    if run.kind != "train" or run.state is not RunState.SUCCEEDED or run.headline is None or run.score is None:
        return ""
    earlier = best_before(connection, run)
    if earlier is None or earlier.score is None:
        return "The first model that is measured on these test rows."
    return against_text(run.headline, run.score, earlier.id, earlier.score, tied=_overlap(run, earlier))


def against_text(metric: str, score: float, earlier: int, reached: float, *, tied: bool) -> str:
    """What a score means beside that of an earlier run."""
    gained = reached - score if metric in LOWER_IS_BETTER else score - reached
    before = f"the best earlier run on the same data, run {earlier}"
    difference = number_text(abs(score - reached))
    if gained == 0:
        return f"As good as {before}: {metric} {number_text(reached)}."
    which = "Better than" if gained > 0 else "Not as good as"
    chance = "; their 95 % intervals overlap, so it may be chance" if tied else ""
    return f"{which} {before}, by {difference}: {metric} {number_text(score)} against {number_text(reached)}{chance}."


def _overlap(run: Run, earlier: Run) -> bool:
    mine, theirs = interval_of(run.result, run.headline), interval_of(earlier.result, earlier.headline)
    return mine is not None and theirs is not None and are_overlapping(mine, theirs)

"""A run as it stands, and its card: one moment of the log, so that its last event and what the card says agree."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from bot.best_before import best_before_text
from bot.cards import Card, run_card
from bot.slack.blocks import Block
from bot.slack.buttons import run_buttons
from bot.slack.typed import PREFIX
from shared.errors import Problem
from shared.log import runs
from shared.log.engine import Log
from shared.log.forecast import forecasts
from shared.log.runs import Artifact, Run, RunState
from shared.logs import masked


@dataclass(frozen=True)
class CardView:
    """A run as it stands, and its card."""

    run: Run
    card: Card
    artifacts: list[Artifact]
    buttons: Block


def card_view(log: Log, number: int, *, page_of: Callable[[Run], str]) -> CardView:
    """How the card of a run looks now."""
    with log.read() as connection:
        run = runs.get(connection, number)
        events = [event for _, event in runs.events_after(connection, number)]
        artifacts = runs.artifacts_of(connection, number)
        expected = forecasts(connection, [run]).get(run.id) if run.state is RunState.QUEUED else None
        before = _best_before(connection, run)
    card = run_card(run, events, artifacts, prefix=PREFIX, expected=expected)
    page = page_of(run)
    notes = (before, *card.notes) if before else card.notes
    card = replace(card, page=page, notes=notes, problem=without_secrets(card.problem))
    return CardView(run, card, artifacts, run_buttons(run, page=page, artifacts=artifacts))


def without_secrets(problem: Problem | None) -> Problem | None:
    """A problem without the tokens and passwords that a message of others may quote."""
    if problem is None:
        return None
    return Problem(problem.code, masked(problem.message), masked(problem.hint))


def _best_before(connection: Connection, run: Run) -> str:
    """How the run stands to the best one before it on the same data; '' where there is nothing to say."""
    if run.kind != "train" or run.state is not RunState.SUCCEEDED:
        return ""
    return best_before_text(connection, run) or ""

"""`show RUN`: everything about a run: its card, its result, its artifacts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.grammar import Verb, Words
from bot.verbs.runs_in_words import run_in

if TYPE_CHECKING:
    from bot.desk import Answer, Desk


@dataclass(frozen=True)
class Show:
    """One run, whole."""

    run: int


def build(words: Words) -> Show:
    """The request."""
    return Show(run=run_in(words.plain[0]))


def answer(desk: "Desk", request: Show) -> "Answer":
    """The run's own card and envelope, with its tags, notes and aliases."""
    from bot.answers import run_answer
    from bot.beside import with_beside
    from shared.log import runs

    with desk.log.read() as connection:
        found = runs.find(connection, desk.principal, request.run)
        return with_beside(desk, connection, found, run_answer(desk, connection, found))


VERB = Verb(
    name="show",
    summary="Show a run: what was asked, what came out, where its files lie.",
    plain="RUN",
    examples=("show 42",),
    build=build,
    answer=answer,
)

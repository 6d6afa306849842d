"""`status [RUN]`: what waits and what runs now, or where one run stands."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.grammar import Verb, Words
from bot.verbs.runs_in_words import run_in

if TYPE_CHECKING:
    from bot.desk import Answer, Desk


@dataclass(frozen=True)
class Status:
    """What stands where; of one run, or of all that have not ended."""

    run: int | None


def build(words: Words) -> Status:
    """The request."""
    return Status(run=run_in(words.plain[0]) if words.plain else None)


def answer(desk: "Desk", request: Status) -> "Answer":
    """One item for each run, with its place in the queue and when it will probably start and end."""
    from bot.answers import runs_answer
    from shared.log import runs, tables
    from shared.log.forecast import forecasts

    with desk.log.read() as connection:
        if request.run is not None:
            found = [runs.find(connection, desk.principal, request.run)]
        else:
            going = [state.value for state in runs.RunState if not state.ended]
            found = runs.listed(connection, desk.principal, conditions=[tables.runs.c.state.in_(going)], limit=50)
        expected = forecasts(connection, found)
    title = f"Run {request.run}" if request.run is not None else "Runs that wait or run now"
    return runs_answer(
        "status",
        found,
        title=title,
        expected=expected,
        empty="Nothing waits and nothing runs. `log` lists what ended.",
    )


VERB = Verb(
    name="status",
    summary="Show what waits and what runs, and when it will start and end; or where one run stands.",
    plain="[RUN]",
    examples=("status", "status 42"),
    build=build,
    answer=answer,
)

"""`cancel RUN`: stop a run that waits or runs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.grammar import Verb, Words
from bot.verbs.runs_in_words import run_in

if TYPE_CHECKING:
    from bot.desk import Answer, Desk


@dataclass(frozen=True)
class Cancel:
    """Which run to stop."""

    run: int


def build(words: Words) -> Cancel:
    """The request."""
    return Cancel(run=run_in(words.plain[0]))


def answer(desk: "Desk", request: Cancel) -> "Answer":
    """The run as it stands after the request; a waiting run has ended, a running one stops within seconds."""
    from bot.answers import run_answer
    from shared.access import authorize
    from shared.errors import refused
    from shared.log import runs

    with desk.log.write() as connection:
        found = runs.find(connection, desk.principal, request.run)
        authorize(desk.principal, "cancel", owner=found.requested_by)
        if found.state.ended:
            raise refused(
                "run_ended",
                f"A run can be cancelled while it waits or runs; run {found.id} has {found.state.value}.",
                f"`show {found.id}` shows it.",
            )
        runs.cancel(connection, found.id, by=desk.principal.user_id)
        return run_answer(desk, connection, runs.get(connection, found.id))


VERB = Verb(
    name="cancel",
    summary="Stop a run that waits or runs.",
    plain="RUN",
    examples=("cancel 42",),
    build=build,
    answer=answer,
)

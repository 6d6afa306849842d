"""`priority RUN CLASS`: put a run that waits into another class."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot import values
from bot.grammar import Verb, Words
from bot.verbs.runs_in_words import run_in
from shared.errors import refused

if TYPE_CHECKING:
    from bot.desk import Answer, Desk

CLASSES = ("urgent", "high", "normal", "low")


@dataclass(frozen=True)
class ChangePriority:
    """Which run, and its new class."""

    run: int
    priority: str


def build(words: Words) -> ChangePriority:
    """The request."""
    run, word = words.plain
    try:
        priority = values.one_of(CLASSES)(word)
    except ValueError as error:
        raise refused("bad_value", f"`{word}`: {error}", VERB.how_to) from None
    return ChangePriority(run=run_in(run), priority=priority)


def answer(desk: "Desk", request: ChangePriority) -> "Answer":
    """The run as it stands now, with its new place."""
    from bot.answers import run_answer
    from shared.access import authorize
    from shared.log import runs
    from shared.work import PRIORITIES

    with desk.log.write() as connection:
        found = runs.find(connection, desk.principal, request.run)
        authorize(desk.principal, "priority", owner=found.requested_by)
        if request.priority == "urgent":  # it overtakes everyone
            authorize(desk.principal, "priority urgent", owner=found.requested_by)
        changed = runs.change_priority(connection, found.id, PRIORITIES[request.priority], by=desk.principal.user_id)
        if not changed:
            raise refused(
                "run_not_waiting",
                f"The class of a run can be changed while it waits; run {found.id} is {found.state.value}.",
                f"`show {found.id}` shows it.",
            )
        return run_answer(desk, connection, runs.get(connection, found.id))


VERB = Verb(
    name="priority",
    summary="Put a run that waits into another class: urgent, high, normal or low.",
    plain="RUN CLASS",
    examples=("priority 42 urgent", "priority 42 low"),
    build=build,
    answer=answer,
)

"""`note RUN TEXT...`: write something beside a run, which itself stays as it is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.grammar import Verb, Words
from bot.verbs.runs_in_words import run_in
from shared.errors import refused

if TYPE_CHECKING:
    from bot.desk import Answer, Desk

MOST_LETTERS = 2_000


@dataclass(frozen=True)
class WriteNote:
    """Which run, and what to write."""

    run: int
    text: str


def build(words: Words) -> WriteNote:
    """The request; blanks of any kind become one."""
    run, *rest = words.plain
    text = " ".join(" ".join(rest).split())
    if not 1 <= len(text) <= MOST_LETTERS or not text.isprintable():
        raise refused(
            "bad_value",
            f"A note has 1 to {MOST_LETTERS:,} letters, digits and signs; met {len(text):,}.",
            "Leave out what cannot be shown, or write two notes.",
        )
    return WriteNote(run=run_in(run), text=text)


def answer(desk: "Desk", request: WriteNote) -> "Answer":
    """The notes of the run."""
    from bot.beside import beside_answer
    from shared.access import authorize
    from shared.log import beside, runs

    with desk.log.write() as connection:
        found = runs.find(connection, desk.principal, request.run)
        authorize(desk.principal, "note", owner=found.requested_by)
        beside.add_note(connection, found.id, request.text, by=desk.principal.user_id)
        return beside_answer(desk, connection, found, "note")


VERB = Verb(
    name="note",
    summary="Write a note beside a run; `show RUN` and `log` find it again.",
    plain="RUN TEXT...",
    examples=("note 42 the one that went to the customer", "note champion:churn trained without March"),
    build=build,
    answer=answer,
    own_words=True,
)

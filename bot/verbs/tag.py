"""`tag RUN TAG...`: tag a run, or take a tag from it with a minus in front."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.grammar import Verb, Words
from bot.search_words import tag
from bot.verbs.runs_in_words import run_in
from shared.errors import LmlError, Problem, RefusedWords

if TYPE_CHECKING:
    from bot.desk import Answer, Desk

MOST_TAGS = 20
"""In one command, as in one message of a service."""


@dataclass(frozen=True)
class ChangeTags:
    """Which run, the tags that it gets, and those that it loses."""

    run: int
    added: tuple[str, ...]
    removed: tuple[str, ...]


def build(words: Words) -> ChangeTags:
    """The request; raises `RefusedWords` with everything that is wrong."""
    run, *rest = words.plain
    problems: list[Problem] = []
    tags: dict[str, bool] = {}
    for word in rest:
        plain = word.lstrip("-–—−")
        try:
            tags[tag(plain)] = plain == word
        except ValueError as error:
            problems.append(Problem("bad_value", f"`{word[:100]}`: {error}"))
    if len(rest) > MOST_TAGS:
        problems.append(Problem("bad_value", f"A command has at most {MOST_TAGS} tags; met {len(rest)}.", "Split it."))
    try:
        number = run_in(run)
    except LmlError as error:
        raise RefusedWords(*error.problems, *problems) from None
    if problems:
        raise RefusedWords(*problems)
    added = tuple(name for name, adds in tags.items() if adds)
    return ChangeTags(run=number, added=added, removed=tuple(name for name in tags if name not in added))


def answer(desk: "Desk", request: ChangeTags) -> "Answer":
    """The tags of the run."""
    from bot.beside import beside_answer
    from shared.access import authorize
    from shared.log import beside, runs

    with desk.log.write() as connection:
        found = runs.find(connection, desk.principal, request.run)
        authorize(desk.principal, "tag", owner=found.requested_by)
        beside.add_tags(connection, found.id, request.added, by=desk.principal.user_id)
        beside.remove_tags(connection, found.id, request.removed)
        return beside_answer(desk, connection, found, "tag")


VERB = Verb(
    name="tag",
    summary="Tag a run, so that `log tag:TAG` finds it; -TAG takes one away.",
    plain="RUN TAG...",
    examples=("tag 42 baseline", "tag 42 baseline -draft"),
    build=build,
    answer=answer,
    own_words=True,
)

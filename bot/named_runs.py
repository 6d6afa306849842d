"""`champion:churn` where a run is asked: the number of the run that has the alias, looked up before all else."""

from dataclasses import replace

from sqlalchemy import Connection

from bot.desk import Desk
from bot.grammar import Command, Named, alias_in, built, nearest_of
from shared.errors import Problem, RefusedWords
from shared.log import beside


def resolved(desk: Desk, command: Command) -> Command:
    """The command with numbers for its aliases; raises `RefusedWords` with every alias that stands for no run."""
    asked = command.request
    if not isinstance(asked, Named):
        return command
    plain, problems = list(asked.words.plain), []
    with desk.log.read() as connection:
        for place in asked.places:
            alias, dataset = alias_in(plain[place]) or ("", "")
            number = beside.promoted(connection, desk.principal, alias, dataset)
            if number is None:
                problems.append(_unknown(connection, desk, plain[place]))
            else:
                plain[place] = str(number)
    if problems:
        raise RefusedWords(*problems)
    return replace(command, request=built(command.verb, replace(asked.words, plain=tuple(plain))))


def _unknown(connection: Connection, desk: Desk, word: str) -> Problem:
    known = beside.known_aliases(connection, desk.principal)
    nearest = nearest_of(word, known)
    if nearest:
        hint = f"Did you mean `{nearest}`?"
    elif known:
        hint = f"There are: {', '.join(known[:10])}."
    else:
        hint = "Give it to a run with `promote RUN`."
    return Problem("unknown_alias", f"No run has the alias `{word}`.", hint)

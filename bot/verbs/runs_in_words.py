"""Runs among the words of a verb."""

from collections.abc import Sequence

from bot.values import run_number
from shared.errors import Problem, RefusedWords


def run_in(word: str) -> int:
    """The run that a word names."""
    return runs_in([word])[0]


def runs_in(words: Sequence[str]) -> tuple[int, ...]:
    """The runs that words name; raises `RefusedWords` with every word that names none."""
    numbers: list[int] = []
    problems: list[Problem] = []
    for word in words:
        try:
            numbers.append(run_number(word))
        except ValueError as error:
            problems.append(Problem("bad_run", str(error), "`log` lists the runs."))
    if problems:
        raise RefusedWords(*problems)
    return tuple(numbers)

"""Runs in a place, asked for without a shell's start for each of many."""

from typing import Any

from bot import submit
from bot.answers import run_answer
from bot.delivery.doorbell import Doorbell
from bot.grammar import parse
from bot.terminal.commands import open_desk
from shared.log import runs
from shared.log.runs import Run
from support.deadline import until
from support.place import Place


def begun(place: Place, *words: str) -> int:
    """A run, written, prepared and rung for once; its number."""
    desk = open_desk(place.settings)
    number, _ = submit.write(desk, parse(words))
    assert submit.prepare(desk, number)
    Doorbell(place.settings).ring(run_of(place, number))
    return number


def run_of(place: Place, number: int) -> Run:
    """A run as it stands."""
    with open_desk(place.settings).log.read() as connection:
        return runs.get(connection, number)


def ended(place: Place, number: int, *, within_s: float = 60) -> Run:
    """A run, once it has ended."""
    until(lambda: run_of(place, number).state.ended, what=f"run {number} has ended", within_s=within_s)
    return run_of(place, number)


def answer_of(place: Place, number: int, *, within_s: float = 60) -> dict[str, Any]:
    """A run once it has ended, as `--json` shows it."""
    ended(place, number, within_s=within_s)
    desk = open_desk(place.settings)
    with desk.log.read() as connection:
        answer: dict[str, Any] = run_answer(desk, connection, runs.get(connection, number)).envelope
    return answer

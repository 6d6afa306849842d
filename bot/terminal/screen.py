"""What a command shows: cards for people, or exactly one line of JSON on stdout with the progress on stderr."""

import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live

from bot.cards import Card, StepState, problem_card, run_card
from bot.desk import Answer
from bot.terminal.follow import View
from bot.terminal.render import TerminalCard, plain
from shared.errors import LmlError, Problem, one_problem


class Screen:
    """The terminal of one command."""

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self._answered = False
        self.console = Console(stderr=json, highlight=False, markup=False, emoji=False, soft_wrap=False)

    def say(self, text: str) -> None:
        """A line for a person, never on the stdout of `--json`."""
        Console(stderr=True, highlight=False, markup=False, emoji=False).print(text, soft_wrap=True)

    def answer(self, answer: Answer, *, files: Sequence[str] = ()) -> None:
        """The one answer of a command."""
        if self.json:
            self._line(answer.envelope)
        else:
            self.console.print(TerminalCard(answer.card))
            for file in files:  # whole lines outside of the frame, so that a path can be copied
                self.console.print(f"  {file}", soft_wrap=True)

    def problems(self, kind: str, error: LmlError, *, run: int | None = None) -> None:
        """Every problem of a command that has no run, or whose run cannot be followed any more."""
        body = problem_envelope(kind, error, run=run)
        if self.json:
            self._line(body)
        else:
            title = "Refused" if body["state"] == "refused" else "Not possible now"
            self.console.print(TerminalCard(problem_card(error.problems, title=title)))

    def bug(self, kind: str, error: Exception) -> None:
        """A bug of ours, with its trace on stderr."""
        traceback.print_exception(error)
        what = f"LML met an error of its own: {type(error).__name__}: {error}"
        self.problems(kind, LmlError(Problem("internal_error", what, "Please report it with the trace above.")))

    @contextmanager
    def progress(self) -> Iterator["Progress"]:
        """A place for the card while its run goes on."""
        if self.console.is_terminal and not self.json:
            with Live(console=self.console, transient=True, auto_refresh=False) as live:
                yield Progress(self.console, live)
        else:
            yield Progress(self.console, None)

    def _line(self, envelope: dict[str, Any]) -> None:
        """The one line; a Ctrl-C that comes while the stack stops finds it written."""
        if self._answered:
            return
        self._answered = True
        sys.stdout.write(json.dumps(envelope, allow_nan=False) + "\n")
        sys.stdout.flush()


class Progress:
    """A living card on a terminal; elsewhere a line for each thing that changed."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self.console = console
        self.live = live
        self.said: set[str] = set()

    def show(self, view: View) -> None:
        """The run as it stands."""
        card = run_card(view.run, view.events, expected=view.expected)
        if self.live is not None:
            self.live.update(TerminalCard(card), refresh=True)
            return
        for line in _lines(card):
            if line not in self.said:
                self.said.add(line)
                self.console.print(plain(line), soft_wrap=True)


def _lines(card: Card) -> Iterator[str]:
    for step in card.steps:
        if step.state is not StepState.PENDING and (step.detail or step.state is not StepState.IN_PROGRESS):
            yield f"{card.title.split(' · ')[0]}: {step.title}" + (f": {step.detail}" if step.detail else "")


def problem_envelope(kind: str, error: LmlError, *, run: int | None = None) -> dict[str, Any]:
    """The envelope of a command that has no run, or whose run cannot be followed any more."""
    from shared.errors import RefusedWords

    problem: Problem = one_problem(error.problems)
    return {
        "run": run,
        "kind": kind,
        "state": "refused" if isinstance(error, RefusedWords) else "failed",
        "artifacts": [],
        "error": {"code": problem.code, "message": problem.message, "hint": problem.hint},
    }

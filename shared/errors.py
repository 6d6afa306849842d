"""The only errors that people read.

A message states the rule, the value that was met, and what to do; `hint` holds the last of the three. Codes are stable:
scripts compare them, and `docs/errors.md` lists every one.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: a stable code, a sentence with the rule and the value met, and what to do about it."""

    code: str
    message: str
    hint: str = ""

    def sentence(self) -> str:
        """The message and the hint as one text for a person."""
        return f"{self.message} {self.hint}".strip()


class LmlError(Exception):
    """Something a person has to be told, with every problem that was found, never only the first."""

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("an error needs at least one problem")
        super().__init__("\n".join(problem.sentence() for problem in problems))
        self.problems = problems

    @property
    def code(self) -> str:
        """The code of the first problem, which is the one that scripts branch on."""
        return self.problems[0].code


class RefusedWords(LmlError):
    """The words of a command cannot be understood or are not allowed; no run was written."""


class NotAllowed(RefusedWords):
    """Whoever asks may not do this; nothing was done. `audited` says whether the audit has it already."""

    audited = False


class RunFailed(LmlError):
    """A run cannot go on; it ends as failed with the first problem's code."""


class ServiceUnavailable(LmlError):
    """Redis, the database or another service that LML needs does not answer."""


class RunStopped(Exception):
    """The run was asked to stop and has stopped; it ends as cancelled."""


def refused(code: str, message: str, hint: str = "") -> RefusedWords:
    """A refusal with a single problem."""
    return RefusedWords(Problem(code=code, message=message, hint=hint))


def failed(code: str, message: str, hint: str = "") -> RunFailed:
    """A failure with a single problem."""
    return RunFailed(Problem(code=code, message=message, hint=hint))


def unavailable(code: str, message: str, hint: str = "") -> ServiceUnavailable:
    """An unreachable service as a single problem."""
    return ServiceUnavailable(Problem(code=code, message=message, hint=hint))


def one_problem(problems: Sequence[Problem]) -> Problem:
    """All problems as one: the first one's code, every message on a line of its own, every hint once."""
    hints = dict.fromkeys(problem.hint for problem in problems if problem.hint)
    messages = "\n".join(problem.message for problem in problems)
    return Problem(code=problems[0].code, message=messages, hint=" ".join(hints))

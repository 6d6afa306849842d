"""What other programs ask, in JSON: a spec, and how its run is to be treated. The same at every door.

A door reads `AskedRun` (one run) or `AskedRuns` (one or several), makes `submissions` of it, and writes all or none.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from sqlalchemy import Connection

from shared import submission
from shared.access import Principal
from shared.combinations import problems_of
from shared.errors import LmlError, Problem, RefusedWords, ServiceUnavailable, refused
from shared.settings import Settings
from shared.spec_words import words_of
from shared.specs import AnySpec, TrainSpec, dataset_of
from shared.submission import BY_HASH, Submission
from shared.work import PRIORITIES, Priority

MOST_RUNS = 100
"""In one message; they are written in one transaction, which others wait for."""
MOST_PROBLEMS = 20
_BY_HASH = re.compile(f"{BY_HASH}([0-9a-f]{{64}})")

_Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]


class Treatment(BaseModel):
    """How runs are to be treated, whatever they do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    priority: Literal["urgent", "high", "normal", "low"] | None = None
    deadline: AwareDatetime | None = None
    """When a run that still waits is ended: RFC 3339, with its time zone."""
    tags: tuple[_Name, ...] = Field(default=(), max_length=20)
    batch: _Name | None = None
    """A name that several runs share."""
    channel: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9]{1,63}$")
    """The id of the Slack channel that is told."""
    webhook: str | None = Field(default=None, pattern=r"^https?://[^\s\x00-\x1f]+$", max_length=2000)
    """The address that is told of the end."""
    key: str | None = Field(default=None, pattern=r"^[\x21-\x7e]{1,128}$")
    """What is asked again with the same key is the same run."""


class AskedRun(Treatment):
    """One run."""

    spec: AnySpec

    @property
    def specs(self) -> tuple[AnySpec, ...]:
        """The one spec."""
        return (self.spec,)


class AskedRuns(Treatment):
    """One run by its `spec`, or several by `runs`, all written or none."""

    spec: AnySpec | None = None
    runs: tuple[AnySpec, ...] | None = Field(default=None, max_length=MOST_RUNS)

    @model_validator(mode="after")
    def _one_of_both(self) -> "AskedRuns":
        if (self.spec is None) == (self.runs is None):
            raise ValueError("exactly one of `spec` and `runs` is given")
        if self.runs is not None and not self.runs:
            raise ValueError("`runs` has at least one spec")
        return self

    @property
    def specs(self) -> tuple[AnySpec, ...]:
        """What is asked for, in its order."""
        return self.runs if self.runs is not None else tuple(spec for spec in (self.spec,) if spec is not None)


_Asked = TypeVar("_Asked", AskedRun, AskedRuns)


def read_asked(asked: type[_Asked], text: str) -> _Asked:
    """What a JSON text asks; raises `RefusedWords` with everything that is wrong."""
    if "\\u0000" in text:
        raise refused("bad_value", "A text holds no NUL character; this one does.", "Leave it out.")
    try:
        read = asked.model_validate_json(text)
    except ValidationError as error:
        raise RefusedWords(*problems_in(error)) from error
    many = isinstance(read, AskedRuns) and read.runs is not None
    problems = [
        at_place(problem, f"runs.{index}" if many else "spec")
        for index, spec in enumerate(read.specs)
        for problem in _problems_of_spec(spec)
    ]
    if problems:
        raise RefusedWords(*bounded(problems))
    return read


def submissions(
    asked: AskedRun | AskedRuns, principal: Principal, *, default: Priority, key: str | None, webhook: str | None = None
) -> list[Submission]:
    """What goes to `shared.submission`, in the order in which it was asked.

    `key` is the idempotency key where none was asked for, and `webhook` the address that is told then.
    """
    made = asked.key or key
    return [
        Submission(
            spec=spec,
            principal=principal,
            words=words_of(spec),
            key=None if made is None else run_key(principal.user_id, made, index),
            priority=default if asked.priority is None else PRIORITIES[asked.priority],
            deadline_at=asked.deadline,
            batch=asked.batch,
            tags=asked.tags,
            dataset_source=dataset_source_of(spec),
            card_channel=asked.channel,
            webhook_url=asked.webhook or webhook,
        )
        for index, spec in enumerate(asked.specs)
    ]


def write_all(
    connection: Connection, settings: Settings, asked: Sequence[Submission], places: Sequence[str]
) -> list[int]:
    """Write every run, or those of the same request that its key had written before; returns their numbers.

    Raises `RefusedWords` with the problems of all, each with its place; the caller's block then keeps nothing.
    """
    written: list[tuple[int, bool]] = []
    problems: list[Problem] = []
    for one, place in zip(asked, places, strict=True):
        try:
            written.append(submission.write(connection, settings, one))
        except ServiceUnavailable:
            raise
        except LmlError as error:
            problems += [at_place(problem, place) for problem in error.problems]
    if problems:
        raise RefusedWords(*bounded(problems))
    known = [number for number, created in written if not created]
    if 0 < len(known) < len(written):
        raise refused(
            "key_reused",
            f"An idempotency key stands for one request; this one was used for another batch, of run {known[0]}.",
            "Use a new key for a new request.",
        )
    return [number for number, _ in written]


def run_key(requester: str, key: str, index: int = 0) -> str:
    """A requester's own idempotency key as the log keeps it, at most 128 characters; one for each run of a batch."""
    return f"{requester}:{sha256(key.encode()).hexdigest()[:32]}:{index}"


def dataset_source_of(spec: AnySpec) -> dict[str, Any] | None:
    """Where the bytes of `sha256:...` are: in the store already."""
    named = _BY_HASH.fullmatch(dataset_of(spec) or "")
    return None if named is None else {"sha256": named[1]}


def problems_in(error: ValidationError, *, place: str = "") -> list[Problem]:
    """What pydantic refuses, as people and programs read it; at most 20 of them."""
    return bounded([_problem_in(wrong, place) for wrong in error.errors(include_url=False, include_context=False)])


def at_place(problem: Problem, place: str) -> Problem:
    """A problem that says where in a message it was met."""
    if not place:
        return problem
    return Problem(problem.code, f"`{place}`: {problem.message}", problem.hint)


def bounded(problems: Sequence[Problem]) -> list[Problem]:
    """The first 20 problems, and how many more there are."""
    if len(problems) <= MOST_PROBLEMS:
        return list(problems)
    more = Problem("bad_value", f"{len(problems) - MOST_PROBLEMS} more are wrong.", "Correct these first.")
    return [*problems[:MOST_PROBLEMS], more]


def _problems_of_spec(spec: AnySpec) -> list[Problem]:
    return list(problems_of(spec, spec.task)) if isinstance(spec, TrainSpec) else []


def _problem_in(wrong: Any, place: str) -> Problem:
    path = ".".join(part for part in (place, *map(str, wrong["loc"])) if part)
    met = wrong["input"]
    if wrong["type"] == "extra_forbidden":
        return Problem("unknown_key", f"`{path}`: there is no such key.", "Leave it out, or correct its name.")
    if wrong["type"] == "json_invalid":
        return Problem("bad_value", f"{wrong['msg']}.", "Send JSON, in UTF-8.")
    value = f"; met {_short(met)}" if isinstance(met, str | int | float | bool | None) else ""
    hint = "docs/services.md and docs/intake.md show what can be asked."
    return at_place(Problem("bad_value", f"{wrong['msg']}{value}.", hint), path)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

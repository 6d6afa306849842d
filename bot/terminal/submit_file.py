"""`lml submit jobs.ndjson`: every line is read and checked before a run is written; the runs wait, the command returns.

A line is a spec (`{"kind": "train", ...}`) or what any other program asks (`shared.asked.AskedRun`).
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr

from bot.answers import runs_answer
from bot.delivery.doorbell import Doorbell
from bot.desk import Desk
from bot.grammar import Command
from bot.terminal.commands import open_desk
from bot.terminal.main import ExitCode
from bot.terminal.screen import Screen
from bot.terminal.stack import Stack
from shared import submission
from shared.asked import AskedRun, at_place, bounded, read_asked, submissions, write_all
from shared.datasets.address import is_address
from shared.errors import Problem, RefusedWords, RunFailed, ServiceUnavailable, refused
from shared.ingest import located
from shared.log import datasets, runs
from shared.log.runs import Run, RunState
from shared.permit import permit
from shared.settings import Settings
from shared.specs import dataset_of
from shared.submission import BY_HASH, Submission
from shared.work import Priority

MOST_LINES = 1000
"""They are written in one transaction, for which others wait: about half a second for so many."""
MOST_BYTES = 8 * 1024 * 1024
_AT_ONCE = 50
_MOST_RINGS = 50


@dataclass(frozen=True)
class _Line:
    """One line of the file that was understood."""

    number: int
    asked: AskedRun

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"line {self.number}"


def submit_file(command: Command, settings: Settings, screen: Screen) -> int:
    """Write the runs of a file, bring their datasets and ring for workers; returns the exit code."""
    stack = Stack(settings.stack_folder)
    if settings.redis_url is None and not stack.stays():
        raise refused(
            "no_stack",
            "`lml submit` needs a stack that stays when the command returns; none is running.",
            "Run `lml up` first.",
        )
    desk = open_desk(settings)
    permit(desk.log, desk.principal, command.verb.name, words=command.words)
    lines = _read(Path(command.request.file))
    wanted = [
        one for line in lines for one in submissions(line.asked, desk.principal, default=Priority.NORMAL, key=None)
    ]
    numbers = _write(desk, lines, wanted)
    found = _prepare(desk, numbers)
    with _redis(settings, stack) as redis_url:
        _ring(replace(desk, settings=settings.model_copy(update={"redis_url": SecretStr(redis_url)})), found, screen)
    return _answer(lines, found, screen)


def _read(file: Path) -> list[_Line]:
    """The lines that hold something; raises `RefusedWords` with the problems of all of them."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise refused(
            "jobs_unreadable", f"The file `{file}` cannot be read: {error.strerror}.", "Check its name and its folder."
        ) from error
    except UnicodeDecodeError as error:
        raise refused("jobs_unreadable", f"The file `{file}` is not UTF-8: {error}.", "Save it as UTF-8.") from error
    numbered = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not 1 <= len(numbered) <= MOST_LINES or len(raw) > MOST_BYTES:
        raise refused(
            "jobs_too_many",
            f"A file of runs has 1 to {MOST_LINES:,} lines and at most {MOST_BYTES:,} bytes; "
            f"met {len(numbered):,} lines and {file.stat().st_size:,} bytes.",
            "Split it.",
        )
    lines: list[_Line] = []
    problems: list[Problem] = []
    for number, line in numbered:
        try:
            lines.append(_Line(number, read_asked(AskedRun, _whole(line))))
        except RefusedWords as error:
            problems += [at_place(problem, f"line {number}") for problem in error.problems]
    if problems:
        raise RefusedWords(*bounded(problems))
    return lines


def _whole(line: str) -> str:
    """A line with a bare spec as one that asks for it."""
    try:
        met = json.loads(line)
    except (ValueError, RecursionError):
        return line
    return f'{{"spec": {line}}}' if isinstance(met, dict) and "spec" not in met else line


def _write(desk: Desk, lines: Sequence[_Line], wanted: Sequence[Submission]) -> list[int]:
    """The numbers of the runs; raises `RefusedWords` with the problems of all lines, and nothing is written."""
    problems = _dataset_problems(desk, lines)
    with desk.log.write() as connection:
        try:
            numbers = write_all(connection, desk.settings, wanted, [line.place for line in lines])
        except RefusedWords as error:
            problems += error.problems
        if problems:
            raise RefusedWords(*bounded(problems))
        return numbers


def _dataset_problems(desk: Desk, lines: Sequence[_Line]) -> list[Problem]:
    """The files that lines name and that are not there."""
    wrong: dict[str, Sequence[Problem]] = {}
    with desk.log.read() as connection:
        for dataset in dict.fromkeys(map(_file_of, lines)):
            try:
                if dataset is not None:
                    located(connection, desk.settings, desk.principal, dataset)
            except RunFailed as error:
                wrong[str(dataset)] = error.problems
    return [at_place(problem, line.place) for line in lines for problem in wrong.get(str(_file_of(line)), ())]


def _file_of(line: _Line) -> str | None:
    """What a line names that is a file; an address or a hash is judged when its run is written."""
    dataset = dataset_of(line.asked.spec)
    return None if dataset is None or dataset.startswith(BY_HASH) or is_address(dataset) else dataset


def _prepare(desk: Desk, numbers: Sequence[int]) -> list[Run]:
    """The runs once they wait, or have failed; a dataset of many of them is read once."""
    with desk.log.read() as connection:
        specs = {number: runs.get(connection, number).spec for number in numbers}
    groups: defaultdict[str | None, list[int]] = defaultdict(list)
    for number, spec in specs.items():
        groups[dataset_of(spec)].append(number)
    for dataset, (first, *others) in groups.items():
        submission.prepare(desk.log, desk.store, desk.settings, first)
        with desk.log.read() as connection:
            like = runs.get(connection, first)
        if like.problem is None and (dataset is None or like.dataset_sha256 is not None):
            _queue_like(desk, like, others)
        else:
            for number in others:
                submission.prepare(desk.log, desk.store, desk.settings, number)
    with desk.log.read() as connection:
        return [runs.get(connection, number) for number in numbers]


def _queue_like(desk: Desk, like: Run, numbers: Sequence[int]) -> None:
    for start in range(0, len(numbers), _AT_ONCE):
        with desk.log.write() as connection:
            for number in numbers[start : start + _AT_ONCE]:
                if like.dataset_source:
                    datasets.note_source(connection, number, like.dataset_source)
                runs.queue(
                    connection,
                    number,
                    dataset_sha256=like.dataset_sha256,
                    dataset_size_bytes=like.dataset_size_bytes,
                )


@contextmanager
def _redis(settings: Settings, stack: Stack) -> Iterator[str]:
    if settings.redis_url is not None:
        yield settings.redis_url.get_secret_value()
        return
    with stack.use() as redis_url:
        yield redis_url


def _ring(desk: Desk, found: Sequence[Run], screen: Screen) -> None:
    """Ring for the first of the runs that wait; the workers' sweep rings for the rest within seconds."""
    doorbell = Doorbell(desk.settings)
    try:
        for run in [run for run in found if run.state in (RunState.QUEUED, RunState.GATHERING)][:_MOST_RINGS]:
            doorbell.ring(run)
    except ServiceUnavailable as error:
        screen.say(f"The runs wait, but no worker was rung for: {error}")


def _answer(lines: Sequence[_Line], found: Sequence[Run], screen: Screen) -> int:
    """Every run by its line; the exit code."""
    span = f"run {found[0].id}" if len(found) == 1 else f"{len(found)} runs, {found[0].id} to {found[-1].id}"
    answer = runs_answer("submit", found, title=f"Submitted {span}", expected={}, empty="")
    for line, item in zip(lines, answer.envelope["items"], strict=True):
        item["line"] = line.number
    screen.answer(answer)
    failed = any(run.problem is not None for run in found)
    return ExitCode.FAILED if failed else ExitCode.SUCCEEDED

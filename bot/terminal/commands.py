"""Commands from a shell: verbs that answer at once, and runs that are followed to their end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from pydantic import SecretStr

from bot import submit
from bot.answers import envelope, run_answer
from bot.cards import Card
from bot.delivery.doorbell import Doorbell
from bot.desk import Answer, Desk
from bot.grammar import Command
from bot.named_runs import resolved
from bot.terminal.follow import follow
from bot.terminal.main import ExitCode
from bot.terminal.screen import Screen
from bot.terminal.sitter import sitter
from bot.terminal.stack import Stack
from bot.terminal.writing import hand_over, require_free_place
from shared.blobs import BlobStore
from shared.errors import LmlError, Problem, ServiceUnavailable, refused, unavailable
from shared.log import runs
from shared.log.engine import open_log
from shared.log.runs import RunState
from shared.permit import audited, permit
from shared.settings import Settings

EXIT_CODES = {
    RunState.SUCCEEDED: ExitCode.SUCCEEDED,
    RunState.FAILED: ExitCode.FAILED,
    RunState.CANCELLED: ExitCode.CANCELLED,
}


def answer_at_once(command: Command, settings: Settings, screen: Screen) -> int:
    """A verb that only needs the log."""
    desk = open_desk(settings)
    with _permitted(desk, command):
        command = resolved(desk, command)
        assert command.verb.answer is not None  # noqa: S101 - the caller has looked
        answer = command.verb.answer(desk, command.request)
    screen.answer(answer, files=_paths(answer))
    return ExitCode.SUCCEEDED


def run_to_end(command: Command, settings: Settings, screen: Screen, *, detach: bool) -> int:
    """Write a run, bring its dataset, ring, and show it until it ends; with `detach`, until it waits."""
    stack = Stack(settings.stack_folder)
    if detach and settings.redis_url is None and not stack.stays():
        raise refused(
            "no_stack",
            "`--detach` needs a stack that stays when the command returns; none is running.",
            "Run `lml up` first.",
        )
    require_free_place(command.request)
    desk = open_desk(settings)
    with _permitted(desk, command):
        number, _ = submit.write(desk, resolved(desk, command))
    try:
        if submit.prepare(desk, number):
            with _redis(settings, stack) as (redis_url, trouble):
                return _rung_for(_with_redis(desk, redis_url), number, screen, trouble, detach=detach)
    except KeyboardInterrupt:
        with desk.log.write() as connection:
            runs.cancel(connection, number, by=desk.principal.user_id)
    except LmlError as error:
        return _broken_off(desk, number, screen, error, kind=command.verb.name)
    return _show(desk, number, screen)


def _broken_off(desk: Desk, number: int, screen: Screen, error: LmlError, *, kind: str) -> int:
    """A run that this command cannot see through: it ends as failed when it still waits; the answer says why."""
    with suppress(LmlError):  # what broke may be the log itself
        submit.fail(desk, number, error)
        with desk.log.read() as connection:
            ended = runs.get(connection, number).state.ended
        if ended:
            return _show(desk, number, screen)
    screen.problems(kind, error, run=number)
    return ExitCode.FAILED


def _rung_for(desk: Desk, number: int, screen: Screen, trouble: Callable[[], Problem | None], *, detach: bool) -> int:
    """Ring for a run that waits, and see it through."""
    redis_url = desk.settings.require_redis_url()
    try:
        _ring(desk, number)
        if detach:
            return _detached(desk, number, screen)
        return _followed(desk, number, redis_url, screen, trouble)
    except KeyboardInterrupt:
        return _interrupted(desk, number, redis_url, screen)


def open_desk(settings: Settings) -> Desk:
    """The desk of whoever sits at this shell."""
    try:
        settings.home_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise unavailable(
            "home_unusable",
            f"LML keeps its data in the folder {settings.home_folder}, which cannot be made: {error.strerror}.",
            "Name another folder in LML_HOME.",
        ) from error
    return Desk(settings, open_log(settings.log_url), BlobStore(settings.store_folder), sitter(settings))


@contextmanager
def _permitted(desk: Desk, command: Command) -> Iterator[None]:
    """A block that may do what a command asks; the audit has it then, and has it where it may not."""
    verb, words, run = command.verb.name, command.words, getattr(command.request, "run", None)
    run = run if isinstance(run, int) else None
    permit(desk.log, desk.principal, verb, words=words, run=run)
    with audited(desk.log, desk.principal, verb, words=words, run=run):
        yield


@contextmanager
def _redis(settings: Settings, stack: Stack) -> Iterator[tuple[str, Callable[[], Problem | None]]]:
    """The address of Redis for this command, and how to learn that no worker will come."""
    if settings.redis_url is not None:
        yield settings.redis_url.get_secret_value(), lambda: None
        return

    def trouble() -> Problem | None:
        state = stack.state()
        if state is None:
            return Problem("stack_unavailable", "The stack has stopped.", f"Its words are in {stack.keeper_log()}.")
        return state.problem

    with stack.use() as redis_url:
        yield redis_url, trouble


def _ring(desk: Desk, number: int) -> None:
    """Ring; in a shell, where someone waits, a Redis that is away ends the run at once."""
    with desk.log.read() as connection:
        run = runs.get(connection, number)
    try:
        Doorbell(desk.settings).ring(run)
    except ServiceUnavailable as error:
        submit.fail(desk, number, error)


def _followed(desk: Desk, number: int, redis_url: str, screen: Screen, trouble: Callable[[], Problem | None]) -> int:
    with screen.progress() as progress:
        for view in follow(desk, number, redis_url=redis_url, trouble=trouble):
            progress.show(view)
    return _show(desk, number, screen)


def _show(desk: Desk, number: int, screen: Screen) -> int:
    with desk.log.read() as connection:
        run = runs.get(connection, number)
        answer = run_answer(desk, connection, run)
    files = [*hand_over(run, answer), *_paths(answer)]
    screen.answer(answer, files=files)
    return EXIT_CODES.get(run.state, ExitCode.SUCCEEDED)


def _detached(desk: Desk, number: int, screen: Screen) -> int:
    with desk.log.read() as connection:
        run = runs.get(connection, number)
    if run.state.ended:
        return _show(desk, number, screen)
    write = getattr(run.spec, "write", None)
    note = f"`{write}` is not written here, since this command does not wait; `lml show {number}` will name the file."
    card = Card(
        title=f"Run {number}",
        state=run.state.value,
        notes=() if write is None else (note,),
        more=(f"lml status {number}", f"lml show {number}", f"lml cancel {number}"),
    )
    screen.answer(Answer(card=card, envelope=envelope(run.kind, run.state.value, run=number)))
    return ExitCode.SUCCEEDED


def _interrupted(desk: Desk, number: int, redis_url: str, screen: Screen) -> int:
    """Ctrl-C cancels the run that it interrupts."""
    screen.say(f"Cancelling run {number} ...")
    with desk.log.write() as connection:
        runs.cancel(connection, number, by=desk.principal.user_id)
    for _view in follow(desk, number, redis_url=redis_url):
        pass
    return _show(desk, number, screen)


def _paths(answer: Answer) -> list[str]:
    return [artifact["path"] for artifact in answer.envelope["artifacts"]]


def _with_redis(desk: Desk, redis_url: str) -> Desk:
    return replace(desk, settings=desk.settings.model_copy(update={"redis_url": SecretStr(redis_url)}))

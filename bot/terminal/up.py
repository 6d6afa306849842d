"""`lml up`: keeps the stack running, with the bot when Slack tokens are set, until Ctrl-C or `lml down`."""

import os
import signal
import time
from contextlib import suppress
from queue import Empty, SimpleQueue

from bot.answers import envelope
from bot.cards import Card
from bot.desk import Answer
from bot.terminal.children import PYTHON, Child, start_child
from bot.terminal.main import ExitCode
from bot.terminal.screen import Screen
from bot.terminal.stack import Lock, Stack
from shared.errors import refused, unavailable
from shared.log.engine import Log, open_log
from shared.settings import Settings

READY_WITHIN_S = 60.0
STOP_MARGIN_S = 30.0


def keep_up(settings: Settings, screen: Screen) -> int:
    """Start what is missing, say when it is ready and how to stop it, stop it."""
    stack = Stack(settings.stack_folder)
    mine = Lock(settings.stack_folder / "up.lock")
    if not mine.try_take():
        raise refused("already_up", f"A stack is up already for {settings.home_folder}.", "`lml down` stops it.")
    mine.write(str(os.getpid()))
    stops: SimpleQueue[int] = SimpleQueue()  # an Event, set by the handler that interrupts its own wait, can lock up
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda signum, _frame: stops.put(signum))
    screen.say("Starting Redis and a worker ...")
    log = open_log(settings.log_url)
    if settings.redis_url is not None:
        raise refused(
            "redis_is_yours",
            "`lml up` starts a Redis of its own, but LML_REDIS_URL names one.",
            "Unset LML_REDIS_URL, or start `python -m workers` and `python -m bot` yourself.",
        )
    with stack.use() as redis_url:
        _wait_for_worker(stack, stops)
        bot = _start_bot(settings, log, redis_url)
        if stops.empty():
            screen.say(_ready_words(settings, bot))
        while not _is_told(stops, within_s=0.5):
            _check(stack, bot)
        screen.say("Stopping ...")
        if bot is not None:
            bot.stop(grace_s=10)
    mine.close()
    if screen.json:
        screen.answer(Answer(card=Card(title="Up"), envelope=envelope("up", "succeeded")))
    screen.say("Stopped. Runs that were not finished wait for the next `lml up`.")
    return ExitCode.SUCCEEDED


def take_down(settings: Settings, screen: Screen) -> int:
    """Stop the `lml up` of this home, and wait until it has; runs checkpoint first."""
    stack = Stack(settings.stack_folder)
    pid = stack.up_pid()
    if pid is None:
        raise refused("not_up", f"No `lml up` runs for {settings.home_folder}.", "Nothing has to be stopped.")
    screen.say("Stopping ...")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + settings.grace_s + STOP_MARGIN_S
    while stack.is_held("up.lock"):
        if time.monotonic() > deadline:
            raise unavailable(
                "stack_unavailable",
                f"`lml up` (process {pid}) has not stopped within {settings.grace_s + STOP_MARGIN_S:.0f} s.",
                f"Its words are in {stack.keeper_log()}.",
            )
        time.sleep(0.05)
    card = Card(title="Stopped", notes=("Runs that were not finished wait for the next `lml up`.",))
    screen.answer(Answer(card=card, envelope=envelope("down", "succeeded")))
    return ExitCode.SUCCEEDED


def _is_told(stops: "SimpleQueue[int]", *, within_s: float) -> bool:
    with suppress(Empty):
        stops.put(stops.get(timeout=within_s))
    return not stops.empty()


def _wait_for_worker(stack: Stack, stops: "SimpleQueue[int]") -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not _is_told(stops, within_s=0.05):
        _check(stack, None)
        state = stack.state()
        if state is not None and state.worker_ready:
            return
        if time.monotonic() > deadline:
            raise unavailable(
                "worker_unavailable",
                f"The worker is not ready after {READY_WITHIN_S:.0f} s.",
                f"Its words are in {stack.folder / 'worker.log'}.",
            )


def _check(stack: Stack, bot: Child | None) -> None:
    state = stack.state()
    if state is None:
        raise unavailable("stack_unavailable", "The stack has stopped.", f"Its words are in {stack.keeper_log()}.")
    if state.problem is not None:
        raise unavailable(state.problem.code, state.problem.message, state.problem.hint)
    if bot is not None and bot.exit_code() is not None:
        words = bot.log_file.read_text(errors="replace").strip().splitlines()
        last = words[-1] if words else "nothing"
        raise unavailable(
            "bot_unavailable",
            f"The bot has ended (exit {bot.exit_code()}); its last words: {last}",
            f"All of them are in {bot.log_file}; `lml doctor` checks its tokens.",
        )


def _start_bot(settings: Settings, log: Log, redis_url: str) -> Child | None:
    from bot.http.door import opens_door

    if settings.slack_bot_token is None and not opens_door(settings, log):
        return None
    return start_child(
        [*PYTHON, "bot"],
        log_file=settings.stack_folder / "bot.log",
        environment={"LML_REDIS_URL": redis_url},
    )


def _ready_words(settings: Settings, bot: Child | None) -> str:
    slack = "No Slack: LML_SLACK_BOT_TOKEN is not set (docs/slack.md)."
    if settings.slack_bot_token is not None:
        slack = "The Slack bot runs."
    elif bot is not None:
        slack += f" Services are answered on {settings.http_host}:{settings.http_port} (docs/services.md)."
    return (
        f"Ready. Data: {settings.home_folder}. {slack}\n"
        "Try `lml train examples/wine.csv` in another terminal. Stop with Ctrl-C."
    )

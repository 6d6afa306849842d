"""The bot process, `python -m bot`: answers Slack and other services, prepares datasets, tells of what happens."""

import gc
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from threading import Event
from typing import TYPE_CHECKING

from shared.errors import LmlError, Problem, RefusedWords, unavailable
from shared.logs import log_to_stderr
from shared.settings import Settings, load_settings

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from bot.delivery.notifier import Notifier
    from bot.delivery.preparer import Fetch
    from bot.http.server import Server
    from shared.blobs import BlobStore
    from shared.log.engine import Log


SWITCH_S = 0.001
"""How long a thread keeps the interpreter while others wait; with Python's own 5 ms, 20 commands at once hold up the
acknowledgements of each other."""


def main() -> int:
    """Run until told to stop; the exit code."""
    sys.setswitchinterval(SWITCH_S)
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        settings = load_settings()
        log_to_stderr("bot", as_json=settings.log == "json")
        run(settings, stopping)
    except LmlError as error:
        print(error, file=sys.stderr, flush=True)
        return 2 if isinstance(error, RefusedWords) else 1
    return 0


def run(settings: Settings, stopping: Event) -> None:
    """Bring the parts together, answer until told to stop, and let what was begun end."""
    if settings.redis_url is None:
        raise RefusedWords(*_missing_for_slack(settings), *_missing_redis(settings))
    from bot.delivery.doorbell import Doorbell
    from bot.delivery.notifier import Notifier
    from bot.delivery.preparer import Preparer
    from bot.delivery.webhooks import WebhookSender
    from bot.http.door import opens_door
    from bot.pages.links import serves_pages
    from shared.blobs import BlobStore
    from shared.log.engine import open_log

    log, store = open_log(settings.log_url, pooled=True), BlobStore(settings.store_folder)
    door_opens = opens_door(settings, log)
    slack = answers_slack(settings, door_opens=door_opens or serves_pages(settings))
    preparer = Preparer(settings, log, store, doorbell=Doorbell(settings), fetch=_fetch(settings) if slack else None)
    webhooks = Notifier(lambda: WebhookSender(settings, log), redis_url=None, what="Webhooks", threads=4)
    with ExitStack() as parts:  # what was started last is stopped first: nothing comes in while the rest ends
        _keep_open(parts, log)
        notifiers = [webhooks, *_mirror(settings, log, store)]
        for stop in (preparer.stop, *(notifier.stop for notifier in notifiers)):
            parts.callback(stop)
        server = _open(parts, settings, log, store, preparer.wake, slack=slack, door_opens=door_opens)
        preparer.start()
        for notifier in notifiers:
            notifier.start()
        _set_aside()
        _wait(stopping, server)


def _set_aside() -> None:
    """Leave what was loaded until now out of later garbage collections, each of which stops every thread.

    A full one took 75 ms; then 20 acknowledgements were late at once (benchmarks/ack.py).
    """
    gc.collect()
    gc.freeze()


def _keep_open(parts: ExitStack, log: "Log") -> None:
    """Keep one connection to SQLite's file open: whoever closes the last one has to empty its journal, each time.

    With it a written run takes less than half as long.
    """
    if log.url.get_backend_name() == "sqlite":
        parts.callback(log.engine.raw_connection().close)


def answers_slack(settings: Settings, *, door_opens: bool) -> bool:
    """Whether this bot answers in Slack; raises `RefusedWords` when it lacks something for that.

    A bot without any of Slack's tokens is one for services alone, if its door opens.
    """
    problems = _missing_for_slack(settings)
    tokens = (settings.slack_bot_token, settings.slack_app_token, settings.slack_signing_secret)
    if problems and not (door_opens and not any(tokens)):
        raise RefusedWords(*problems)
    return not problems


def _missing_for_slack(settings: Settings) -> list[Problem]:
    """What a bot lacks to answer in Slack."""
    problems = []
    if settings.slack_bot_token is None:
        problems.append(
            Problem(
                "slack_token_missing",
                "The bot needs its token: LML_SLACK_BOT_TOKEN is not set.",
                "docs/slack.md, step 3. A bot for services alone needs LML_HTTP=yes instead (docs/services.md).",
            )
        )
    if settings.slack_app_token is None and settings.slack_signing_secret is None:
        problems.append(
            Problem(
                "slack_transport_missing",
                "The bot needs LML_SLACK_APP_TOKEN (Socket Mode) or LML_SLACK_SIGNING_SECRET (HTTP); neither is set.",
                "docs/slack.md, step 3.",
            )
        )
    return problems


def _missing_redis(settings: Settings) -> tuple[Problem, ...]:
    try:
        settings.require_redis_url()
    except RefusedWords as error:
        return error.problems
    return ()


def _fetch(settings: Settings) -> "Fetch":
    from bot.slack.channel_files import ChannelFiles

    files = ChannelFiles(settings)
    return lambda run, beat: files.fetch(run, beat=beat)


def _mirror(settings: Settings, log: "Log", store: "BlobStore") -> "list[Notifier]":
    """What tells MLflow of what ends, where one is named."""
    if settings.mlflow_tracking_uri is None:
        return []
    from bot.delivery.mlflow_mirror import MlflowMirror
    from bot.delivery.notifier import Notifier

    return [Notifier(lambda: MlflowMirror(settings, log, store), redis_url=None, what="MLflow", poll_s=5.0, threads=1)]


def _open(  # noqa: PLR0913 - what the ways in lead to
    parts: ExitStack,
    settings: Settings,
    log: "Log",
    store: "BlobStore",
    written: Callable[[], None],
    *,
    slack: bool,
    door_opens: bool,
) -> "Server | None":
    """Open every way in and say that they are open; the HTTP server, if there is one."""
    from bot.pages.links import serves_pages

    over_http = slack and settings.slack_app_token is None
    routes: list[BaseRoute] = []
    if slack:
        from bot.slack.side import slack_side, socket_mode

        side = parts.enter_context(slack_side(settings, log, store, written=written))
        if over_http:
            from bot.slack.transport import slack_route

            routes.append(slack_route(side.app, side.arrivals))
    server = None
    pages = serves_pages(settings)
    if pages:
        routes += _pages(parts, settings, log, store)
    if over_http or door_opens or pages:
        server = _server(parts, settings, log, store, written, routes, door=over_http or door_opens)
    if slack and not over_http:
        parts.enter_context(socket_mode(side, settings))
        print("The LML bot is ready, over Socket Mode.", flush=True)
    elif server is not None and over_http:
        print(f"The LML bot is ready at {server.address}/slack/events.", flush=True)
    if server is not None and pages:
        print(f"The run pages are served at {server.address}/runs.", flush=True)
    if server is not None and door_opens:
        print(f"The door for services is open at {server.address}/v1/.", flush=True)
    return server


def _pages(parts: ExitStack, settings: Settings, log: "Log", store: "BlobStore") -> "list[BaseRoute]":
    """The run pages, for those who have a link or come through the team's sign-in proxy."""
    from bot.pages.site import Pages

    pages = Pages(settings, log, store)
    parts.callback(pages.close)
    return pages.routes()


def _server(  # noqa: PLR0913 - what the ways in lead to
    parts: ExitStack,
    settings: Settings,
    log: "Log",
    store: "BlobStore",
    written: Callable[[], None],
    routes: "list[BaseRoute]",
    *,
    door: bool,
) -> "Server":
    """The HTTP server; where it serves Slack, the door stands beside that unless `LML_HTTP` says no."""
    from bot.http.app import web_app
    from bot.http.door import Door
    from bot.http.metrics import Metrics
    from bot.http.server import Server, listen

    opened = None
    if door and settings.http is not False:
        opened = Door(settings, log, store, written=written)
        parts.callback(opened.close)
    metrics = Metrics(log, redis_url=settings.require_redis_url())
    server = Server(web_app(metrics, door=opened, more=routes), listen(settings))
    parts.callback(server.stop)
    server.start()
    return server


def _wait(stopping: Event, server: "Server | None") -> None:
    while not stopping.is_set():  # `Event.wait` could lock up: the handler that sets the event may interrupt it
        time.sleep(0.1)
        if server is not None and not server.serves:
            raise unavailable("bot_unavailable", "The bot's HTTP server has ended.", "The bot's log says why.")


if __name__ == "__main__":
    raise SystemExit(main())

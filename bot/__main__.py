"""The bot process, `python -m bot`: answers `/lml`, prepares datasets, keeps cards up to date, until it is stopped."""

import logging
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from shared.errors import LmlError, Problem, RefusedWords, ServiceUnavailable, unavailable
from shared.settings import Settings, load_settings

if TYPE_CHECKING:
    from slack_bolt import App
    from slack_sdk import WebClient
    from slack_sdk.web import SlackResponse

_SECRETS = re.compile(r"xox[a-z]-[A-Za-z0-9-]+|xapp-[A-Za-z0-9-]+|(?<=://)[^/@\s:]*:[^/@\s]+(?=@)")


def main() -> int:
    """Run until told to stop; the exit code."""
    _log_to_stderr()
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        settings = load_settings()
        require_tokens(settings)
        run(settings, stopping)
    except LmlError as error:
        print(error, file=sys.stderr, flush=True)
        return 2 if isinstance(error, RefusedWords) else 1
    return 0


def require_tokens(settings: Settings) -> None:
    """Raise `RefusedWords` that names everything the bot lacks to begin."""
    problems = []
    if settings.slack_bot_token is None:
        problems.append(
            Problem(
                "slack_token_missing",
                "The bot needs its token: LML_SLACK_BOT_TOKEN is not set.",
                "docs/slack.md, step 3.",
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
    try:
        settings.require_redis_url()
    except RefusedWords as error:
        problems += error.problems
    if problems:
        raise RefusedWords(*problems)


def run(settings: Settings, stopping: Event) -> None:
    """Bring the parts together, answer until told to stop, and let what was begun end."""
    from bot.delivery.doorbell import Doorbell
    from bot.delivery.messages import Messages
    from bot.delivery.notifier import Notifier
    from bot.delivery.pace import Pace
    from bot.delivery.preparer import Preparer
    from bot.delivery.sender import CardSender
    from bot.delivery.thread_files import ThreadFiles
    from bot.slack.app import build_app
    from bot.slack.channel_files import ChannelFiles
    from bot.slack.command import CommandDesk
    from bot.slack.web import web_client
    from shared.blobs import BlobStore
    from shared.log.engine import open_log

    log, store = open_log(settings.log_url, pooled=True), BlobStore(settings.store_folder)
    client, uploads = web_client(settings), web_client(settings, timeout_s=30)
    me = who_am_i(client)
    files = ChannelFiles(settings)
    preparer = Preparer(
        settings, log, store, doorbell=Doorbell(settings), fetch=lambda run, beat: files.fetch(run, beat=beat)
    )
    pace = Pace()
    notifier = Notifier(
        lambda: CardSender(
            log, Messages(client), ThreadFiles(uploads, store), pace, bot_name=str(me.get("user") or "lml")
        ),
        redis_url=settings.require_redis_url(),
    )

    def written() -> None:
        preparer.wake()
        notifier.wake()

    desk = CommandDesk(settings, log, store, team_id=str(me["team_id"]), written=written)
    secret = settings.slack_signing_secret
    app = build_app(client, desk, signing_secret=secret.get_secret_value() if secret else None)
    preparer.start()
    notifier.start()
    try:
        _serve(app, settings, stopping)
    finally:
        desk.close()
        preparer.stop()
        notifier.stop()


def who_am_i(client: "WebClient") -> "SlackResponse":
    """The bot's team and user; raises `ServiceUnavailable` when Slack does not answer or refuses the token."""
    from slack_sdk.errors import SlackApiError

    from bot.slack.web import LOST, code_of

    try:
        return client.auth_test()
    except SlackApiError as error:
        raise unavailable(
            "slack_token_refused",
            f"Slack does not take LML_SLACK_BOT_TOKEN: {code_of(error)}.",
            "Copy the Bot User OAuth Token from OAuth & Permissions again; `lml doctor` checks it.",
        ) from error
    except LOST as error:
        raise _slack_away(client.base_url, error) from error


def _serve(app: "App", settings: Settings, stopping: Event) -> None:
    from bot.slack import transport

    if settings.slack_app_token is None:
        with transport.listen(settings) as listening:
            host, port = listening.getsockname()[:2]
            print(f"The LML bot is ready at http://{host}:{port}/slack/events.", flush=True)
            if not stopping.is_set():
                transport.serve_http(app, listening)
        return
    with _socket_mode_errors(settings):
        transport.serve_socket_mode(
            app,
            settings,
            stopping=stopping,
            ready=lambda: print("The LML bot is ready, over Socket Mode.", flush=True),
        )


@contextmanager
def _socket_mode_errors(settings: Settings) -> Iterator[None]:
    from slack_sdk.errors import SlackApiError

    from bot.slack.web import LOST, api_url, code_of

    try:
        yield
    except SlackApiError as error:
        raise unavailable(
            "slack_app_token_refused",
            f"Slack does not take LML_SLACK_APP_TOKEN for Socket Mode: {code_of(error)}.",
            "It needs the scope connections:write, and Socket Mode has to be on (docs/slack.md).",
        ) from error
    except LOST as error:
        raise _slack_away(api_url(settings), error) from error


def _slack_away(address: str, error: BaseException) -> ServiceUnavailable:
    return unavailable(
        "slack_unavailable",
        f"Slack at {address} does not answer: {getattr(error, 'reason', '') or error}.",
        "Check the network and proxy of this machine, and LML_SLACK_API_URL.",
    )


class _NoSecrets(logging.Formatter):
    """Whatever a library logs, tokens and passwords do not leave the process."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, its traceback included, without secrets."""
        return _SECRETS.sub("[secret]", super().format(record))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_NoSecrets("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for chatty in ("alembic", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


if __name__ == "__main__":
    raise SystemExit(main())

"""The bot's side that faces Slack: answers commands, keeps cards up to date."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.delivery.messages import Messages
from bot.delivery.notifier import Notifier
from bot.delivery.pace import Pace
from bot.delivery.sender import CardSender
from bot.delivery.thread_files import ThreadFiles
from bot.pages.links import run_link
from bot.slack.app import build_app
from bot.slack.command import CommandDesk
from bot.slack.web import LOST, api_url, code_of, web_client
from shared.blobs import BlobStore
from shared.errors import ServiceUnavailable, unavailable
from shared.log.engine import Log
from shared.settings import Settings

if TYPE_CHECKING:
    from slack_bolt import App
    from slack_sdk.web import SlackResponse


@contextmanager
def slack_side(settings: Settings, log: Log, store: BlobStore, *, written: Callable[[], None]) -> Iterator["App"]:
    """The Bolt app of a bot that keeps its cards up to date for this block; `written` is called for each new run.

    Raises `ServiceUnavailable` when Slack does not answer or refuses the token.
    """
    client, uploads = web_client(settings), web_client(settings, timeout_s=30)
    me = who_am_i(client)
    pace, name = Pace(), str(me.get("user") or "lml")
    notifier = Notifier(
        lambda: CardSender(
            log,
            Messages(client),
            ThreadFiles(uploads, store),
            pace,
            bot_name=name,
            page_of=lambda run, channel: run_link(settings, run, channel_id=channel),
        ),
        redis_url=settings.require_redis_url(),
    )

    def of_command() -> None:
        written()
        notifier.wake()

    desk = CommandDesk(settings, log, store, team_id=str(me["team_id"]), written=of_command)
    secret = settings.slack_signing_secret
    app = build_app(client, desk, signing_secret=secret.get_secret_value() if secret else None)
    notifier.start()
    try:
        yield app
    finally:
        desk.close()
        notifier.stop()


def who_am_i(client: WebClient) -> "SlackResponse":
    """The bot's team and user; raises `ServiceUnavailable` when Slack does not answer or refuses the token."""
    try:
        return client.auth_test()
    except SlackApiError as error:
        raise unavailable(
            "slack_token_refused",
            f"Slack does not take LML_SLACK_BOT_TOKEN: {code_of(error)}.",
            "Copy the Bot User OAuth Token from OAuth & Permissions again; `lml doctor` checks it.",
        ) from error
    except LOST as error:
        raise slack_away(client.base_url, error) from error


@contextmanager
def socket_mode(app: "App", settings: Settings) -> Iterator[None]:
    """Requests of Slack come over a WebSocket that we open, for this block; it reconnects by itself."""
    from slack_bolt.adapter.socket_mode import SocketModeHandler

    token = settings.slack_app_token.get_secret_value() if settings.slack_app_token else ""
    handler = SocketModeHandler(app, app_token=token, web_client=web_client(settings, token=token))
    try:
        handler.connect()  # type: ignore[no-untyped-call]
    except SlackApiError as error:
        raise unavailable(
            "slack_app_token_refused",
            f"Slack does not take LML_SLACK_APP_TOKEN for Socket Mode: {code_of(error)}.",
            "It needs the scope connections:write, and Socket Mode has to be on (docs/slack.md).",
        ) from error
    except LOST as error:
        raise slack_away(api_url(settings), error) from error
    try:
        yield
    finally:
        handler.close()  # type: ignore[no-untyped-call]


def slack_away(address: str, error: BaseException) -> ServiceUnavailable:
    """The answer to a Slack that does not answer."""
    return unavailable(
        "slack_unavailable",
        f"Slack at {address} does not answer: {getattr(error, 'reason', '') or error}.",
        "Check the network and proxy of this machine, and LML_SLACK_API_URL.",
    )

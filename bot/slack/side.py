"""The bot's side that faces Slack: answers commands, keeps cards up to date."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.delivery.messages import Messages
from bot.delivery.notifier import Notifier
from bot.delivery.slack_delivery import SlackDelivery
from bot.pages.links import run_link
from bot.slack.app import build_app, front_of
from bot.slack.arrivals import Arrivals
from bot.slack.channel_files import ChannelFiles
from bot.slack.command import CommandDesk
from bot.slack.heard import HeardAnswers
from bot.slack.people import People
from bot.slack.web import LOST, api_url, code_of, web_client
from shared.blobs import BlobStore
from shared.errors import ServiceUnavailable, unavailable
from shared.log.engine import Log
from shared.settings import Settings

if TYPE_CHECKING:
    from slack_bolt import App
    from slack_sdk.web import SlackResponse


@dataclass(frozen=True)
class SlackSide:
    """What requests of Slack are handed to, and where their arrivals are counted."""

    app: "App"
    arrivals: Arrivals


@contextmanager
def slack_side(settings: Settings, log: Log, store: BlobStore, *, written: Callable[[], None]) -> Iterator[SlackSide]:
    """The side of a bot that keeps its cards up to date for this block; `written` is called for each new run.

    Raises `ServiceUnavailable` when Slack does not answer or refuses the token.
    """
    client = web_client(settings)
    me = who_am_i(client)
    team, bot_user = str(me["team_id"]), str(me.get("user_id") or "")
    delivery = SlackDelivery(
        settings,
        log,
        store,
        team_id=team,
        bot_name=str(me.get("user") or "lml"),
        page_of=lambda run, channel: run_link(settings, run, channel_id=channel),
        client=client,
    )

    def of_command() -> None:
        written()
        delivery.wake()

    arrivals = Arrivals()
    desk = CommandDesk(
        settings,
        log,
        store,
        team_id=team,
        app_id=app_of(client, me),
        people=People(settings, client),
        written=of_command,
        arrivals=arrivals,
    )
    replies = Notifier(
        lambda: HeardAnswers(log, desk, Messages(client), delivery.pace), redis_url=None, what="Answers", poll_s=2.0
    )
    front = front_of(desk, client, ChannelFiles(settings, client), bot_user=bot_user, heard=replies.wake)
    secret = settings.slack_signing_secret
    app = build_app(client, front, signing_secret=secret.get_secret_value() if secret else None)
    delivery.start()
    replies.start()
    try:
        yield SlackSide(app, arrivals)
    finally:
        replies.stop()  # before the desk that it asks
        front.close()
        delivery.stop()


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


def app_of(client: WebClient, me: "SlackResponse") -> str | None:
    """The app whose token this is, to be compared with that of each request; None where Slack does not say."""
    try:
        bot = client.bots_info(bot=str(me.get("bot_id") or "")).get("bot") or {}
    except (SlackApiError, *LOST):
        return None
    return str(bot.get("app_id") or "") or None


@contextmanager
def socket_mode(side: SlackSide, settings: Settings) -> Iterator[None]:
    """Requests of Slack come over a WebSocket that we open, for this block; it reconnects by itself."""
    from bot.slack.transport import SocketRequests

    token = settings.slack_app_token.get_secret_value() if settings.slack_app_token else ""
    handler = SocketRequests(side.app, side.arrivals, app_token=token, web_client=web_client(settings, token=token))
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

"""The Slack side of a bot in this process; what is sent to it is made by `slack_payloads`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from slack_bolt import App, BoltRequest, BoltResponse
from slack_sdk import WebClient

from bot.delivery.messages import Messages
from bot.delivery.pace import Pace
from bot.slack.app import Front, build_app, front_of
from bot.slack.channel_files import ChannelFiles
from bot.slack.command import CommandDesk
from bot.slack.heard import HeardAnswers
from bot.slack.people import People
from shared.blobs import BlobStore
from shared.log.engine import Log
from shared.settings import Settings
from support.deadline import until
from support.fake_slack import BOT_USER, TEAM, FakeSlack
from support.slack_payloads import Json
from support.slack_texts import texts_in


@dataclass
class SlackBot:
    """The app as it runs, without its notifiers; `written` grows with each run that is to be prepared."""

    app: App
    front: Front
    desk: CommandDesk
    heard: HeardAnswers
    written: list[int] = field(default_factory=list)

    def send(self, body: Json, **headers: str) -> BoltResponse:
        """Deliver something as Socket Mode does; the answer."""
        return self.app.dispatch(BoltRequest(body=body, mode="socket_mode", headers=dict(headers)))

    def answered(self, body: Json) -> Json:
        """The same; the acknowledgement's body, which is empty where nothing is said at once."""
        response = self.send(body)
        assert response.status == 200, response.body
        return json.loads(response.body) if response.body else {}


@contextmanager
def slack_bot(settings: Settings, log: Log, store: BlobStore, client: WebClient) -> Iterator[SlackBot]:
    """A bot's Slack side for this block."""
    written: list[int] = []
    desk = desk_of(settings, log, store, client, written=lambda: written.append(1))
    front = front_of(desk, client, ChannelFiles(settings, client), bot_user=BOT_USER)
    heard = HeardAnswers(log, desk, Messages(client), Pace.unlimited(), unsure_s=0.0)
    try:
        yield SlackBot(build_app(client, front, signing_secret="signing-secret"), front, desk, heard, written)
    finally:
        front.close()


def desk_of(
    settings: Settings,
    log: Log,
    store: BlobStore,
    client: WebClient,
    *,
    written: Callable[[], None] = lambda: None,
) -> CommandDesk:
    """A desk that asks this Slack who people are."""
    return CommandDesk(settings, log, store, team_id=TEAM, written=written, people=People(settings, client))


def opened(slack: FakeSlack, *, user: str = "U0ADA", filled: bool = True) -> Json:
    """The modal that somebody sees, once its data are there."""
    until(lambda: bool(slack.stacks[user]))
    if filled:
        until(lambda: "⏳" not in texts_in(slack.modal(user).body))
    view = slack.modal(user)
    return {**view.body, "id": view.id, "hash": view.hash}


def said(slack: FakeSlack) -> str:
    """What was told to somebody through a response_url."""
    until(lambda: len(slack.responses) > 0)
    return texts_in(slack.responses[-1])

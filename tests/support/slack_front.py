"""The Slack side of a bot in this process, and what Slack sends to it: commands, clicks, forms, events."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

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
from support.fake_slack import APP_ID, BOT_USER, TEAM

Json = dict[str, Any]


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


def command(text: str, **more: str) -> Json:
    """A slash command of Ada's."""
    return {
        "command": "/lml",
        "text": text,
        "team_id": TEAM,
        "channel_id": "C0GENERAL",
        "channel_name": "general",
        "user_id": "U0ADA",
        "trigger_id": f"trigger-{time.monotonic_ns()}",
        "api_app_id": APP_ID,
        **more,
    }


def click(action_id: str, value: str = "", *, user: str = "U0ADA", ts: str = "1700000000.000100", **more: Any) -> Json:
    """A click on a button of a message."""
    channel = more.pop("channel", {"id": "C0GENERAL", "name": "general"})
    return {
        **_interaction("block_actions", user),
        "channel": channel,
        "container": {"type": "message", "message_ts": ts, "channel_id": channel["id"], "is_ephemeral": False},
        "actions": [{"type": "button", "action_id": action_id, "block_id": "b", "value": value, "action_ts": "1"}],
        **more,
    }


def in_view(action_id: str, view: Json, *, value: str = "", user: str = "U0ADA", **more: Any) -> Json:
    """A click or a choice inside of a view, which `view` is as Slack shows it."""
    action: Json = {"type": "button", "action_id": action_id, "block_id": "b", "value": value, "action_ts": "1"}
    if "selected" in more:
        chosen = {"value": more.pop("selected")}
        action = {"type": "static_select", "action_id": action_id, "block_id": "b", "selected_option": chosen}
    container = {"type": "view", "view_id": view["id"]}
    return {**_interaction("block_actions", user), "view": view, "container": container, "actions": [action], **more}


def submission(view: Json, values: Json, *, user: str = "U0ADA") -> Json:
    """A form that is sent: `values` holds, by field, a text, a list of chosen values, or files."""
    state: Json = {}
    for block in view["blocks"]:
        if block.get("type") != "input":
            continue
        name, kind = block["element"]["action_id"], block["element"]["type"]
        state[block["block_id"]] = {name: {"type": kind, **_stated(kind, values.get(name))}}
    return {**_interaction("view_submission", user), "view": {**view, "state": {"values": state}}}


def shortcut(callback_id: str, message: Json, *, user: str = "U0ADA", **more: Any) -> Json:
    """A shortcut that somebody chose on a message."""
    body = {**_interaction("message_action", user), "callback_id": callback_id, "message": message}
    return {**body, "channel": {"id": "C0GENERAL", "name": "general"}, **more}


def event(kind: str, *, event_id: str = "", user: str = "U0ADA", **more: Any) -> Json:
    """An event; a new one unless its id is given."""
    inner = {"type": kind, "user": user, "ts": f"{time.time():.6f}", "channel": "C0GENERAL", **more}
    known = event_id or f"Ev{uuid.uuid4().hex[:10]}"
    return {
        "type": "event_callback",
        "team_id": TEAM,
        "api_app_id": APP_ID,
        "event": inner,
        "event_id": known,
        "event_time": int(time.time()),
        "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True}],
    }


def mention(words: str, **more: Any) -> Json:
    """A message that names the bot."""
    return event("app_mention", **{"text": f"<@{BOT_USER}> {words}", "channel_type": "channel", **more})


def direct_message(words: str, **more: Any) -> Json:
    """A message to the bot alone."""
    return event("message", **{"text": words, "channel": "D0ADA", "channel_type": "im", **more})


def home_opened(*, user: str = "U0ADA", channel: str = "D0ADA", **more: Any) -> Json:
    """Somebody opens the bot's home tab."""
    return event("app_home_opened", user=user, channel=channel, tab="home", **more)


def texts_in(shown: Any) -> str:
    """Everything that blocks or a view show, as text."""
    said: list[str] = []

    def gather(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("text"), str):
                said.append(value["text"])
            for inner in value.values():
                gather(inner)
        elif isinstance(value, list):
            for inner in value:
                gather(inner)

    gather(shown)
    return "\n".join(said)


def _interaction(kind: str, user: str) -> Json:
    return {
        "type": kind,
        "team": {"id": TEAM, "domain": "fake"},
        "user": {"id": user, "team_id": TEAM},
        "api_app_id": APP_ID,
        "trigger_id": f"trigger-{time.monotonic_ns()}",
    }


def _stated(kind: str, value: Any) -> Json:
    if kind == "multi_static_select":
        return {"selected_options": [{"value": one} for one in value or ()]}
    if kind in ("static_select", "external_select"):
        return {"selected_option": {"value": value} if value else None}
    if kind == "file_input":
        return {"files": value or []}
    return {"value": value}

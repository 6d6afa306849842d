"""What Slack sends to an app, in the shapes that it sends it: commands, clicks, submitted forms, shortcuts, events."""

import json
import time
import uuid
from typing import Any
from urllib.parse import urlencode

from slack_sdk.signature import SignatureVerifier

from support.fake_slack import APP_ID, BOT_USER, TEAM, FakeSlack

Json = dict[str, Any]
GENERAL: Json = {"id": "C0GENERAL", "name": "general"}


def command(text: str, **more: str) -> Json:
    """`/lml ...`, by Ada unless told otherwise; a response_url is given by tests that look at what comes there."""
    user = more.get("user_id", "U0ADA")
    return {
        "command": "/lml",
        "text": text,
        "team_id": TEAM,
        "team_domain": "fake",
        "api_app_id": APP_ID,
        "channel_id": GENERAL["id"],
        "channel_name": GENERAL["name"],
        "user_id": user,
        "user_name": user.lower(),
        "trigger_id": f"trigger-{time.monotonic_ns()}",
        **more,
    }


def click(action_id: str, value: str = "", *, user: str = "U0ADA", ts: str = "1700000000.000100", **more: Any) -> Json:
    """A click on a button of a message."""
    button = {"type": "button", "action_id": action_id, "block_id": "b", "value": value, "action_ts": "1"}
    return _on_message(button, user=user, ts=ts, **more)


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
    return _sent(view, state, user)


def shortcut(callback_id: str, message: Json, *, user: str = "U0ADA", **more: Any) -> Json:
    """A shortcut that somebody chose on a message."""
    body = {**_interaction("message_action", user), "callback_id": callback_id, "message": message}
    return {**body, "message_ts": message["ts"], "action_ts": f"{time.time():.6f}", "channel": GENERAL, **more}


def event(kind: str, *, event_id: str = "", user: str = "U0ADA", **more: Any) -> Json:
    """An event; a new one unless its id is given."""
    ts = more.pop("ts", f"{time.time():.6f}")
    return {
        "token": "verification",
        "type": "event_callback",
        "team_id": TEAM,
        "api_app_id": APP_ID,
        "event": {"type": kind, "user": user, "ts": ts, "event_ts": ts, "channel": GENERAL["id"], **more},
        "event_id": event_id or f"Ev{uuid.uuid4().hex[:10].upper()}",
        "event_time": int(time.time()),
        "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True, "enterprise_id": None}],
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


class Person:
    """Somebody at the keyboard of the strict Slack: what they do in a channel, with its triggers and response_urls."""

    def __init__(
        self, slack: FakeSlack, user: str = "U0ADA", channel: str = "C0GENERAL", name: str = "general"
    ) -> None:
        self.slack, self.user, self.channel, self.channel_name = slack, user, channel, name

    def command(self, text: str) -> Json:
        """`/lml ...`"""
        place = {"channel_id": self.channel, "channel_name": self.channel_name}
        return command(text, user_id=self.user, **place, **self._ends_soon())

    def button(self, message: Json, action_id: str, *, value: str | None = None) -> Json:
        """A click on a button that a message really has."""
        for block in message.get("blocks", []):
            for element in (*block.get("elements", []), block.get("accessory") or {}):
                if element.get("action_id") == action_id and value in (None, element.get("value")):
                    action = {"action_ts": f"{time.time():.6f}", **element, "block_id": block.get("block_id", "b")}
                    place = {"message": message, "channel": {"id": self.channel, "name": self.channel_name}}
                    return _on_message(action, user=self.user, ts=message["ts"], **place, **self._ends_soon())
        raise AssertionError(f"The message has no button {action_id}: {json.dumps(message.get('blocks'))}")

    def submit(self, values: Json) -> Json:
        """The modal that the person sees is submitted with these `state.values`."""
        sent = _sent(self.slack._shown(self.slack.modal(self.user)), values, self.user)
        return {**sent, "trigger_id": self.slack.trigger(self.user)}

    def mention(self, text: str) -> Json:
        """The bot is mentioned in a message."""
        return mention(text, user=self.user, channel=self.channel, ts=self.slack._ts())

    def direct(self, text: str) -> Json:
        """A direct message to the bot."""
        channel = self.slack.direct_channel(self.user)
        return direct_message(text, user=self.user, channel=channel, ts=self.slack._ts())

    def home(self) -> Json:
        """The bot's home tab is opened."""
        return home_opened(user=self.user, channel=self.slack.direct_channel(self.user))

    def _ends_soon(self) -> dict[str, str]:
        return {
            "trigger_id": self.slack.trigger(self.user),
            "response_url": self.slack.response_url(self.user, self.channel),
        }


def envelope_of(payload: Json) -> str:
    """The kind of Socket Mode envelope in which a payload comes."""
    if "command" in payload:
        return "slash_commands"
    return "events_api" if payload["type"] == "event_callback" else "interactive"


def signed(payload: Json, secret: str, *, at: float | None = None) -> tuple[bytes, dict[str, str]]:
    """A payload as an HTTP request of Slack, made now unless told otherwise: its body and headers."""
    if "command" in payload:
        body, kind = urlencode(payload), "application/x-www-form-urlencoded"
    elif payload["type"] == "event_callback":
        body, kind = json.dumps(payload), "application/json"
    else:
        body, kind = urlencode({"payload": json.dumps(payload)}), "application/x-www-form-urlencoded"
    stamp = str(int(at or time.time()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body) or ""
    headers = {"Content-Type": kind, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}
    return body.encode(), headers


def _interaction(kind: str, user: str) -> Json:
    return {
        "type": kind,
        "token": "verification",
        "api_app_id": APP_ID,
        "team": {"id": TEAM, "domain": "fake"},
        "user": {"id": user, "team_id": TEAM, "username": user.lower(), "name": user.lower()},
        "trigger_id": f"trigger-{time.monotonic_ns()}",
        "enterprise": None,
        "is_enterprise_install": False,
    }


def _on_message(action: Json, *, user: str, ts: str, **more: Any) -> Json:
    channel = more.pop("channel", GENERAL)
    container = {"type": "message", "message_ts": ts, "channel_id": channel["id"], "is_ephemeral": False}
    body = {**_interaction("block_actions", user), "channel": channel, "container": container}
    return {**body, "actions": [action], **more}


def _sent(view: Json, state: Json, user: str) -> Json:
    shown = {**view, "state": {"values": state}}
    return {**_interaction("view_submission", user), "view": shown, "response_urls": []}


def _stated(kind: str, value: Any) -> Json:
    if kind == "multi_static_select":
        return {"selected_options": [{"value": one} for one in value or ()]}
    if kind in ("static_select", "external_select"):
        return {"selected_option": {"value": value} if value else None}
    if kind == "file_input":
        return {"files": value or []}
    return {"value": value}

"""What Slack sends to an app, in the shapes that it sends it: commands, clicks, submitted modals, shortcuts, events."""

import json
import time
import uuid
from typing import Any
from urllib.parse import urlencode

from slack_sdk.signature import SignatureVerifier

from support.fake_slack import APP_ID, BOT_USER, TEAM, FakeSlack

Json = dict[str, Any]


class Person:
    """Somebody at the keyboard of the strict Slack: makes the payloads of what they do in a channel."""

    def __init__(
        self, slack: FakeSlack, user: str = "U0ADA", channel: str = "C0GENERAL", name: str = "general"
    ) -> None:
        self.slack, self.user, self.channel, self.channel_name = slack, user, channel, name

    def command(self, text: str, *, trigger: str = "") -> Json:
        """`/lml ...`; without a response_url only in tests that leave it away themselves."""
        return {
            "command": "/lml",
            "text": text,
            "team_id": TEAM,
            "team_domain": "fake",
            "api_app_id": APP_ID,
            "channel_id": self.channel,
            "channel_name": self.channel_name,
            "user_id": self.user,
            "user_name": self.user.lower(),
            "trigger_id": trigger or self.slack.trigger(self.user),
            "response_url": self.slack.response_url(self.user, self.channel),
        }

    def click(self, action: Json, *, message: Json | None = None, view: Json | None = None) -> Json:
        """A click on an element: `action` has its action_id, and a value or what was chosen."""
        place: Json = {"type": "view", "view_id": (view or {}).get("id")}
        payload = self._interaction("block_actions")
        if message is not None:
            place = {"type": "message", "message_ts": message["ts"], "channel_id": self.channel, "is_ephemeral": False}
            payload |= {"message": message, "channel": {"id": self.channel, "name": self.channel_name}}
            payload["response_url"] = self.slack.response_url(self.user, self.channel)
        if view is not None:
            payload["view"] = view
        given = {"type": "button", "block_id": "b", "action_ts": f"{time.time():.6f}", **action}
        return {**payload, "container": place, "actions": [given]}

    def button(self, message: Json, action_id: str, *, value: str | None = None) -> Json:
        """A click on a button that a message really has."""
        for block in message.get("blocks", []):
            for element in (*block.get("elements", []), block.get("accessory") or {}):
                if element.get("action_id") == action_id and value in (None, element.get("value")):
                    return self.click({**element, "block_id": block.get("block_id", "b")}, message=message)
        raise AssertionError(f"The message has no button {action_id}: {json.dumps(message.get('blocks'))}")

    def submit(self, values: Json) -> Json:
        """The modal that the person sees is submitted with these `state.values`."""
        view = self.slack.modal(self.user)
        shown = {**self.slack._shown(view), "state": {"values": values}}
        return {**self._interaction("view_submission"), "view": shown, "response_urls": []}

    def shortcut(self, callback_id: str, message: Json) -> Json:
        """A shortcut on a message."""
        payload = self._interaction("message_action")
        payload |= {"callback_id": callback_id, "message": message, "message_ts": message["ts"]}
        payload |= {"channel": {"id": self.channel, "name": self.channel_name}, "action_ts": f"{time.time():.6f}"}
        return {**payload, "response_url": self.slack.response_url(self.user, self.channel)}

    def mention(self, text: str, *, files: list[Json] | None = None, thread_ts: str = "") -> Json:
        """The bot is mentioned in a message."""
        event: Json = {"type": "app_mention", "text": f"<@{BOT_USER}> {text}", "channel": self.channel}
        event |= {"files": files} if files else {}
        event |= {"thread_ts": thread_ts} if thread_ts else {}
        return self._event(event)

    def direct(self, text: str, *, files: list[Json] | None = None) -> Json:
        """A direct message to the bot."""
        event: Json = {"type": "message", "channel_type": "im", "text": text}
        event["channel"] = self.slack.direct_channel(self.user)
        event |= {"files": files, "subtype": "file_share"} if files else {}
        return self._event(event)

    def home(self) -> Json:
        """The bot's home tab is opened."""
        channel = self.slack.direct_channel(self.user)
        return self._event({"type": "app_home_opened", "tab": "home", "channel": channel})

    def _event(self, event: Json) -> Json:
        ts = self.slack._ts()
        return {
            "token": "verification",
            "team_id": TEAM,
            "api_app_id": APP_ID,
            "type": "event_callback",
            "event_id": f"Ev{uuid.uuid4().hex[:10].upper()}",
            "event_time": int(float(ts)),
            "event": {"user": self.user, "ts": ts, "event_ts": ts, **event},
            "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True, "enterprise_id": None}],
        }

    def _interaction(self, kind: str) -> Json:
        return {
            "type": kind,
            "token": "verification",
            "api_app_id": APP_ID,
            "team": {"id": TEAM, "domain": "fake"},
            "user": {"id": self.user, "team_id": TEAM, "username": self.user.lower(), "name": self.user.lower()},
            "trigger_id": self.slack.trigger(self.user),
            "enterprise": None,
            "is_enterprise_install": False,
        }


def envelope_of(payload: Json) -> str:
    """The kind of Socket Mode envelope in which a payload comes."""
    if "command" in payload:
        return "slash_commands"
    return "events_api" if payload["type"] == "event_callback" else "interactive"


def signed(payload: Json, secret: str) -> tuple[bytes, dict[str, str]]:
    """A payload as an HTTP request of Slack: its body and headers."""
    if "command" in payload:
        body, kind = urlencode(payload), "application/x-www-form-urlencoded"
    elif payload["type"] == "event_callback":
        body, kind = json.dumps(payload), "application/json"
    else:
        body, kind = urlencode({"payload": json.dumps(payload)}), "application/x-www-form-urlencoded"
    stamp = str(int(time.time()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body) or ""
    headers = {"Content-Type": kind, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}
    return body.encode(), headers

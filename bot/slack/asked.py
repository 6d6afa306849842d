"""What somebody asked in Slack, whichever way it came in: the one shape that every entry makes and the desk answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from bot.slack.file_facts import TRACE_MODES
from bot.slack.typed import as_typed, without_mention
from shared.access import Entry, Visibility

MOST_KEY = 128
"""The characters of a key that the log keeps."""


@dataclass(frozen=True)
class SharedFile:
    """A file that came along. Its name is what people call it; only the id says which one it is."""

    id: str
    name: str


@dataclass(frozen=True)
class Asked:
    """Who asked what, where, and where the answer goes.

    `text` is what was typed, without Slack's marks. `key` stands for this one request: whatever comes with the same key
    again is answered and never done twice.
    """

    team_id: str
    user_id: str
    channel_id: str | None
    text: str
    entry: Entry
    key: str | None = None
    channel_name: str = ""
    """Of commands and clicks: the channel's, `privategroup` or `directmessage`; '' where Slack does not say."""
    response_url: str | None = None
    trigger_id: str | None = None
    """Opens one view within 3 s."""
    thread_ts: str | None = None
    """The thread that the answer goes into."""
    files: tuple[SharedFile, ...] = ()
    like: int | None = None
    """A run that is changed: where the words name its dataset, they mean what it read."""
    app_id: str = ""

    @property
    def visibility(self) -> Visibility | None:
        """Who will see a run that is asked for here; None where only Slack knows what kind of channel this is.

        The team sees it only when this is surely a public channel. Slack names every private channel `privategroup` and
        every direct message `directmessage`.
        """
        channel = self.channel_id or ""
        if not channel or channel.startswith("D") or self.channel_name == "directmessage":
            return Visibility.PRIVATE
        if channel.startswith("G") or self.channel_name.startswith(("privategroup", "mpdm-")):
            return Visibility.CHANNEL
        if not self.channel_name:
            return None
        return Visibility.TEAM if channel.startswith("C") else Visibility.CHANNEL


def of_command(payload: Mapping[str, Any]) -> Asked:
    """A slash command's form fields."""
    return Asked(
        team_id=_text(payload, "team_id"),
        user_id=_text(payload, "user_id"),
        channel_id=_text(payload, "channel_id") or None,
        channel_name=_text(payload, "channel_name"),
        text=as_typed(_text(payload, "text")),
        entry=Entry.COMMAND,
        key=_text(payload, "trigger_id") or None,
        response_url=_text(payload, "response_url") or None,
        trigger_id=_text(payload, "trigger_id") or None,
        app_id=_text(payload, "api_app_id"),
    )


def of_click(payload: Mapping[str, Any], action: Mapping[str, Any], *, text: str, channel_id: str | None) -> Asked:
    """A button's click: what it says stands for the words, the message and the button for the key.

    `channel_id` is the channel that a view without one belongs to, such as a person's home.
    """
    channel = payload.get("channel") or {}
    container = payload.get("container") or {}
    place = _text(container, "message_ts") or _text(payload.get("view") or {}, "id")
    spot = f"{_text(channel, 'id')}:{place}:{_text(action, 'action_id')}:{text}"
    in_home = container.get("type") == "view"
    return Asked(
        team_id=_team(payload),
        user_id=_text(payload.get("user") or {}, "id"),
        channel_id=_text(channel, "id") or _text(container, "channel_id") or channel_id or None,
        channel_name=_text(channel, "name"),
        text=text,
        entry=Entry.HOME if in_home else Entry.BUTTON,
        # A view stays where it is and is clicked again on other days; a message's button means one thing once.
        key=_key("click", f"{spot}:{_text(payload, 'trigger_id')}" if in_home else spot),
        response_url=_text(payload, "response_url") or None,
        trigger_id=_text(payload, "trigger_id") or None,
        thread_ts=_text(container, "thread_ts") or None,
        app_id=_text(payload, "api_app_id"),
    )


def of_submission(
    payload: Mapping[str, Any], *, text: str, channel_id: str | None, files: Sequence[SharedFile] = ()
) -> Asked:
    """A form that was sent: our words, made from its fields. `channel_id` is where it was opened."""
    view = payload.get("view") or {}
    return Asked(
        team_id=_team(payload),
        user_id=_text(payload.get("user") or {}, "id"),
        channel_id=channel_id,
        text=text,
        entry=Entry.MODAL,
        key=_key("view", f"{_text(view, 'id')}:{_text(view, 'hash')}"),
        files=tuple(files),
        app_id=_text(payload, "api_app_id"),
    )


def of_shortcut(payload: Mapping[str, Any]) -> Asked:
    """A shortcut of a message: it says nothing in words."""
    channel = payload.get("channel") or {}
    return Asked(
        team_id=_team(payload),
        user_id=_text(payload.get("user") or {}, "id"),
        channel_id=_text(channel, "id") or None,
        channel_name=_text(channel, "name"),
        text="",
        entry=Entry.SHORTCUT,
        response_url=_text(payload, "response_url") or None,
        trigger_id=_text(payload, "trigger_id") or None,
        app_id=_text(payload, "api_app_id"),
    )


def of_mention(payload: Mapping[str, Any], *, bot_user: str) -> Asked:
    """An event `app_mention`: the words behind the bot's name; the answer goes into the thread below it."""
    event = payload.get("event") or {}
    return _of_event(payload, without_mention(_text(event, "text"), bot_user), Entry.MENTION, thread=True)


def of_direct_message(payload: Mapping[str, Any], *, bot_user: str) -> Asked:
    """An event `message` of a direct message: its words are a command, also where they begin with the bot's name."""
    event = payload.get("event") or {}
    return _of_event(payload, without_mention(_text(event, "text"), bot_user), Entry.MESSAGE, thread=False)


def files_of(message: Mapping[str, Any]) -> tuple[SharedFile, ...]:
    """The files of a message that are still there."""
    there = [file for file in message.get("files") or () if file.get("mode") not in TRACE_MODES]
    return tuple(SharedFile(_text(file, "id"), _text(file, "name")) for file in there if file.get("id"))


def _of_event(payload: Mapping[str, Any], text: str, entry: Entry, *, thread: bool) -> Asked:
    event = payload.get("event") or {}
    own_thread = _text(event, "thread_ts")
    direct = event.get("channel_type") == "im"
    return Asked(
        team_id=_team(payload),
        user_id=_text(event, "user"),
        channel_id=_text(event, "channel") or None,
        channel_name="directmessage" if direct else "",
        text=as_typed(text).strip(),
        entry=entry,
        key=_key("event", _text(payload, "event_id")),
        thread_ts=own_thread or (_text(event, "ts") if thread else "") or None,
        files=files_of(event),
        app_id=_text(payload, "api_app_id"),
    )


def _key(kind: str, what: str) -> str:
    key = f"{kind}:{what}"
    return key if len(key) <= MOST_KEY else f"{kind}:{sha256(what.encode()).hexdigest()}"


def _team(payload: Mapping[str, Any]) -> str:
    return _text(payload, "team_id") or _text(payload.get("team") or {}, "id")


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    return "" if value is None else str(value)

"""Messages of the strict Slack: posting, updating, reading them."""

import time
from typing import Any

from support.fake_slack.model import BOT_USER, TEAM, Channel, Json, RefusedError
from support.fake_slack.state import State
from support.slack_blocks import BrokenLimit, check_message
from support.slack_limits import LIMITS

HISTORY_SCOPES = {"C": "channels:history", "G": "groups:history", "D": "im:history", "M": "mpim:history"}
READ_SCOPES = {"C": "channels:read", "G": "groups:read", "D": "im:read", "M": "mpim:read"}


def checked(arguments: Json, *, update: bool = False) -> None:
    """Refuse a message whose text or blocks Slack does not take, with its words for where and why."""
    try:
        check_message(arguments, update=update)
    except BrokenLimit as broken:
        raise refusal(broken) from broken


def refusal(broken: BrokenLimit) -> RefusedError:
    """Slack's answer to a broken limit."""
    words = [f"[ERROR] {broken.rule} [json-pointer:{broken.where}]"]
    return RefusedError(broken.code, errors=words, response_metadata={"messages": words})


class Chat(State):
    """`chat.*` and `conversations.*`."""

    def _post(self, arguments: Json) -> Json:
        target = arguments["channel"]
        if target[0] in "UW":
            target = self.direct_channel(target)
        channel = self._channel(target)
        checked(arguments)
        if self.paced and time.monotonic() - channel.last_post < LIMITS["rate.channel_posts"].most:
            self.rates.refuse("chat.postMessage", 1)
        channel.last_post = time.monotonic()
        keys = ("text", "blocks", "metadata", "thread_ts")
        message = {key: arguments[key] for key in keys if arguments.get(key)}
        message |= {"type": "message", "ts": self._ts(), "edits": 0, "user": BOT_USER, "bot_id": "B0BOT"}
        channel.messages.append(message)
        return {"ts": message["ts"], "channel": target, "message": message}

    def _update(self, arguments: Json) -> Json:
        channel = self._channel(arguments["channel"], frozen="is_inactive")
        message = next((met for met in channel.messages if met["ts"] == arguments["ts"]), None)
        if message is None:
            raise RefusedError("message_not_found")
        if message["user"] != BOT_USER:
            raise RefusedError("cant_update_message")
        checked(arguments, update=True)
        message["text"] = arguments.get("text", "")
        message.pop("blocks", None)
        if arguments.get("blocks"):
            message["blocks"] = arguments["blocks"]
        message["edits"] += 1
        message["edited"] = {"user": BOT_USER, "ts": self._ts()}
        return {"ts": message["ts"], "channel": arguments["channel"], "text": message["text"]}

    def _post_ephemeral(self, arguments: Json) -> Json:
        channel = self._channel(arguments["channel"])
        if not arguments.get("user"):
            raise RefusedError("invalid_arguments")
        if channel.members is not None and arguments["user"] not in channel.members:
            raise RefusedError("user_not_in_channel")
        checked(arguments)
        self.ephemerals.append(arguments)
        return {"message_ts": self._ts()}

    def _history(self, arguments: Json) -> Json:
        channel = self._readable(arguments["channel"])
        top = [message for message in channel.messages if message.get("thread_ts", message["ts"]) == message["ts"]]
        return self._page(list(reversed(top)), arguments)

    def _replies(self, arguments: Json) -> Json:
        channel = self._readable(arguments["channel"])
        thread = [
            message for message in channel.messages if arguments["ts"] in (message["ts"], message.get("thread_ts"))
        ]
        if not any(message["ts"] == arguments["ts"] for message in thread):
            raise RefusedError("thread_not_found")
        return self._page(thread, arguments)

    def _info(self, arguments: Json) -> Json:
        key = arguments["channel"]
        channel = self.channels.get(key)
        hidden = channel is None or (not channel.has_bot and (channel.private or key[0] in "DG"))
        if channel is None or hidden:
            raise RefusedError("channel_not_found")
        self._require(READ_SCOPES[kind_of(key, channel)])
        facts: Json = {
            "id": key,
            "name": channel.name,
            "is_channel": kind_of(key, channel) == "C",
            "is_im": key.startswith("D"),
            "is_mpim": channel.mpim,
            "is_private": channel.private or channel.mpim,
            "is_archived": channel.archived,
            "is_member": channel.has_bot,
            "is_ext_shared": channel.ext_shared,
            "is_shared": channel.ext_shared,
            "is_org_shared": False,
            "is_pending_ext_shared": channel.pending_ext_shared,
            "context_team_id": TEAM,
        }
        if key.startswith("D"):
            facts = {name: facts[name] for name in ("id", "is_im", "is_archived")} | {"user": self.person_of(key)}
        return {"channel": facts}

    def _open(self, arguments: Json) -> Json:
        users = [user for user in str(arguments.get("users", "")).split(",") if user]
        if not users:
            raise RefusedError("users_list_not_supplied")
        if len(users) > 1:
            raise RefusedError("method_not_supported_for_channel_type")
        self.facts_of(users[0])
        return {"channel": {"id": self.direct_channel(users[0])}}

    def _permalink(self, arguments: Json) -> Json:
        channel = self._channel(arguments["channel"])
        if not any(message["ts"] == arguments["message_ts"] for message in channel.messages):
            raise RefusedError("message_not_found")
        place = f"{arguments['channel']}/p{arguments['message_ts'].replace('.', '')}"
        return {"channel": arguments["channel"], "permalink": f"https://fake.slack.com/archives/{place}"}

    def _readable(self, key: str) -> Channel:
        channel = self.channels.get(key)
        if channel is None:
            raise RefusedError("channel_not_found")
        self._require(HISTORY_SCOPES[kind_of(key, channel)])
        if not channel.has_bot:
            raise RefusedError("channel_not_found" if channel.private else "not_in_channel")
        return channel

    def _page(self, messages: list[Json], arguments: Json) -> Json:
        """A page of messages, with the filters that Slack has."""
        oldest, latest = float(arguments.get("oldest") or 0), float(arguments.get("latest") or "inf")
        inclusive = _truth(arguments.get("inclusive"))
        met = [
            message
            for message in messages
            if oldest < float(message["ts"]) < latest or (inclusive and float(message["ts"]) in (oldest, latest))
        ]
        limit = min(int(arguments.get("limit") or 100), LIMITS["history.messages"].most)
        start = int(arguments.get("cursor") or 0)
        page, more = met[start : start + limit], start + limit < len(met)
        if not _truth(arguments.get("include_all_metadata")):
            page = [{name: value for name, value in message.items() if name != "metadata"} for message in page]
        cursor = {"response_metadata": {"next_cursor": str(start + limit)}} if more else {}
        return {"messages": page, "has_more": more, **cursor}


def kind_of(key: str, channel: Channel) -> str:
    """C, G, D or M: which scopes a conversation needs."""
    if key.startswith("D"):
        return "D"
    return "M" if channel.mpim else "G" if channel.private or key.startswith("G") else "C"


def _truth(value: Any) -> bool:
    return str(value).lower() in ("1", "true")

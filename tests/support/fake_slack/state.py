"""What every part of the strict Slack shares: what it knows, its clock, and its refusals."""

import threading
import time
from collections import defaultdict, deque
from http.server import ThreadingHTTPServer

from support.fake_slack.model import SCOPES, TEAM, Channel, Failure, Json, RefusedError, View
from support.fake_slack.rates import Rates


class State:
    """What the strict Slack knows."""

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {"C0GENERAL": Channel(), "D0ADA": Channel()}
        self.calls: list[tuple[str, Json]] = []
        self.ephemerals: list[Json] = []
        self.files: dict[str, Json] = {}
        self.bodies: dict[str, bytes] = {}
        self.scopes: set[str] | None = set(SCOPES)
        self.paced = False
        """Whether more than one message a second in a channel is refused."""
        self.rates = Rates()
        """`rates.enforce()`: the tiers of the methods."""
        self.refused_files: dict[str, str] = {}
        self.download: Json = {}
        """`html`, `redirect`, `status` or `short`: what a download gives instead of the file."""
        self.late_mimetype = 0
        """How many times `files.info` and `files.list` show a new file without its kind: Slack scans it meanwhile."""
        self.late_shares = 0
        """How many times `files.info` does not yet show where a completed file was shared."""
        self.people: dict[str, Json] = {}
        """Facts of people that differ from a full member's, such as `is_restricted`; None: there is no such person."""
        self.usergroups: dict[str, list[str]] = {}
        self.home_enabled = True
        self.socket_url = ""
        self.views: dict[str, View] = {}
        self.homes: dict[str, View] = {}
        self.stacks: dict[str, list[str]] = defaultdict(list)
        self.triggers: dict[str, tuple[float, str, bool]] = {}
        self.response_urls: dict[str, Json] = {}
        self.responses: list[Json] = []
        """What was sent to response_urls: the body, with `user`, `channel` and `url` of the interaction."""
        self._failures: dict[str, deque[Failure]] = defaultdict(deque)
        self._lock = threading.RLock()
        self._last_ts = 0.0
        self._numbers = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def root(self) -> str:
        """The server's address."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def direct_channel(self, user: str) -> str:
        """The channel of the bot's direct messages with a person."""
        self.channels.setdefault(f"D-{user}", Channel())
        return f"D-{user}"

    def person_of(self, key: str) -> str:
        """Whose direct messages a channel has."""
        return key.removeprefix("D-") if key.startswith("D-") else f"U{key[1:]}"

    def facts_of(self, user: str) -> Json:
        """What `users.info` says of somebody: a full member, unless a test says otherwise."""
        own = self.people.get(user, {})
        if own is None or user[:1] not in "UW" or not user:
            raise RefusedError("user_not_found")
        facts: Json = dict.fromkeys(
            ("deleted", "is_admin", "is_owner", "is_bot", "is_app_user", "is_restricted", "is_ultra_restricted"), False
        )
        name = user.removeprefix("U0").lower()
        return {"id": user, "team_id": TEAM, "name": name, "real_name": name.title(), **facts, **own}

    def _require(self, scope: str | None) -> None:
        if scope is not None and self.scopes is not None and scope not in self.scopes:
            raise RefusedError("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))

    def _channel(self, name: str, *, frozen: str = "is_archived") -> Channel:
        channel = self.channels.get(name)
        if channel is None or (channel.private and not channel.has_bot):
            raise RefusedError("channel_not_found")
        if not channel.has_bot:
            raise RefusedError("not_in_channel")
        if channel.archived:
            raise RefusedError(frozen)
        return channel

    def _number(self) -> int:
        with self._lock:
            self._numbers += 1
            return self._numbers

    def _ts(self) -> str:
        """The time now, as no message has it yet."""
        with self._lock:
            self._last_ts = max(time.time(), self._last_ts + 0.000_01)
            return f"{self._last_ts:.6f}"

"""What the strict Slack is made of: its tokens, channels, people, and how calls go wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

BOT_TOKEN = "xoxb-fake-bot"
APP_TOKEN = "xapp-fake-app"
TEAM, BOT_USER, APP_ID = "T0TEAM", "U0BOT", "A0LML"
SCOPES = (
    "commands",
    "chat:write",
    "files:read",
    "files:write",
    "app_mentions:read",
    "channels:read",
    "groups:read",
    "users:read",
    "im:read",
    "im:write",
    "usergroups:read",
    "channels:history",
    "groups:history",
    "im:history",
    "mpim:history",
    "mpim:read",
)
"""What the bot has at first; a test takes away what it wants to miss, or gives it exactly those of the manifest."""

Json = dict[str, Any]


@dataclass
class Failure:
    """How the next call of a method goes wrong."""

    error: str = ""
    status: int = 200
    retry_after_s: int | None = None
    lost: bool = False
    """Done, and the answer never arrives."""
    unreached: bool = False
    """Not done, and no answer."""
    html: bool = False
    """Not done; a page of a proxy or a login comes with status 200."""
    delay_s: float = 0.0
    """How long the answer takes."""
    then: Callable[[], None] | None = None
    """What happens between Slack's receipt and its answer, such as the end of whoever called; once."""


@dataclass
class Channel:
    """A channel: whether the bot is in it and what was posted."""

    has_bot: bool = True
    archived: bool = False
    messages: list[Json] = field(default_factory=list)
    last_post: float = 0.0
    private: bool = False
    ext_shared: bool = False
    pending_ext_shared: bool = False
    mpim: bool = False
    name: str = "general"
    members: set[str] | None = None
    """Who may be shown something there; None: everybody."""


@dataclass
class View:
    """A modal or home tab as Slack keeps it."""

    id: str
    user: str
    body: Json
    hash: str
    root: str
    previous: str | None = None


class RefusedError(Exception):
    """Slack's answer to a call that it does not do."""

    def __init__(self, code: str, *, failure: Failure | None = None, **more: Any) -> None:
        super().__init__(code)
        self.code, self.failure, self.more = code, failure, more

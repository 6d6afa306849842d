"""How fast each method of Slack's Web API may be called: token buckets for the workspace, and for a channel's messages.

Tiers: https://docs.slack.dev/apis/web-api/rate-limits. A bucket that refills `per_minute` and holds `burst` lets at
most their sum through in any minute, so each pair stays a little below its tier.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """A bucket: how fast it fills, and how much it holds."""

    per_minute: float
    burst: int = 1
    reserve: int = 0
    """So much of it is left to what may not wait, such as the card of a run that has ended."""

    @property
    def every_s(self) -> float:
        """The time in which one more call becomes possible."""
        return 60.0 / self.per_minute


@dataclass(frozen=True)
class Bucket:
    """A bucket that a call takes from, by its name."""

    name: str
    rate: Rate

    def room_s(self, *, urgent: bool) -> float:
        """How far ahead of its time a call may be."""
        spare = self.rate.burst - 1 - (0 if urgent else self.rate.reserve)
        return max(spare, 0) * self.rate.every_s


TIER_3 = Rate(per_minute=44, burst=5)  # 50 a minute
TIER_4 = Rate(per_minute=85, burst=10)  # 100 a minute
CHANNEL = Rate(per_minute=57)
"""Slack takes about one message a second in a channel."""

RATES: Mapping[str, Rate] = {
    "chat.postMessage": Rate(per_minute=180, burst=10, reserve=2),  # "several hundred a minute" for a workspace
    "chat.update": Rate(per_minute=44, burst=5, reserve=2),  # tier 3, for the workspace, whatever the channel
    "chat.postEphemeral": TIER_4,
    "conversations.history": TIER_3,
    "conversations.replies": TIER_3,
    "files.getUploadURLExternal": TIER_4,
    "files.completeUploadExternal": TIER_4,
    "files.info": TIER_4,
}
"""What the bot itself sends; a method that is not here is not held back, but for what Slack asks."""

POSTS = frozenset({"chat.postMessage", "files.completeUploadExternal"})
"""What puts a message into a channel, and takes from the channel's bucket too."""

ANY_METHOD = "*"
"""Holds every method of the workspace, as after a token that is refused."""


def buckets_of(method: str, channel: str, rates: Mapping[str, Rate], *, channel_rate: Rate | None) -> list[Bucket]:
    """The buckets that a call takes from, all of them or none."""
    found = [Bucket(method, rates[method])] if method in rates else []
    if channel and method in POSTS and channel_rate is not None:
        found.append(Bucket(f"channel:{channel}", channel_rate))
    return found

"""Messages that name the bot, and direct messages to it: written down, then acknowledged; `heard` answers them.

Bolt acknowledges an event before its listener runs, and Slack takes that for delivered. So each is written down in a
middleware, which runs before; when the log does not take it, Slack is told so and sends it again.
"""

import logging
from collections.abc import Callable
from typing import Any

from slack_bolt import App, BoltResponse

from bot.slack.asked import Asked, of_direct_message, of_mention
from bot.slack.heard import plain_of
from shared.errors import LmlError
from shared.log import heard
from shared.log.engine import Log

logger = logging.getLogger(__name__)

_SAID = (None, "file_share")
"""The subtypes of messages that people write; every other one tells of something else, such as an edit."""


class Ears:
    """Writes down what is said to the bot; `bot_user` is its own id, and `woken` is called for each new message."""

    def __init__(self, log: Log, *, bot_user: str, woken: Callable[[], None]) -> None:
        self._log, self._bot_user, self._woken = log, bot_user, woken

    def mention(self, body: dict[str, Any], next: Callable[[], Any]) -> BoltResponse | None:  # noqa: A002 - Bolt's word
        """A message that names the bot."""
        event = body.get("event") or {}
        direct = event.get("channel_type") == "im"  # comes as a direct message too
        return self._hear(of_mention(body, bot_user=self._bot_user), event, next, wanted=not direct)

    def direct_message(self, body: dict[str, Any], next: Callable[[], Any]) -> BoltResponse | None:  # noqa: A002
        """A message to the bot alone."""
        event = body.get("event") or {}
        asked = of_direct_message(body, bot_user=self._bot_user)
        return self._hear(asked, event, next, wanted=event.get("channel_type") == "im")

    def _hear(
        self,
        asked: Asked,
        event: dict[str, Any],
        next: Callable[[], Any],  # noqa: A002
        *,
        wanted: bool,
    ) -> BoltResponse | None:
        by_person = event.get("subtype") in _SAID and not event.get("bot_id") and asked.user_id != self._bot_user
        if not wanted or not by_person or not asked.user_id or not asked.channel_id or event.get("hidden"):
            return BoltResponse(status=200, body="")
        try:
            with self._log.write() as connection:
                new = heard.hear(
                    connection,
                    key=asked.key or "",
                    team_id=asked.team_id,
                    channel_id=asked.channel_id,
                    thread_ts=asked.thread_ts,
                    body={"asked": plain_of(asked)},
                )
        except LmlError as error:
            logger.warning("A message could not be written down, Slack will send it again: %s", error)
            return BoltResponse(status=503, body="")
        if new:
            self._woken()
        next()
        return None


def register(app: App, ears: Ears) -> None:
    """Listen to both kinds of messages."""

    def acknowledged() -> None:
        """All is done before."""

    app.event("app_mention", middleware=[ears.mention])(acknowledged)
    app.event("message", middleware=[ears.direct_message])(acknowledged)

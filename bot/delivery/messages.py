"""A card's message in Slack: posted once, updated in place; says what came of it as a value, never by an exception."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.slack.blocks import Block
from bot.slack.web import LOST, code_of, outcome_unknown, retry_after_s

logger = logging.getLogger(__name__)

METADATA_TYPE = "lml_run"
"""The event type of a card's metadata, by which a message is found again whose ts never arrived."""

NOT_POSSIBLE_HERE = frozenset(
    {
        "not_in_channel",
        "channel_not_found",
        "is_archived",
        "posting_to_channel_denied",
        "restricted_action",
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
        "restricted_action_non_threadable_channel",
        "messages_tab_disabled",
        "user_not_in_channel",
        "cannot_reply_to_message",
    }
)
_BLOCKS_REFUSED = frozenset(
    {
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "msg_blocks_too_many",
        "msg_too_long",
        "block_mismatch",
        "invalid_metadata_format",
        "invalid_metadata_schema",
        "metadata_too_large",
    }
)
_MESSAGE_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "is_inactive"})
_TOKEN_REFUSED = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "missing_scope",
        "not_allowed_token_type",
        "no_permission",
        "org_login_required",
        "ekm_access_denied",
        "team_access_not_granted",
    }
)


class Came(Enum):
    """What came of a call."""

    WELL = auto()  # done; `ts` is the message's
    UNKNOWN = auto()  # no answer, or one that leaves open whether it was done
    LATER = auto()  # not done; again after `wait_s`
    GONE = auto()  # not done: the message to update is not there any more
    NOT_HERE = auto()  # not done: this channel takes nothing from the bot
    TOKEN_REFUSED = auto()  # not done: nothing will be until an operator acts
    REFUSED = auto()  # not done, for another reason


@dataclass(frozen=True)
class Outcome:
    """What came of a call, and what Slack called it."""

    came: Came
    ts: str | None = None
    code: str = ""
    wait_s: float = 0.0


class Messages:
    """Sends, updates and finds the messages of cards."""

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def post(self, channel: str, run: int, text: str, blocks: list[Block]) -> Outcome:
        """Post a card; as plain text when its blocks are not taken. Never tries again by itself."""
        metadata = {"event_type": METADATA_TYPE, "event_payload": {"run": run}}
        options: dict[str, Any] = {"channel": channel, "unfurl_links": False, "unfurl_media": False, "parse": "none"}
        outcome = self._call(self._client.chat_postMessage, text=text, blocks=blocks, metadata=metadata, **options)
        if outcome.came is Came.REFUSED and outcome.code in _BLOCKS_REFUSED:
            logger.warning("Slack refused the blocks of run %s (%s); sent as plain text.", run, outcome.code)
            known = {} if "metadata" in outcome.code else {"metadata": metadata}
            outcome = self._call(self._client.chat_postMessage, text=text, **known, **options)
        return outcome

    def update(self, channel: str, run: int, ts: str, text: str, blocks: list[Block]) -> Outcome:
        """Update a card in place; as plain text when its blocks are not taken."""
        options: dict[str, Any] = {"channel": channel, "ts": ts, "parse": "none"}
        outcome = self._call(self._client.chat_update, text=text, blocks=blocks, **options)
        if outcome.came is Came.REFUSED and outcome.code in _BLOCKS_REFUSED:
            logger.warning("Slack refused the blocks of run %s (%s); sent as plain text.", run, outcome.code)
            outcome = self._call(self._client.chat_update, text=text, blocks=[], **options)
        return outcome

    def find(self, channel: str, run: int, *, since: float) -> Outcome:
        """The message of a run whose post was never answered: `ts` is None when it surely was not posted."""
        try:
            answer = self._client.conversations_history(
                channel=channel,
                oldest=f"{since - 60:.6f}",  # this machine's clock is not Slack's
                latest=f"{since + 180:.6f}",
                limit=200,
                include_all_metadata=True,
            )
        except SlackApiError as error:
            return outcome_of(error)
        except LOST as error:
            return Outcome(Came.UNKNOWN, code=_reason(error))
        for message in answer.get("messages") or []:
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            if metadata.get("event_type") == METADATA_TYPE and payload.get("run") == run:
                return Outcome(Came.WELL, ts=str(message["ts"]))
        return Outcome(Came.WELL)

    def tell(self, user: str, channel: str, text: str) -> bool:
        """Tell a person something that belongs to no card: in a direct message, else in the channel for them alone."""
        outcome = self._call(self._client.chat_postMessage, channel=user, text=text, parse="none", unfurl_links=False)
        if outcome.came is not Came.WELL:
            outcome = self._call(self._client.chat_postEphemeral, channel=channel, user=user, text=text, parse="none")
        return outcome.came is Came.WELL

    def reply(self, channel: str, thread_ts: str, text: str) -> Outcome:
        """Say something in a card's thread."""
        return self._call(self._client.chat_postMessage, channel=channel, thread_ts=thread_ts, text=text, parse="none")

    def _call(self, call: Callable[..., SlackResponse], **arguments: Any) -> Outcome:
        try:
            answer = call(**arguments)
        except SlackApiError as error:
            return outcome_of(error)
        except LOST as error:
            return Outcome(Came.UNKNOWN, code=_reason(error))
        return Outcome(Came.WELL, ts=str(answer.get("ts") or answer.get("message_ts") or ""))


def mark_now() -> str:
    """What stands for a message's ts while its post is under way."""
    return f"?{time.time():.6f}"


def marked_since(message_ts: str) -> float | None:
    """When a post began that was never answered; None for the ts of a message."""
    return float(message_ts[1:]) if message_ts.startswith("?") else None


def outcome_of(error: SlackApiError) -> Outcome:
    """What an error of Slack's means for whoever called."""
    code = code_of(error)
    if code == "ratelimited":
        return Outcome(Came.LATER, code=code, wait_s=retry_after_s(error))
    if outcome_unknown(error):
        return Outcome(Came.UNKNOWN, code=code)
    if code in _MESSAGE_GONE:
        return Outcome(Came.GONE, code=code)
    if code in NOT_POSSIBLE_HERE:
        return Outcome(Came.NOT_HERE, code=code)
    if code in _TOKEN_REFUSED:
        return Outcome(Came.TOKEN_REFUSED, code=code)
    return Outcome(Came.REFUSED, code=code)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "reason", "") or error) or type(error).__name__

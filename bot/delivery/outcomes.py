"""What can come of a call of Slack's Web API, and what each of its error words means for whoever called."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.slack.web import LOST, code_of, outcome_unknown, reason_of, retry_after_s

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
    }
)
_GONE = frozenset({"message_not_found"})
_FIXED = frozenset(
    {
        "cant_update_message",
        "edit_window_closed",
        "is_inactive",
        "streaming_state_conflict",
        "message_not_in_streaming_state",
    }
)
_TOKEN_REFUSED = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "org_login_required",
        "ekm_access_denied",
        "team_access_not_granted",
    }
)
_METHOD_REFUSED = frozenset({"missing_scope", "not_allowed_token_type", "no_permission"})
_FILE_GONE = frozenset({"file_not_found", "file_deleted", "access_denied", "not_visible"})


class Came(Enum):
    """What came of a call."""

    WELL = auto()  # done; `ts` is the message's
    UNKNOWN = auto()  # no answer, or one that leaves open whether it was done
    LATER = auto()  # not done; again after `wait_s`
    GONE = auto()  # not done: the message or the file is not there any more
    FIXED = auto()  # not done: the message stands and cannot be changed
    BLOCKS_REFUSED = auto()  # not done: Slack does not take these blocks
    NOT_HERE = auto()  # not done: this channel takes nothing from the bot
    METHOD_REFUSED = auto()  # not done: the app may not call this method; `needed` is the scope that it lacks
    TOKEN_REFUSED = auto()  # not done: nothing will be until an operator acts
    REFUSED = auto()  # not done, for another reason


@dataclass(frozen=True)
class Outcome:
    """What came of a call, and what Slack called it."""

    came: Came
    ts: str | None = None
    code: str = ""
    wait_s: float = 0.0
    needed: str = ""
    method: str = ""


WELL = Outcome(Came.WELL)

UNREACHED_AGAIN_S = 5.0
_NEVER_SENT = (ConnectionRefusedError, socket.gaierror)
"""Nobody was connected to, so nothing was done."""


def attempt(method: str, call: Callable[..., SlackResponse], **arguments: Any) -> tuple[Outcome, SlackResponse | None]:
    """Call a method once; what came of it as a value, never as an exception, and Slack's answer where it was well."""
    try:
        answer = call(**arguments)
    except SlackApiError as error:
        return outcome_of(error, method=method), None
    except LOST as error:
        if isinstance(getattr(error, "reason", error), _NEVER_SENT):
            return Outcome(Came.LATER, code=reason_of(error), wait_s=UNREACHED_AGAIN_S, method=method), None
        return Outcome(Came.UNKNOWN, code=reason_of(error), method=method), None
    return Outcome(Came.WELL, ts=str(answer.get("ts") or answer.get("message_ts") or ""), method=method), answer


def outcome_of(error: SlackApiError, *, method: str = "") -> Outcome:
    """What an error of Slack's means for whoever called."""
    code = code_of(error)
    if code == "ratelimited":
        return Outcome(Came.LATER, code=code, wait_s=retry_after_s(error), method=method)
    if outcome_unknown(error):
        return Outcome(Came.UNKNOWN, code=code, method=method)
    kinds = {
        Came.GONE: _GONE | _FILE_GONE,
        Came.FIXED: _FIXED,
        Came.BLOCKS_REFUSED: _BLOCKS_REFUSED,
        Came.NOT_HERE: NOT_POSSIBLE_HERE,
        Came.TOKEN_REFUSED: _TOKEN_REFUSED,
        Came.METHOD_REFUSED: _METHOD_REFUSED,
    }
    came = next((came for came, codes in kinds.items() if code in codes), Came.REFUSED)
    return Outcome(came, code=code, needed=_needed(error), method=method)


def refused_sentence(outcome: Outcome) -> str:
    """What an operator has to do about a token or a method that Slack refuses."""
    if outcome.came is Came.METHOD_REFUSED:
        lacks = f"the app lacks the scope {outcome.needed}" if outcome.needed else outcome.code
        return (
            f"Slack refuses {outcome.method}: {lacks}. Add it under OAuth & Permissions and install the app again;"
            " `lml doctor` checks it."
        )
    return f"Slack refuses the bot's token ({outcome.code}): correct it; `lml doctor` checks it."


def _needed(error: SlackApiError) -> str:
    try:
        return str(error.response["needed"] or "")
    except (KeyError, TypeError, ValueError):
        return ""

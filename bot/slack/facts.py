"""What Slack itself says of users, channels and user groups: asked once, then kept for some minutes."""

import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, TypeVar

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack.web import LOST, code_of, retry_after_s
from shared.errors import NotAllowed, Problem

logger = logging.getLogger(__name__)

T = TypeVar("T")

KEPT_S = 300.0
"""How long an answer counts: so long a guest or a channel that became one stays what it was."""
FAILED_KEPT_S = 30.0
_MOST_KEPT = 5_000
_WAIT_S = 20.0


class NotKnown(Exception):
    """Slack would have to be asked."""


@dataclass(frozen=True)
class UserFacts:
    """What somebody is in the workspace."""

    member: bool
    """A full member who is there: no guest, no stranger of another workspace, no bot, not deactivated."""
    what: str
    """What else they are, for a sentence."""


@dataclass(frozen=True)
class ChannelFacts:
    """What a channel is."""

    external: bool
    """Whether people of other organisations are in it, or are invited."""
    public: bool
    direct: bool


class Facts:
    """Asks Slack, and remembers. Each answer raises `NotAllowed` where Slack does not give it."""

    def __init__(self, client: WebClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._users = _Kept(lambda user: _user(client, user), clock)
        self._channels = _Kept(lambda channel: _channel(client, channel), clock)
        self._groups = _Kept(lambda group: _members(client, group), clock)

    def user(self, team_id: str | None, user_id: str, *, ask: bool = True) -> UserFacts:
        """What a user is to a workspace, or to their own.

        With `ask=False`, here and below, raises `NotKnown` where Slack would have to be asked.
        """
        return _judged(self._users.get(user_id, ask=ask), team_id)

    def channel(self, channel_id: str, *, ask: bool = True) -> ChannelFacts:
        """What a channel is."""
        return self._channels.get(channel_id, ask=ask)

    def members(self, group_id: str, *, ask: bool = True) -> frozenset[str]:
        """The users of a user group."""
        return self._groups.get(group_id, ask=ask)

    def forget(self, key: str) -> None:
        """Ask again about what has this id."""
        for kept in (self._users, self._channels, self._groups):
            kept.forget(key)


class _Kept(Generic[T]):
    """Answers by key, each for a while; whoever asks while one is on its way waits for that one."""

    def __init__(self, look_up: Callable[[str], T], clock: Callable[[], float]) -> None:
        self._look_up, self._clock = look_up, clock
        self._lock = Lock()
        self._answers: dict[str, _Answer[T]] = {}

    def get(self, key: str, *, ask: bool) -> T:
        """The answer that is kept, or a new one."""
        with self._lock:
            answer = self._answers.get(key)
            mine = answer is None or self._clock() >= answer.ends_at
            if not ask and (answer is None or mine or not answer.future.done()):
                raise NotKnown
            if answer is None or mine:
                self._make_room()
                answer = self._answers[key] = _Answer()
        if mine:
            self._look(key, answer)
        try:
            found = answer.future.result(timeout=_WAIT_S)
        except TimeoutError:
            found = _missing("what LML asked", "it does not answer", _LATER)
        if isinstance(found, Problem):
            raise NotAllowed(found)
        return found

    def forget(self, key: str) -> None:
        """Keep it no longer; one on its way is given to those who wait for it, and to nobody after them."""
        with self._lock:
            self._answers.pop(key, None)

    def _look(self, key: str, answer: "_Answer[T]") -> None:
        found: T | Problem = _missing("what LML asked", "LML itself broke on it", _LATER)
        kept_s = FAILED_KEPT_S
        try:
            found, kept_s = self._look_up(key), KEPT_S
        except _Failed as error:
            found, kept_s = error.problem, max(FAILED_KEPT_S, error.wait_s)
        except Exception:  # the border: who cannot be looked up is nobody
            logger.exception("Slack's facts about %s could not be read.", key)
        finally:
            answer.ends_at = self._clock() + kept_s
            answer.future.set_result(found)

    def _make_room(self) -> None:
        if len(self._answers) >= _MOST_KEPT:
            self._answers = {key: kept for key, kept in self._answers.items() if not kept.future.done()}


class _Answer(Generic[T]):
    """An answer, or why there is none; on its way until `future` is done."""

    def __init__(self) -> None:
        self.future: Future[T | Problem] = Future()
        self.ends_at = math.inf


class _Failed(Exception):
    """Slack gave no answer."""

    def __init__(self, problem: Problem, *, wait_s: float = 0.0) -> None:
        super().__init__(problem.message)
        self.problem, self.wait_s = problem, wait_s


def _user(client: WebClient, user_id: str) -> dict[str, Any]:
    found = _asked(lambda: client.users_info(user=user_id), "who you are", gone=("user_not_found", "user_not_visible"))
    return dict(found.get("user") or {})


def _judged(user: dict[str, Any], team_id: str | None) -> UserFacts:
    of_grid = (user.get("enterprise_user") or {}).get("teams") or ()
    here = team_id is None or user.get("team_id", team_id) == team_id or team_id in of_grid
    marks = (
        ("an account that was deactivated", not user or user.get("deleted")),
        ("a bot", user.get("is_bot") or user.get("id") == "USLACKBOT"),
        ("a guest", user.get("is_restricted") or user.get("is_ultra_restricted")),
        ("a member of another workspace", user.get("is_stranger") or not here),
    )
    what = next((name for name, holds in marks if holds), "")
    return UserFacts(member=not what, what=what or "a full member")


def _channel(client: WebClient, channel_id: str) -> ChannelFacts:
    found = _asked(lambda: client.conversations_info(channel=channel_id), "what this channel is")
    channel = dict(found.get("channel") or {})
    closed = any(channel.get(mark) for mark in ("is_private", "is_group", "is_im", "is_mpim"))
    return ChannelFacts(
        external=bool(not channel or channel.get("is_ext_shared") or channel.get("is_pending_ext_shared")),
        public=bool(channel.get("is_channel")) and not closed,
        direct=bool(channel.get("is_im")),
    )


def _members(client: WebClient, group_id: str) -> frozenset[str]:
    gone = ("no_such_subteam", "subteam_not_found")
    found = _asked(lambda: client.usergroups_users_list(usergroup=group_id), "who is in a user group", gone=gone)
    return frozenset(map(str, found.get("users") or ()))


def _asked(call: Callable[[], Any], what: str, *, gone: tuple[str, ...] = ()) -> dict[str, Any]:
    """Slack's answer; empty for what it does not have."""
    try:
        return dict(call().data)
    except SlackApiError as error:
        code = code_of(error)
        if code in gone:
            return {}
        wait_s = retry_after_s(error) if code == "ratelimited" else 0.0
        raise _Failed(_missing(what, *_reason(error, code)), wait_s=wait_s) from error
    except LOST as error:
        reason = getattr(error, "reason", "") or type(error).__name__
        raise _Failed(_missing(what, f"it does not answer ({reason})", _LATER)) from error


_LATER = "Try again in a minute."


def _reason(error: SlackApiError, code: str) -> tuple[str, str]:
    if code == "missing_scope":
        needed = str(error.response.get("needed") or "that it names in its log")
        add = "Its operator adds it under OAuth & Permissions and installs the app again; `lml doctor` checks it."
        return f"the app needs the scope {needed}", add
    if code in ("channel_not_found", "not_in_channel"):
        return f"LML is not in it ({code})", "`/invite @lml` here, then try again."
    return f"it answers {code}", _LATER


def _missing(what: str, reason: str, hint: str) -> Problem:
    return Problem("slack_facts_missing", f"LML serves only whom it knows; Slack does not say {what}: {reason}.", hint)

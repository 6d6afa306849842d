"""Answers messages that named the bot or were sent to it: each once, whatever dies or is not heard of in between.

The steps, each noted in the log before the next begins (`shared.log.heard`): heard, answered, being posted, posted. A
post that nobody heard the outcome of is looked for by its metadata; where the bot may not look, it is not posted again
by guess: the person alone is shown the answer.
"""

import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from bot.delivery.messages import Messages, notice_tag
from bot.delivery.outcomes import Came, Outcome
from bot.delivery.pace import Pace
from bot.slack.asked import Asked, SharedFile
from bot.slack.command import CommandDesk
from bot.slack.render import message
from shared.access import Entry
from shared.log import heard
from shared.log.engine import Log
from shared.log.heard import Heard

logger = logging.getLogger(__name__)

LEASE_S = 60.0
UNSURE_S = 30.0
"""How long a post that was not answered may still be done by Slack."""
_AGAIN_S = 5.0
_MOST_TRIES = 8
_FORGET_EVERY_S = 3600.0
_POST = "chat.postMessage"


def plain_of(asked: Asked) -> dict[str, Any]:
    """What was asked, as the log keeps it; what ends soon (a trigger, a response_url) is left out."""
    return {**asdict(asked), "response_url": None, "trigger_id": None}


def asked_of(plain: Mapping[str, Any]) -> Asked:
    """The counterpart of `plain_of`."""
    known = {field.name: plain[field.name] for field in fields(Asked) if field.name in plain}
    files = tuple(SharedFile(file["id"], file["name"]) for file in plain.get("files") or ())
    return Asked(**{**known, "entry": Entry(plain["entry"]), "files": files})


class HeardAnswers:
    """Answers what was heard, one message at a time. Used by one thread; several share the work through the log."""

    def __init__(
        self, log: Log, desk: CommandDesk, messages: Messages, pace: Pace, *, unsure_s: float = UNSURE_S
    ) -> None:
        self._unsure_s = unsure_s
        self._log, self._desk, self._messages, self._pace = log, desk, messages, pace
        self._owner = f"bot-{uuid.uuid4().hex[:12]}"
        self._forget_at = 0.0

    def send_next(self) -> bool:
        """Bring the oldest message that waits one step further; False when none does."""
        met = self._take()
        if met is None:
            self._forget_old()
            return False
        answer = met.body if "text" in met.body else self._answered(met)
        if answer is None:
            return True
        if met.marked_s is not None and not self._surely_not_posted(met, met.marked_s, answer):
            return True
        self._post(met, answer)
        return True

    def _take(self) -> Heard | None:
        with self._log.read() as connection:
            if not heard.is_due(connection):
                return None
        with self._log.write() as connection:
            return heard.take(connection, owner=self._owner, lease_s=LEASE_S)

    def _answered(self, met: Heard) -> dict[str, Any] | None:
        asked = asked_of(met.body["asked"])
        reply = self._desk.begin(asked).result()
        text, blocks = message(reply.card)
        alone = reply.alone and asked.entry is not Entry.MESSAGE
        answer = {"text": text, "blocks": blocks, "user": asked.user_id, "alone": alone}
        with self._log.write() as connection:
            mine = heard.answered(connection, met.id, answer, owner=self._owner)
        return answer if mine else None

    def _surely_not_posted(self, met: Heard, since: float, answer: Mapping[str, Any]) -> bool:
        """Whether a post that was begun before did not arrive; else the message is settled here."""
        found = self._messages.find(met.channel_id, notice_tag(met.key), since=since, thread_ts=met.thread_ts)
        if found.came is Came.WELL and not found.ts:
            left_s = self._unsure_s - met.unheard_for_s
            if left_s > 0:  # Slack may post it yet
                self._put_off(met, Outcome(Came.LATER, wait_s=left_s))
            return left_s <= 0
        if found.came is Came.WELL:
            self._done(met, ts=found.ts)
        elif found.came in (Came.UNKNOWN, Came.LATER) and met.tries < _MOST_TRIES:
            self._put_off(met, found)
        else:
            self._tell_alone(met, answer, found)
        return False

    def _post(self, met: Heard, answer: Mapping[str, Any]) -> None:
        wait_s = self._pace.take(_POST, channel=met.channel_id, urgent=True)
        if wait_s > 0:
            self._put_off(met, Outcome(Came.LATER, wait_s=wait_s))
            return
        if answer.get("alone"):
            self._show_alone(met, answer)
            return
        asked_at = time.monotonic()
        with self._log.write() as connection:
            if not heard.mark(connection, met.id, owner=self._owner, lease_s=LEASE_S):
                return
        if time.monotonic() - asked_at > LEASE_S / 2:  # this process stood still: the lease may be gone
            self._unmark(met)
            self._put_off(met, Outcome(Came.LATER, wait_s=_AGAIN_S))
            return
        outcome = self._say(met, answer, list(answer["blocks"]))
        if outcome.came is Came.BLOCKS_REFUSED:
            logger.warning("Slack refused the blocks of an answer (%s); sent as plain text.", outcome.code)
            outcome = self._say(met, answer, [])
        if outcome.came is Came.WELL:
            self._done(met, ts=outcome.ts)
        elif outcome.came is Came.UNKNOWN:  # the mark stands: it is looked for before anything else
            self._put_off(met, outcome)
        elif outcome.came is Came.LATER or (outcome.came is Came.TOKEN_REFUSED and met.tries < _MOST_TRIES):
            self._pace.hold(_POST, outcome.wait_s, channel=met.channel_id)
            self._unmark(met)
            self._put_off(met, outcome)
        else:
            self._tell_alone(met, answer, outcome)

    def _say(self, met: Heard, answer: Mapping[str, Any], blocks: list[dict[str, Any]]) -> Outcome:
        tag = notice_tag(met.key)
        return self._messages.post(met.channel_id, tag, answer["text"], blocks, thread_ts=met.thread_ts)

    def _tell_alone(self, met: Heard, answer: Mapping[str, Any], why: Outcome) -> None:
        """The last way: shown to the person alone."""
        told = self._messages.tell(str(answer["user"]), met.channel_id, str(answer["text"]))
        if told.came is not Came.WELL:
            logger.error("An answer in %s could not be given: %s, then %s.", met.channel_id, why.code, told.code)
        self._done(met, ts=None, problem=why.code or why.came.name.lower())

    def _show_alone(self, met: Heard, answer: Mapping[str, Any]) -> None:
        """What is not for the others of a channel."""
        told = self._messages.tell(str(answer["user"]), met.channel_id, str(answer["text"]))
        if told.came is Came.LATER and met.tries < _MOST_TRIES:
            self._pace.hold(told.method, told.wait_s)
            self._put_off(met, told)
            return
        if told.came is not Came.WELL:
            logger.error("An answer in %s could not be given: %s.", met.channel_id, told.code)
        self._done(met, ts=told.ts, problem=None if told.came is Came.WELL else told.code)

    def _done(self, met: Heard, *, ts: str | None, problem: str | None = None) -> None:
        with self._log.write() as connection:
            heard.done(connection, met.id, owner=self._owner, message_ts=ts, problem=problem)

    def _put_off(self, met: Heard, outcome: Outcome) -> None:
        seconds = outcome.wait_s or min(_AGAIN_S * 2.0 ** min(met.tries, 6), 300.0)
        with self._log.write() as connection:
            heard.put_off(connection, met.id, owner=self._owner, seconds=seconds)

    def _unmark(self, met: Heard) -> None:
        with self._log.write() as connection:
            heard.unmark(connection, met.id, owner=self._owner)

    def _forget_old(self) -> None:
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + _FORGET_EVERY_S
            with self._log.write() as connection:
                heard.forget_old(connection)

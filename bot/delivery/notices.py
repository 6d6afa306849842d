"""Sends the messages that are no cards, from the outbox: each once.

The life of a notice: written with what it tells of, or by the log channel's desk; taken under a lease by one bot; a
mark noted before it is posted; done with its ts. A mark that is met again means that nobody heard what came of it: the
message is looked for by its key, and where the bot may not look it is not sent again by guess.
"""

import logging
import time
import uuid
from collections.abc import Callable

from bot.delivery.log_channel import LogChannel, LogChannelDesk, notice_card
from bot.delivery.looks import Looks, drawn
from bot.delivery.messages import Messages, notice_tag
from bot.delivery.outcomes import Came, Outcome, refused_sentence
from bot.delivery.pace import Pace
from bot.delivery.rates import ANY_METHOD
from bot.delivery.sender import MOST_TRIES, REFUSED_AGAIN_S, Rhythm
from bot.slack.blocks import Block
from shared.log import notices
from shared.log.engine import Log
from shared.log.notices import Notice, NoticeKind
from shared.log.runs import Run

logger = logging.getLogger(__name__)

_POST, _UNSURE = "chat.postMessage", "unsure"
_DIGEST_AGAIN_S = 3600.0


class NoticeSender:
    """Sends notices, one at a time. Used by one thread."""

    def __init__(  # noqa: PLR0913 - what it works with; the named ones are how
        self,
        log: Log,
        messages: Messages,
        pace: Pace,
        *,
        channel: LogChannel | None = None,
        rhythm: Rhythm | None = None,
        page_of: Callable[[Run, str], str] = lambda _run, _channel: "",
        looks: Looks | None = None,
    ) -> None:
        self._log, self._messages, self._pace = log, messages, pace
        self._rhythm, self._page_of, self._looks = rhythm or Rhythm(), page_of, looks or Looks()
        self._desk = None if channel is None else LogChannelDesk(log, channel)
        self._owner = f"bot-{uuid.uuid4().hex[:12]}"

    def send_next(self) -> bool:
        """Send the next notice that is due; False when none is."""
        if self._desk is not None:
            self._desk.write_due()
        with self._log.read() as connection:  # most looks find nothing, and cost no write
            full = self._pace.closed_channels(_POST)
            if not notices.is_due(connection, full_channels=full):
                return False
        lease_s = self._rhythm.lease_s
        with self._log.write() as connection:
            notice = notices.take(connection, owner=self._owner, lease_s=lease_s, full_channels=full)
        if notice is None:
            return False
        if notice.marked_s is None or self._is_not_there(notice):
            self._send(notice)
        return True

    def soonest_s(self) -> float | None:
        """How soon a channel may take a message that took none; None when none was asked in vain."""
        return self._pace.soonest_s(_POST)

    def _is_not_there(self, notice: Notice) -> bool:
        """Look for a message that may exist; True when it surely does not."""
        if notice.kind is NoticeKind.TELL:  # a conversation whose id only its message has told
            self._done(notice, problem=_UNSURE)
            return False
        method = "conversations.history" if notice.thread_ts is None else "conversations.replies"
        wait_s = self._pace.take(method)
        if wait_s > 0:
            self._later(notice, wait_s)
            return False
        tag, since = notice_tag(notice.key), notice.marked_s or 0.0
        found = self._messages.find(notice.channel_id, tag, since=since, thread_ts=notice.thread_ts)
        left_s = self._rhythm.unsure_s - notice.unheard_for_s
        if found.came is Came.WELL and found.ts:
            self._done(notice, message_ts=found.ts)
        elif found.came is Came.WELL and left_s <= 0:
            return True
        elif found.came is Came.WELL:  # Slack may post it yet
            self._later(notice, left_s)
        elif found.came in (Came.METHOD_REFUSED, Came.REFUSED):
            logger.warning("It is not known whether the notice %s was posted: %s.", notice.key, found.code)
            self._done(notice, problem=_UNSURE)
        else:
            self._settle(notice, found)
        return False

    def _send(self, notice: Notice) -> None:
        if self._pace.take(_POST, channel=notice.channel_id) > 0:  # this channel is left out until it has a turn
            with self._log.write() as connection:
                notices.give_back(connection, notice, owner=self._owner)
            return
        text, blocks = self._drawn(notice)
        asked_at, lease_s = time.monotonic(), self._rhythm.lease_s
        with self._log.write() as connection:
            if not notices.note_posting(connection, notice, owner=self._owner, lease_s=lease_s):
                return
        if time.monotonic() - asked_at > lease_s / 2:  # this process stood still: the lease may be gone
            outcome = Outcome(Came.LATER, code="stood_still")
        else:
            tag = notice_tag(notice.key)
            outcome = self._messages.post(notice.channel_id, tag, text, blocks, thread_ts=notice.thread_ts)
        if outcome.came is Came.WELL:
            self._looks.take(notice.key, 0)
            self._done(notice, message_ts=outcome.ts)
            return
        if outcome.came is not Came.UNKNOWN:
            with self._log.write() as connection:
                notices.note_unposted(connection, notice, owner=self._owner)
        self._settle(notice, outcome, blocks)

    def _drawn(self, notice: Notice) -> tuple[str, list[Block]]:
        if notice.kind in (NoticeKind.TELL, NoticeKind.THREAD):
            return str(notice.body["text"]), []
        card, more = notice_card(self._log, notice, page_of=self._page_of)
        text, blocks = drawn(card, self._looks.of(notice.key, 0))
        return text, [*blocks, more] if more is not None and blocks else blocks

    def _settle(self, notice: Notice, outcome: Outcome, blocks: list[Block] | None = None) -> None:
        """Decide what becomes of a notice that could not be sent."""
        if outcome.came is Came.LATER:
            if outcome.code == "ratelimited":
                self._pace.hold(outcome.method, outcome.wait_s)
            self._later(notice, outcome.wait_s)
        elif outcome.came is Came.BLOCKS_REFUSED and self._looks.refuse(notice.key, 0, blocks or []):
            self._later(notice, 0.0)
        elif outcome.came in (Came.TOKEN_REFUSED, Came.METHOD_REFUSED):
            logger.error("%s", refused_sentence(outcome))
            self._pace.hold(ANY_METHOD if outcome.came is Came.TOKEN_REFUSED else outcome.method, REFUSED_AGAIN_S)
            self._later(notice, REFUSED_AGAIN_S)
        elif outcome.came is Came.UNKNOWN:
            self._later(notice, self._rhythm.after_s(notice.tries), tried=True)
        elif notice.kind is NoticeKind.TELL:
            self._tell_there(notice, outcome)
        else:
            self._refused(notice, outcome)

    def _tell_there(self, notice: Notice, outcome: Outcome) -> None:
        """Who takes no direct message is told in the channel, for them alone."""
        told = self._messages.tell(notice.channel_id, str(notice.body["else_channel"]), str(notice.body["text"]))
        if told.came is Came.LATER:
            self._pace.hold(told.method, told.wait_s)
            self._later(notice, told.wait_s)
            return
        if told.came is not Came.WELL:
            logger.warning("Nobody could be told of run %s: %s, %s.", notice.run, outcome.code, told.code)
        self._done(notice, message_ts=told.ts, problem=None if told.came is Came.WELL else told.code)

    def _refused(self, notice: Notice, outcome: Outcome) -> None:
        where = "the log channel (LML_SLACK_LOG_CHANNEL)" if notice.kind is not NoticeKind.THREAD else "a thread"
        logger.error("Slack takes no message in %s, %s: %s.", where, notice.channel_id, outcome.code)
        if notice.kind is NoticeKind.DIGEST and notice.tries < MOST_TRIES:  # somebody may invite the bot yet
            self._later(notice, _DIGEST_AGAIN_S, tried=True)
        elif outcome.came is Came.REFUSED and outcome.code != "thread_not_found" and notice.tries < MOST_TRIES:
            self._later(notice, self._rhythm.after_s(notice.tries), tried=True)
        else:
            self._done(notice, problem=outcome.code)

    def _done(self, notice: Notice, *, message_ts: str | None = None, problem: str | None = None) -> None:
        self._looks.forget(notice.key)
        with self._log.write() as connection:
            notices.done(connection, notice, owner=self._owner, message_ts=message_ts, problem=problem)

    def _later(self, notice: Notice, seconds: float, *, tried: bool = False) -> None:
        with self._log.write() as connection:
            notices.later(connection, notice, owner=self._owner, seconds=seconds, tried=tried)

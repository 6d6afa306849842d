"""Brings one card up to date: takes it under a lease, renders its run as it stands now, sends, stores what it shows.

The life of a card, each step a note in the log before the next begins:
1. `place`: the run wants a card in a channel (written with the run).
2. A mark stands where the message's ts will stand: the post is under way.
3. The ts stands there: updates go to it. A mark that is met again means that nobody heard what came of the post; the
   message is then looked for by its metadata, and only when it surely is not there is it posted again.
4. The run succeeded and its card shows it: its files go into the thread (`thread_files`).
5. Given up, with the reason: the channel takes nothing from the bot, and the person is told so.

A run that has ended comes before all progress and is never left out; progress is drawn from the state of the moment,
and the more cards there are, the rarer.
"""

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.delivery.card_view import CardView, card_view
from bot.delivery.lease import Lease, LeaseLost
from bot.delivery.looks import Looks, drawn
from bot.delivery.messages import Messages, run_tag
from bot.delivery.not_here import tell_not_here
from bot.delivery.outcomes import Came, Outcome, refused_sentence
from bot.delivery.pace import Pace
from bot.delivery.rates import ANY_METHOD
from bot.delivery.thread_files import Thread, ThreadFiles
from bot.slack.blocks import Block
from shared.log import cards
from shared.log.cards import CardPlace, Wanted
from shared.log.engine import Log, now
from shared.log.runs import Run, RunState

logger = logging.getLogger(__name__)

REFUSED_AGAIN_S = 300.0
MOST_TRIES = 10
"""After so many tries in a row that Slack refuses, a card is given up."""

LOOKS_BACK = timedelta(hours=1)
FULL_LOOK_S = 300.0
"""How often cards are looked at whose runs ended longer ago than that; the first look is such a one."""

_HISTORY = "conversations.history"
_SLACK_IN_TURNS = 1.2
"""A little more than its share, so that ends and new cards find turns too."""

EARLIER = (
    "Slack did not say whether this card was posted before: an earlier one may stand above, which does not change any"
    " more."
)


@dataclass(frozen=True)
class Rhythm:
    """How often a card may change, and how soon it is tried again after a failure (twice as long after each)."""

    running_every_s: float = 3.0
    waiting_every_s: float = 1.0
    backoff_s: float = 1.0
    lease_s: float = 30.0
    """How long a bot that was killed keeps its card; longer than any call of Slack's."""
    unsure_s: float = 30.0
    """How long a request that was not answered may still be done by Slack."""

    def after_s(self, tries: int) -> float:
        """How long to wait after so many tries that failed."""
        return min(60.0, self.backoff_s * 2.0 ** min(tries, 6))


@dataclass
class _Memory:
    """What this sender alone remembers of a card until its run is over; the log holds what must not be lost."""

    tries: int = 0
    """In a row, that Slack refused."""
    unsure_at: float | None = None
    """When it last did not answer an edit."""
    may_be_second: bool = False
    """An earlier message of this card may stand above, for the bot may not look."""
    fixed: bool = False
    """Its message takes no change, or is gone: it was posted anew, or will be for its end."""


@dataclass(frozen=True)
class Duties:
    """What a sender takes: cards, files, or both."""

    cards: bool = True
    files: bool = True


class CardSender:
    """Sends cards, one at a time. Used by one thread."""

    def __init__(  # noqa: PLR0913 - what it works with; the named ones are how
        self,
        log: Log,
        messages: Messages,
        files: ThreadFiles,
        pace: Pace,
        *,
        rhythm: Rhythm | None = None,
        bot_name: str = "lml",
        page_of: Callable[[Run, str], str] = lambda _run, _channel: "",
        looks: Looks | None = None,
        duties: Duties | None = None,
    ) -> None:
        self._log, self._messages, self._files, self._pace = log, messages, files, pace
        self._rhythm, self._bot_name = rhythm or Rhythm(), bot_name
        self._page_of, self._looks, self._duties = page_of, looks or Looks(), duties or Duties()
        self._owner = f"bot-{uuid.uuid4().hex[:12]}"
        self._memory: defaultdict[int, _Memory] = defaultdict(_Memory)
        self._full_look_at = float("-inf")
        self._taken_at = 0.0

    def send_next(self) -> bool:
        """Bring the next card that is behind one step further; False when none is."""
        place = self._take()
        if place is None:
            return False
        view = card_view(self._log, place.run, page_of=lambda run: self._page_of(run, place.channel_id))
        if place.message_ts is None or place.marked_s is not None:
            self._post(place, view)
        elif place.shown_event < view.run.last_event:
            self._update(place, view)
        else:
            self._send_files(place, view)
        return True

    def soonest_s(self) -> float | None:
        """How soon a turn may be had that was not to be had; None when none was asked for in vain."""
        return self._pace.soonest_s("chat.update", "chat.postMessage")

    def _take(self) -> CardPlace | None:
        look_at_all = time.monotonic() > self._full_look_at
        with self._log.read() as connection:
            since = None if look_at_all else now(connection) - LOOKS_BACK
            wanted = self._wanted(since)
            behind = cards.is_behind(connection, wanted)
        if not behind:
            if look_at_all:
                self._full_look_at = time.monotonic() + FULL_LOOK_S
            return None
        with self._log.write() as connection:
            self._taken_at = time.monotonic()
            return cards.take_behind(connection, owner=self._owner, lease_s=self._rhythm.lease_s, wanted=wanted)

    def _wanted(self, since: datetime | None) -> Wanted:
        return Wanted(
            cards=self._duties.cards,
            files=self._duties.files,
            full_channels=self._pace.closed_channels("chat.postMessage"),
            progress=self._pace.closed_for_s("chat.update") == 0,
            ends=self._pace.closed_for_s("chat.update", urgent=True) == 0,
            ended_since=since,
        )

    def _post(self, place: CardPlace, view: CardView) -> None:
        urgent = view.run.state.ended
        if place.marked_s is not None and not self._looked_for(place, view):
            return
        if self._no_turn(place, "chat.postMessage", channel=place.channel_id, urgent=urgent):
            return
        asked_at = time.monotonic()
        with self._log.write() as connection:
            mark = cards.note_posting(connection, place.run, owner=self._owner, lease_s=self._rhythm.lease_s)
        if mark is None:
            return
        text, blocks = self._drawn(view)
        if self._stood_still(since=asked_at):
            outcome = Outcome(Came.LATER, code="stood_still")
        else:
            outcome = self._messages.post(place.channel_id, run_tag(place.run), text, blocks)
        if outcome.came is Came.WELL:
            self._shown(view, ts=outcome.ts or "")
            return
        if outcome.came is not Came.UNKNOWN:
            self._note_unposted(place)
        self._settle(place, view, outcome, blocks=blocks)

    def _looked_for(self, place: CardPlace, view: CardView) -> bool:
        """Look for a message that may exist; True when it is not there, or cannot be looked for."""
        if self._no_turn(place, _HISTORY, urgent=True):
            return False
        found = self._messages.find(place.channel_id, run_tag(place.run), since=place.marked_s or 0.0)
        if found.came is Came.WELL and found.ts:
            with self._log.write() as connection:
                event = place.shown_event
                cards.shown(connection, place.run, owner=self._owner, message_ts=found.ts, event=event, again_in_s=0.0)
            return False
        if found.came is Came.WELL or found.code == "too_many_messages" or found.came is Came.METHOD_REFUSED:
            left_s = self._rhythm.unsure_s - place.unheard_for_s
            if left_s > 0:  # Slack may post it yet
                self._put_off(place, left_s)
                return False
            if found.came is not Came.WELL:  # the bot may not look: better twice, and said, than never
                logger.warning("It is not known whether the card of run %s was posted: %s", place.run, found.code)
                self._memory[place.run].may_be_second = True
            return True
        self._settle(place, view, found)
        return False

    def _update(self, place: CardPlace, view: CardView) -> None:
        run = view.run
        if self._known(place.run).fixed and not run.state.ended:  # its message takes no change: the end gets a new one
            self._shown(view, ts=place.message_ts or "")
            return
        if self._no_turn(place, "chat.update", urgent=run.state.ended):
            return
        ts = place.message_ts or ""
        text, blocks = self._drawn(view)
        if self._stood_still(since=self._taken_at):  # another bot may show more by now
            self._put_off(place, 0.0)
            return
        outcome = self._messages.update(place.channel_id, ts, text, blocks)
        if outcome.came is Came.WELL:
            self._shown(view, ts=ts)
        elif outcome.came in (Came.GONE, Came.FIXED):
            self._replace(place, view, outcome)
        else:
            if outcome.came is Came.UNKNOWN:
                self._memory[place.run].unsure_at = time.monotonic()
            self._settle(place, view, outcome, blocks=blocks)

    def _replace(self, place: CardPlace, view: CardView, outcome: Outcome) -> None:
        """A card that cannot be edited any more gets a new message: once while the run goes on, and for its end."""
        known = self._memory[place.run]
        deleted_once = outcome.came is Came.GONE and not known.fixed
        known.fixed = True
        if not (deleted_once or view.run.state.ended):
            self._shown(view, ts=place.message_ts or "")
            return
        logger.info("The card of run %s cannot be edited (%s); it is posted anew.", place.run, outcome.code)
        self._note_unposted(place)
        self._put_off(place, 0.0)

    def _send_files(self, place: CardPlace, view: CardView) -> None:
        lease = Lease(self._log, place.run, self._owner, self._rhythm.lease_s)
        thread = Thread(place.channel_id, place.message_ts or "", self._pace, self._rhythm.unsure_s)
        try:
            sent = self._files.send(lease, view, thread)
        except LeaseLost:
            logger.info("The files of run %s are another bot's by now.", place.run)
            return
        if sent.came is Came.WELL:
            self._forget(place.run)
        else:
            self._settle(place, view, sent)

    def _drawn(self, view: CardView) -> tuple[str, list[Block]]:
        card = view.card
        if self._known(view.run.id).may_be_second:
            card = replace(card, notes=(EARLIER, *card.notes))
        return drawn(card, self._looks.of(view.run.id, view.run.last_event), buttons=view.buttons)

    def _settle(self, place: CardPlace, view: CardView, outcome: Outcome, *, blocks: Sequence[Block] = ()) -> None:
        """Decide what becomes of a card that could not be sent."""
        if outcome.came is Came.LATER:
            if outcome.code == "ratelimited":
                self._pace.hold(outcome.method, outcome.wait_s)
            else:
                logger.info("The card of run %s waits %.1f s: %s.", place.run, outcome.wait_s, outcome.code)
            self._put_off(place, outcome.wait_s)
        elif outcome.came is Came.BLOCKS_REFUSED and self._looks.refuse(place.run, view.run.last_event, blocks):
            logger.warning("Slack refused the blocks of run %s (%s); it is sent plainer.", place.run, outcome.code)
            self._put_off(place, 0.0)
        elif outcome.came is Came.NOT_HERE:
            tell_not_here(self._log, place, view.run, outcome, owner=self._owner, bot_name=self._bot_name)
            self._forget(place.run)
        elif outcome.came in (Came.TOKEN_REFUSED, Came.METHOD_REFUSED):
            logger.error("%s", refused_sentence(outcome))
            self._pace.hold(ANY_METHOD if outcome.came is Came.TOKEN_REFUSED else outcome.method, REFUSED_AGAIN_S)
            self._put_off(place, REFUSED_AGAIN_S)
        else:
            self._try_again(place, outcome)

    def _try_again(self, place: CardPlace, outcome: Outcome) -> None:
        self._memory[place.run].tries += 1
        tries = self._memory[place.run].tries
        logger.warning("Slack did not take the card of run %s (%s), try %s.", place.run, outcome.code, tries)
        if tries >= MOST_TRIES and outcome.came is not Came.UNKNOWN:
            self._forget(place.run)
            with self._log.write() as connection:
                cards.give_up(connection, place.run, owner=self._owner, problem=outcome.code)
            return
        self._put_off(place, self._rhythm.after_s(tries))

    def _no_turn(self, place: CardPlace, method: str, *, channel: str = "", urgent: bool = False) -> bool:
        wait_s = self._pace.take(method, channel=channel, urgent=urgent)
        if wait_s > 0 and method == _HISTORY:
            self._put_off(place, wait_s)
        elif wait_s > 0:  # no card is taken for a method that is known to be closed, so this one keeps its place
            with self._log.write() as connection:
                cards.give_back(connection, place.run, owner=self._owner)
        return wait_s > 0

    def _shown(self, view: CardView, *, ts: str) -> None:
        run, event = view.run, view.run.last_event
        self._looks.take(run.id, event)
        self._known(run.id).tries = 0
        with self._log.write() as connection:
            again_in_s, rests_s = 0.0, self._rests_s(connection, run.state)
            if run.state.ended and self._may_be_overwritten(run.id):
                event, again_in_s = event - 1, self._rhythm.unsure_s / 3
            cards.shown(
                connection,
                run.id,
                owner=self._owner,
                message_ts=ts,
                event=event,
                again_in_s=again_in_s,
                rests_s=rests_s,
            )
        if run.state.ended and event == run.last_event:
            self._forget(run.id)

    def _may_be_overwritten(self, run: int) -> bool:
        """Whether Slack may yet do an edit that it did not answer, over a later one: the end is then sent twice."""
        known = self._known(run)
        unsure_at, known.unsure_at = known.unsure_at, None
        return unsure_at is not None and time.monotonic() - unsure_at < self._rhythm.unsure_s

    def _rests_s(self, connection: Connection, state: RunState) -> float:
        """How long this card shows no more progress: the more cards change, the longer each."""
        if state.ended:
            return 0.0
        if state is not RunState.RUNNING:
            return self._rhythm.waiting_every_s
        fair_s = cards.running(connection) * self._pace.progress_every_s * _SLACK_IN_TURNS
        return max(self._rhythm.running_every_s, fair_s)

    def _stood_still(self, *, since: float) -> bool:
        """Whether this process was stopped for so long that the lease may be gone."""
        return time.monotonic() - since > self._rhythm.lease_s / 2

    def _note_unposted(self, place: CardPlace) -> None:
        with self._log.write() as connection:
            cards.note_unposted(connection, place.run, owner=self._owner)

    def _put_off(self, place: CardPlace, seconds: float) -> None:
        with self._log.write() as connection:
            cards.put_off(connection, place.run, owner=self._owner, seconds=seconds)

    def _known(self, run: int) -> _Memory:
        """What is remembered of a card, to be read or cleared; most have nothing, and get no entry."""
        return self._memory.get(run) or _Memory()

    def _forget(self, run: int) -> None:
        """Nothing more will be sent of this run, as far as is known."""
        self._looks.forget(run)
        self._memory.pop(run, None)

"""Brings one card up to date: takes it under a lease, renders its run as it stands now, sends, stores what it shows.

The life of a card, each step a note in the log before the next begins:
1. `place`: the run wants a card in a channel (written with the run).
2. A mark stands where the message's ts will stand: the post is under way.
3. The ts stands there: updates go to it. A mark that is met again means that nobody heard what came of the post; the
   message is then looked for by its metadata, and only when it surely is not there is it posted again.
4. The run succeeded and its card shows it: its files go into the thread.
5. Given up, with the reason: the channel takes nothing from the bot, and the person was told so.
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from bot.cards import Card, run_card
from bot.delivery.messages import Came, Messages, Outcome, mark_now, marked_since
from bot.delivery.pace import Pace
from bot.delivery.thread_files import ThreadFiles
from bot.slack.render import message
from shared.log import cards, runs
from shared.log.cards import CardPlace
from shared.log.engine import Log
from shared.log.forecast import forecasts
from shared.log.runs import Artifact, Run, RunState

logger = logging.getLogger(__name__)

LEASE_S = 60.0
TOKEN_REFUSED_S = 300.0
MOST_TRIES = 10
"""After so many tries in a row that Slack refuses or leaves open, a card is given up."""

PREFIX = "/lml"


@dataclass(frozen=True)
class Rhythm:
    """How often a card may change, and how soon it is tried again after a failure (twice as long after each)."""

    running_every_s: float = 3.0
    waiting_every_s: float = 1.0
    backoff_s: float = 1.0


@dataclass(frozen=True)
class _View:
    """A run as it stands, and its card."""

    run: Run
    card: Card
    artifacts: list[Artifact]


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
    ) -> None:
        self._log, self._messages, self._files, self._pace = log, messages, files, pace
        self._rhythm, self._bot_name = rhythm or Rhythm(), bot_name
        self._page_of = page_of
        self._owner = f"bot-{uuid.uuid4().hex[:12]}"
        self._tries: dict[int, int] = {}

    def send_next(self) -> bool:
        """Bring the next card that is behind one step further; False when none is."""
        with self._log.write() as connection:
            place = cards.take_behind(connection, owner=self._owner, lease_s=LEASE_S)
        if place is None:
            return False
        view = self._view(place.run, channel_id=place.channel_id)
        if place.message_ts is None or marked_since(place.message_ts) is not None:
            self._post(place, view)
        elif place.shown_event < view.run.last_event:
            self._update(place, view)
        else:
            self._send_files(place, view)
        return True

    def _view(self, number: int, *, channel_id: str) -> _View:
        """One moment of the run: its last event and what its card says belong together."""
        with self._log.read() as connection:
            run = runs.get(connection, number)
            events = [event for _, event in runs.events_after(connection, number)]
            artifacts = runs.artifacts_of(connection, number)
            expected = forecasts(connection, [run]).get(run.id) if run.state is RunState.QUEUED else None
        card = run_card(run, events, artifacts, prefix=PREFIX, expected=expected)
        return _View(run, replace(card, page=self._page_of(run, channel_id)), artifacts)

    def _post(self, place: CardPlace, view: _View) -> None:
        wait_s = self._pace.take(place.channel_id, updates=False)
        if wait_s > 0:
            self._put_off(place, wait_s)
            return
        since = marked_since(place.message_ts) if place.message_ts else None
        card = view.card
        if since is not None:
            found = self._messages.find(place.channel_id, place.run, since=since)
            if found.came is Came.WELL and found.ts:
                self._shown(place, view, ts=found.ts, event=place.shown_event)
                return
            if found.came in (Came.UNKNOWN, Came.LATER):
                self._settle(place, view, found)
                return
            if found.came is not Came.WELL:  # the bot may not look: better twice, and said, than never
                again = "Slack did not say whether this card was posted before; an earlier one may stand above."
                card = replace(card, notes=(again, *card.notes))
        if not self._note(place, mark_now()):
            return
        outcome = self._messages.post(place.channel_id, place.run, *message(card))
        if outcome.came is Came.WELL:
            self._shown(place, view, ts=outcome.ts or "", event=view.run.last_event)
            return
        if outcome.came is not Came.UNKNOWN:
            self._note(place, None)
        self._settle(place, view, outcome)

    def _update(self, place: CardPlace, view: _View) -> None:
        wait_s = self._pace.take(place.channel_id, updates=True)
        if wait_s > 0:
            self._put_off(place, wait_s)
            return
        ts = place.message_ts or ""
        outcome = self._messages.update(place.channel_id, place.run, ts, *message(view.card))
        if outcome.came is Came.WELL:
            self._shown(place, view, ts=ts, event=view.run.last_event)
            return
        if outcome.came is Came.GONE:
            logger.info("The card of run %s is gone (%s); it is posted anew.", place.run, outcome.code)
            self._note(place, None)
            self._put_off(place, self._rhythm.backoff_s)
            return
        self._settle(place, view, outcome)

    def _send_files(self, place: CardPlace, view: _View) -> None:
        ts = place.message_ts or ""
        outcome, refused = self._files.send(view.run, view.artifacts, channel=place.channel_id, thread_ts=ts)
        if outcome.came is Came.WELL and refused:
            said = self._messages.reply(place.channel_id, ts, refused)
            if said.came is Came.LATER:
                self._settle(place, view, said)
                return
        if outcome.came is Came.WELL:
            self._tries.pop(place.run, None)
            with self._log.write() as connection:
                cards.files_sent(connection, place.run, owner=self._owner)
            return
        self._settle(place, view, outcome)

    def _settle(self, place: CardPlace, view: _View, outcome: Outcome) -> None:
        """Decide what becomes of a card that could not be sent."""
        if outcome.came is Came.LATER:
            self._pace.hold(place.channel_id, outcome.wait_s)
            self._put_off(place, outcome.wait_s)
            return
        if outcome.came is Came.NOT_HERE:
            self._tell_why(place, view, outcome)
            self._give_up(place, outcome.code)
            return
        if outcome.came is Came.TOKEN_REFUSED:
            logger.error("Slack refuses the bot's token (%s): correct it; `lml doctor` checks it.", outcome.code)
            self._put_off(place, TOKEN_REFUSED_S)
            return
        tries = self._tries[place.run] = self._tries.get(place.run, 0) + 1
        logger.warning("Slack did not take the card of run %s (%s), try %s.", place.run, outcome.code, tries)
        if tries >= MOST_TRIES and outcome.came is Came.REFUSED:
            self._give_up(place, outcome.code)
            return
        self._put_off(place, min(60.0, self._rhythm.backoff_s * 2.0 ** min(tries, 6)))

    def _tell_why(self, place: CardPlace, view: _View, outcome: Outcome) -> None:
        text = not_here_text(view.run, place.channel_id, outcome.code, bot_name=self._bot_name)
        if not self._messages.tell(view.run.requested_by, place.channel_id, text):
            logger.warning("Nobody could be told why run %s has no card: %s.", place.run, outcome.code)

    def _note(self, place: CardPlace, mark: str | None) -> bool:
        with self._log.write() as connection:
            return cards.note_posting(connection, place.run, owner=self._owner, mark=mark)

    def _shown(self, place: CardPlace, view: _View, *, ts: str, event: int) -> None:
        self._tries.pop(place.run, None)
        state = view.run.state
        rhythm = self._rhythm
        again_in_s = rhythm.running_every_s if state is RunState.RUNNING else rhythm.waiting_every_s
        again_in_s = 0.0 if state.ended else again_in_s
        with self._log.write() as connection:
            cards.shown(connection, place.run, owner=self._owner, message_ts=ts, event=event, again_in_s=again_in_s)

    def _put_off(self, place: CardPlace, seconds: float) -> None:
        with self._log.write() as connection:
            cards.put_off(connection, place.run, owner=self._owner, seconds=seconds)

    def _give_up(self, place: CardPlace, problem: str) -> None:
        self._tries.pop(place.run, None)
        with self._log.write() as connection:
            cards.give_up(connection, place.run, owner=self._owner, problem=problem)


def not_here_text(run: Run, channel: str, code: str, *, bot_name: str) -> str:
    """What to tell a person whose run has no card."""
    goes_on = f"Run {run.id} itself goes on: `{PREFIX} show {run.id}` shows it."
    if channel.startswith("D"):
        return (
            f"I cannot post the card of run {run.id} in that conversation, for I am not in it. Ask me here, or in a"
            f" channel that I am in. {goes_on}"
        )
    if code in ("not_in_channel", "channel_not_found", "user_not_in_channel"):
        return (
            f"I cannot post the card of run {run.id} in <#{channel}>, for I am not in that channel. Type"
            f" `/invite @{bot_name}` there, and later runs get their cards. {goes_on}"
        )
    reason = "it is archived" if code == "is_archived" else f"Slack does not allow it ({code})"
    return f"I cannot post the card of run {run.id} in <#{channel}>: {reason}. Ask in another channel. {goes_on}"

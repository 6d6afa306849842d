"""What somebody asked in Slack in, the card of the answer out. Knows nothing of Bolt or of how requests travel.

Command, button, form, shortcut, mention, direct message and home: all of them come through here, and here it is asked
who may what.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock, Semaphore
from typing import Any, Protocol

from bot import submit
from bot.again import bytes_of, source_of
from bot.cards import Card, problem_card
from bot.desk import Desk
from bot.grammar import VERB_NAMES
from bot.named_runs import resolved
from bot.slack.arrivals import Arrivals
from bot.slack.asked import Asked
from bot.slack.named_files import Understood, understood
from bot.slack.typed import PREFIX
from bot.words import split_words
from shared.access import Entry, Principal, Visibility
from shared.blobs import BlobStore
from shared.datasets.address import is_address
from shared.datasets.resolve import locate
from shared.errors import LmlError, Problem, RunFailed, one_problem, unavailable
from shared.log import runs
from shared.log.engine import Log
from shared.permit import audited, permit
from shared.settings import Settings
from shared.specs import dataset_of

logger = logging.getLogger(__name__)

ANSWER_WITHIN_S = 1.4
"""Slack shows an error after 3 s, and what it takes to travel is not ours to spend."""

COMMAND_THREADS = 16
"""How many may wait for what Slack says of people."""
AT_A_TIME = 3
"""How many are worked at: each is some milliseconds of the interpreter, which acknowledgements wait for too. With 8 the
slowest of 20 at once came three times as late (benchmarks/ack.py)."""

_MOST_AUDITED = 500
_ALONE = frozenset({"audit", "forget"})
"""What shows the words, or the datasets, of places that others of the channel do not see."""


class Facts(Protocol):
    """What is known of people and channels (`bot.slack.people.People`)."""

    def principal(self, *, team_id: str, user_id: str, channel_id: str | None, entry: Entry) -> Principal:
        """Who asks, with the role that they have here, or with none and the reason."""

    def knows(self, *, user_id: str, channel_id: str | None) -> bool:
        """Whether `principal` would answer without asking Slack."""

    def channel_visibility(self, channel_id: str) -> Visibility:
        """Who sees the runs of a channel."""

    def forget(self, *ids: str) -> None:
        """Drop what is known of these users, channels and user groups."""


@dataclass(frozen=True)
class Reply:
    """The answer to what was asked: its card, and what went wrong, for whoever shows that elsewhere than in a card."""

    card: Card
    problems: tuple[Problem, ...] = ()
    run: int | None = None
    """The run that was written, or that the words had written before."""
    repeated: bool = False
    """Whether they had."""
    alone: bool = False
    """Whether it is for nobody's eyes but theirs: it holds what others said elsewhere."""


class CommandDesk:
    """Answers what people ask; what takes longer than an answer is left to the preparer.

    `written` is called when a run waits for its dataset. `team_id` is the only team that is served, and `app_id` the
    only app, where it is known.
    """

    def __init__(  # noqa: PLR0913 - the parts that it brings together
        self,
        settings: Settings,
        log: Log,
        store: BlobStore,
        *,
        team_id: str,
        written: Callable[[], None],
        people: Facts,
        app_id: str | None = None,
        arrivals: Arrivals | None = None,
    ) -> None:
        self.settings, self.log, self.store, self.people = settings, log, store, people
        self.arrivals = arrivals or Arrivals()
        self._team_id, self._app_id = team_id, app_id
        self._written = written
        self._counting, self._begun = Lock(), 0
        self._turns = Semaphore(AT_A_TIME)
        self._pool = ThreadPoolExecutor(max_workers=COMMAND_THREADS, thread_name_prefix="lml-command")

    def reply(self, asked: Asked, *, within_s: float = ANSWER_WITHIN_S) -> Card:
        """The answer, within the time that Slack gives. Never raises: what is wrong is said."""
        return self.answer(asked, within_s=within_s).card

    def answer(self, asked: Asked, *, within_s: float = ANSWER_WITHIN_S) -> Reply:
        """The same with what went wrong; a run that is written after that time is taken back."""
        attempt = _Attempt()
        future = self._pool.submit(self._work, asked, attempt)
        try:
            return future.result(timeout=within_s)
        except TookTooLong:
            future.cancel()
            number = attempt.give_up()
            if number is not None:
                return Reply(_written_card(number, asked.text), run=number)
            logger.warning("A command was not answered in time: the log does not answer.")
            slow = unavailable(
                "database_unavailable",
                f"The experiment log did not answer within {within_s:g} s.",
                "Try again in a minute; `lml doctor` in a shell says what is wrong.",
            )
            return Reply(refusal_card(slow, "Nothing was queued"), slow.problems)

    def begin(self, asked: Asked) -> "Future[Reply]":
        """Begin with the answer, for whoever can bring it whenever it is there."""
        with self._counting:
            self._begun += 1
        coming = self._pool.submit(self._work, asked, _Attempt())
        coming.add_done_callback(self._ended)
        return coming

    @property
    def waiting(self) -> int:
        """How many answers are under way."""
        return self._begun

    def knows(self, asked: Asked) -> bool:
        """Whether an answer takes no question to Slack."""
        return self.people.knows(user_id=asked.user_id, channel_id=asked.channel_id)

    def _ended(self, _coming: "Future[Reply]") -> None:
        with self._counting:
            self._begun -= 1

    def desk_of(self, asked: Asked) -> Desk:
        """Where something is answered to this person here; raises `LmlError` for those who are not served."""
        known_app = not asked.app_id or self._app_id in (None, asked.app_id)
        if not asked.user_id or asked.team_id != self._team_id or not known_app:
            what = f"app {asked.app_id}" if not known_app else asked.team_id or "no workspace"
            raise unavailable(
                "other_team",
                f"This bot serves the Slack workspace {self._team_id}; this came from {what}.",
                "Install LML in this workspace too (docs/slack.md).",
            )
        principal = self.people.principal(
            team_id=asked.team_id, user_id=asked.user_id, channel_id=asked.channel_id, entry=asked.entry
        )
        return Desk(self.settings, self.log, self.store, principal, prefix=PREFIX)

    def close(self) -> None:
        """Let what was begun end."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _work(self, asked: Asked, attempt: "_Attempt") -> Reply:
        try:
            self.arrivals.let_pass()
            words, desk = split_words(asked.text), self.desk_of(asked)
            with self._turns:
                return self._answered(asked, words, desk, attempt)
        except LmlError as error:
            return Reply(refusal_card(error, attempt.title), error.problems)
        except Exception:  # the border: whatever broke, the person hears of it at once
            logger.exception("A command broke.")
            broken = unavailable(
                "internal_error",
                "LML itself broke on this command.",
                "Its operator finds the reason in the bot's log; `/lml log` shows whether a run was written.",
            )
            return Reply(refusal_card(broken, "That could not be done"), broken.problems)

    def _answered(self, asked: Asked, words: list[str], desk: Desk, attempt: "_Attempt") -> Reply:
        if desk.principal.standing is None:  # nobody: not even told what is wrong with the words
            permit(self.log, desk.principal, _verb_in(words), words=asked.text[:_MOST_AUDITED], trigger=asked.key)
        met = understood(words, asked.files)
        name, text = met.command.verb.name, met.command.words[:_MOST_AUDITED]
        attempt.title = attempt.title if met.command.verb.answer is None else "That could not be done"
        run = getattr(met.command.request, "run", None)
        # Whether the verb may be used at all; whose run it is about, the verb itself asks.
        permit(self.log, desk.principal, name, words=text, run=run, trigger=asked.key)
        with audited(self.log, desk.principal, name, words=text, run=run, trigger=asked.key):
            met = replace(met, command=resolved(desk, met.command))
            if met.command.verb.answer is not None:
                return Reply(met.command.verb.answer(desk, met.command.request).card, alone=name in _ALONE)
            if met.source is None and asked.like is not None:
                met = replace(met, source=_read_by(desk, asked.like, met.command.request))
            return self._write_run(desk, met, asked, attempt)

    def _write_run(self, desk: Desk, met: Understood, asked: Asked, attempt: "_Attempt") -> Reply:
        command = met.command
        number, created = submit.write(
            desk,
            command,
            visibility=self._visibility(asked),
            trigger_id=asked.key,
            dataset_source=met.source,
            card_channel=asked.channel_id,
            unrepeated=True,
        )
        if created and not attempt.keep(number):
            self._take_back(number)
            return Reply(Card(title=""))  # nobody waits for it any more
        if not created:
            said = f"Run {number} is that already: {command.words}. Nothing was queued twice."
            return Reply(Card(title="", headline=said), run=number, repeated=True)
        outside = None if met.source else _outside(desk, command.request)
        if outside is not None:
            submit.fail(desk, number, outside)
            title = f"Nothing was queued: run {number} is recorded as failed"
            return Reply(Card(title=title, problem=one_problem(outside.problems)), outside.problems, run=number)
        self._written()
        return Reply(_written_card(number, command.words), run=number)

    def _visibility(self, asked: Asked) -> Visibility:
        """Who will see a run: the team only where both the request and Slack's facts say that the channel is public."""
        if asked.visibility not in (None, Visibility.TEAM):
            return asked.visibility
        return self.people.channel_visibility(asked.channel_id or "")

    def _take_back(self, number: int) -> None:
        """End a run whose person was told that nothing was queued."""
        problem = Problem(
            "written_too_late",
            "The experiment log took so long to write this run that its command was answered with an error.",
            "Type the command again.",
        )
        with suppress(LmlError), self.log.write() as connection:
            runs.fail_waiting(connection, number, problem)


class _Attempt:
    """One command between two threads: either its run is kept or its person is told that there is none, never both."""

    def __init__(self) -> None:
        self.title = "Nothing was queued"
        """What stands above an error."""
        self._lock = Lock()
        self._kept: int | None = None
        self._given_up = False

    def keep(self, number: int) -> bool:
        """Whether the run that was just written counts; False when its person was told that nothing was queued."""
        with self._lock:
            self._kept = None if self._given_up else number
            return not self._given_up

    def give_up(self) -> int | None:
        """Wait no longer; the run that counts nevertheless, None when there is none and none will be kept."""
        with self._lock:
            self._given_up = self._kept is None
            return self._kept


def refusal_card(error: LmlError, title: str) -> Card:
    """Everything that is wrong with what was asked."""
    return replace(problem_card(error.problems, title=title), state="")


def _verb_in(words: list[str]) -> str:
    return words[0].lower() if words and words[0].lower() in VERB_NAMES else "unknown"


def _written_card(number: int, words: str) -> Card:
    return Card(title="", headline=f"Run {number} is written: {words}. Its card follows here.")


def _read_by(desk: Desk, number: int, request: object) -> dict[str, Any] | None:
    """What a run read, where a request names the same dataset; None where it names another, or that is gone."""
    with desk.log.read() as connection:
        run = runs.find(connection, desk.principal, number)
    if getattr(request, "dataset", None) != dataset_of(run.spec):
        return None
    gone = run.dataset_sha256 is not None and bytes_of(desk, run) is None
    return run.dataset_source if gone else source_of(run)


def _outside(desk: Desk, request: object) -> RunFailed | None:
    """Why a dataset's name can never be taken, known from the name alone; None when it may be found."""
    name = getattr(request, "dataset", None)
    if name is None or is_address(name):  # an address is judged where it is fetched
        return None
    try:
        locate(name, folder=desk.settings.datasets_folder, confined=True)
    except RunFailed as error:
        return error if error.code == "dataset_outside" else None
    return None

"""A slash command in, the words of its acknowledgement out. Knows nothing of Bolt or of how commands travel."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from bot import submit
from bot.cards import Card, problem_card
from bot.desk import Desk
from bot.grammar import Command, parse
from bot.named_runs import resolved
from bot.slack.typed import as_typed
from bot.words import split_words
from shared.access import Principal, Source, Visibility, authorize
from shared.blobs import BlobStore
from shared.datasets.resolve import locate
from shared.errors import LmlError, Problem, RunFailed, one_problem, unavailable
from shared.log import runs
from shared.log.engine import Log
from shared.settings import Settings

logger = logging.getLogger(__name__)

PREFIX = "/lml"
ANSWER_WITHIN_S = 1.4
"""Slack shows an error after 3 s, and what it takes to travel is not ours to spend."""


@dataclass(frozen=True)
class SlashCommand:
    """What Slack says about a slash command that somebody typed."""

    team_id: str
    channel_id: str
    channel_name: str
    user_id: str
    text: str
    trigger_id: str | None

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "SlashCommand":
        """The command of Slack's form fields."""
        return cls(
            team_id=str(payload.get("team_id", "")),
            channel_id=str(payload.get("channel_id", "")),
            channel_name=str(payload.get("channel_name", "")),
            user_id=str(payload.get("user_id", "")),
            text=str(payload.get("text", "")),
            trigger_id=str(payload["trigger_id"]) if payload.get("trigger_id") else None,
        )

    @property
    def visibility(self) -> Visibility:
        """Who will see a run that is asked for here: the team only when this is surely a public channel.

        Slack names every private channel `privategroup` and every direct message `directmessage`.
        """
        if self.channel_id.startswith("D") or self.channel_name == "directmessage":
            return Visibility.PRIVATE
        public = self.channel_id.startswith("C") and self.channel_name not in ("", "privategroup")
        return Visibility.TEAM if public and not self.channel_name.startswith("mpdm-") else Visibility.CHANNEL


class CommandDesk:
    """Answers slash commands within the time that Slack gives; what takes longer is left to the preparer.

    `written` is called when a run waits for its dataset. `team_id` is the only team that is served.
    """

    def __init__(
        self, settings: Settings, log: Log, store: BlobStore, *, team_id: str, written: Callable[[], None]
    ) -> None:
        self._settings, self._log, self._store = settings, log, store
        self._team_id = team_id
        self._written = written
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="lml-command")

    def reply(self, typed: SlashCommand, *, within_s: float = ANSWER_WITHIN_S) -> Card:
        """The answer to a command, which only the person sees. Never raises: what is wrong is said."""
        attempt = _Attempt(desk=self, typed=typed)
        future: Future[Card] = self._pool.submit(attempt.work)
        try:
            return future.result(timeout=within_s)
        except TookTooLong:
            future.cancel()
            number = attempt.give_up()
            if number is not None:
                return _written(number, attempt.typed.text)
            logger.warning("A command was not answered in time: the log does not answer.")
            slow = unavailable(
                "database_unavailable",
                f"The experiment log did not answer within {within_s:g} s.",
                "Try again in a minute; `lml doctor` in a shell says what is wrong.",
            )
            return _refusal(slow, "Nothing was queued")

    def close(self) -> None:
        """Let what was begun end."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def card_of(self, attempt: "_Attempt") -> Card:
        """The answer, however long it takes."""
        typed, title = attempt.typed, "Nothing was queued"
        try:
            desk = self._desk_of(typed)
            command = parse(split_words(as_typed(typed.text)))
            # Whether the verb may be used at all; whose run it is about, the verb itself asks.
            authorize(desk.principal, command.verb.name, owner=desk.principal.user_id)
            command = resolved(desk, command)
            if command.verb.answer is not None:
                title = "That could not be done"
                return command.verb.answer(desk, command.request).card
            return self._write_run(desk, command, attempt)
        except LmlError as error:
            return _refusal(error, title)
        except Exception:  # the border: whatever broke, the person hears of it at once
            logger.exception("A command broke.")
            broken = unavailable(
                "internal_error",
                "LML itself broke on this command.",
                "Its operator finds the reason in the bot's log; `/lml log` shows whether a run was written.",
            )
            return _refusal(broken, "That could not be done")

    def _desk_of(self, typed: SlashCommand) -> Desk:
        if not typed.user_id or not typed.channel_id or typed.team_id != self._team_id:
            raise unavailable(
                "other_team",
                f"This bot serves the Slack workspace {self._team_id}; the command came from"
                f" {typed.team_id or 'no workspace'}.",
                "Install LML in this workspace too (docs/slack.md).",
            )
        admin = typed.user_id in self._settings.admin_ids
        principal = Principal(typed.team_id, typed.user_id, Source.SLACK, typed.channel_id, admin)
        return Desk(self._settings, self._log, self._store, principal, prefix=PREFIX)

    def _write_run(self, desk: Desk, command: Command, attempt: "_Attempt") -> Card:
        typed = attempt.typed
        number, created = submit.write(
            desk,
            command,
            visibility=typed.visibility,
            trigger_id=typed.trigger_id,
            card_channel=typed.channel_id,
        )
        if created and not attempt.keep(number):
            self._take_back(number)
            return Card(title="")  # nobody waits for it any more
        if not created:
            return Card(
                title="", headline=f"Run {number} is written already: {command.words}. Nothing was queued twice."
            )
        outside = _outside(desk, command)
        if outside is not None:
            submit.fail(desk, number, outside)
            return Card(
                title=f"Nothing was queued: run {number} is recorded as failed", problem=one_problem(outside.problems)
            )
        self._written()
        return _written(number, command.words)

    def _take_back(self, number: int) -> None:
        """End a run whose person was told that nothing was queued."""
        problem = Problem(
            "written_too_late",
            "The experiment log took so long to write this run that its command was answered with an error.",
            "Type the command again.",
        )
        with suppress(LmlError), self._log.write() as connection:
            runs.fail_waiting(connection, number, problem)


class _Attempt:
    """One command between two threads: either its run is kept or its person is told that there is none, never both."""

    def __init__(self, *, desk: CommandDesk, typed: SlashCommand) -> None:
        self.typed = typed
        self._desk = desk
        self._lock = Lock()
        self._kept: int | None = None
        self._given_up = False

    def work(self) -> Card:
        """The command's answer."""
        return self._desk.card_of(self)

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


def _written(number: int, words: str) -> Card:
    return Card(title="", headline=f"Run {number} is written: {words}. Its card follows here.")


def _outside(desk: Desk, command: Command) -> RunFailed | None:
    """Why a dataset's name can never be taken, known from the name alone; None when it may be found."""
    name = getattr(command.request, "dataset", None)
    if name is None:
        return None
    try:
        locate(name, folder=desk.settings.datasets_folder, confined=True)
    except RunFailed as error:
        return error if error.code == "dataset_outside" else None
    return None


def _refusal(error: LmlError, title: str) -> Card:
    return replace(problem_card(error.problems, title=title), state="")

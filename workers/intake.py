"""`python -m workers.intake`: reads what other services queue, and makes runs of it. One works at a time.

Stock Celery workers exit or hang on a malformed message, so this reads the list itself (docs/intake.md). A message
becomes a run in one transaction on the log and leaves Redis only after that; one that comes twice finds its key there.
What is bad goes to `lml.rejected` with its reasons. While the log or Redis is away, messages wait.
"""

import logging
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from threading import Event
from typing import Any

from redis import RedisError

from shared.access import Entry, Principal, Source
from shared.asked import AskedRuns, read_asked, submissions, write_all
from shared.errors import LmlError, Problem, ServiceUnavailable, one_problem, refused
from shared.intake_message import MOST_BYTES, Signed, read_message, require_fresh, require_signature
from shared.log.audit import Asked
from shared.log.engine import Log
from shared.log.quotas import SERVICE
from shared.log.services import team_of, webhook_of
from shared.log.workers import take_lock
from shared.logs import log_to_stderr
from shared.permit import permit_all
from shared.secrets import secret_of
from shared.settings import Settings, load_settings
from shared.spec_words import words_of
from shared.work import Priority
from workers.claims import worker_name
from workers.intake_list import SHOWN_BYTES, IntakeList, Taken, answer_key
from workers.intake_preparing import Preparing

logger = logging.getLogger(__name__)

POLL_S = 0.1
LOCK_S, LOCK_EVERY_S = 15.0, 5.0
AWAY_S = 1.0
"""How long to wait when the log or Redis did not answer."""


class Intake:
    """Takes one message after another."""

    def __init__(self, settings: Settings, log: Log, owner: str) -> None:
        self._settings, self._log = settings, log
        self._owner = f"{owner}/{secrets.token_hex(4)}"  # containers may share a name and a process number
        self._list = IntakeList(settings.require_redis_url())
        self._preparing = Preparing(settings, log, owner)
        self._stopping = Event()
        self._locked_at: float | None = None
        self._hand_is_empty = False

    def stop(self, *_signal: object) -> None:
        """End after the message in hand."""
        self._stopping.set()

    def run(self) -> None:
        """Take messages until told to stop, whatever they hold and whoever is away."""
        self._open_log()
        self._preparing.start()
        while not self._stopping.is_set():
            try:
                mine = self._is_mine()
                pause_s = LOCK_EVERY_S if not mine else 0.0 if self.take_next() else POLL_S
            except (ServiceUnavailable, RedisError) as error:
                logger.warning("not now: %s", error)
                self._hand_is_empty, pause_s = False, AWAY_S
            except Exception:  # an intake that ends would leave every later message waiting
                logger.exception("the intake stumbled and goes on")
                self._hand_is_empty, pause_s = False, AWAY_S
            self._stopping.wait(pause_s)
        self._preparing.stop()
        self._give_lock_back()

    def take_next(self) -> bool:
        """Make runs of the oldest message, or refuse it; False when there was none."""
        if not self._hand_is_empty:
            self._list.put_back()
            self._hand_is_empty = True
        taken = self._list.take(time.time())
        if taken is None:
            return False
        self._hand_is_empty = False
        self._handle(taken)
        self._hand_is_empty = True
        return True

    def _open_log(self) -> None:
        while not self._stopping.is_set():
            try:
                self._log.migrate()
                break
            except ServiceUnavailable as error:
                logger.warning("not now: %s", error)
                self._stopping.wait(AWAY_S)

    def _handle(self, taken: Taken) -> None:
        message: Signed | None = None
        trusted = False
        try:
            message = _read(taken)
            self._require_trusted(message)
            trusted = True
            numbers = self._write(message)
        except (ServiceUnavailable, RedisError):
            raise  # it stays in hand, and is read again
        except LmlError as error:
            self._refuse(taken, message, error.problems, answers=trusted)
        except Exception as error:  # the border: a message that we cannot take is kept aside, and stops nothing
            logger.exception("a message could not be taken")
            what = f"LML met an error of its own with this message: {type(error).__name__}."
            problem = Problem("internal_error", what, "The log of the intake has its trace.")
            self._refuse(taken, message, [problem], answers=trusted)
        else:
            answer = {"id": message.id, "state": "taken", "runs": numbers}
            self._list.finish(taken, answer=(answer_key(message.service, message.id), answer), rejection=None)
            logger.info("%s: message %s became %s", message.service, message.id, _in_words(numbers))
            self._preparing.wake()

    def _require_trusted(self, message: Signed) -> None:
        """Refuse a message unless a service has signed it, when it was queued and for the first time."""
        with self._log.read() as connection:
            known = team_of(connection, message.service) is not None
        if not known:
            raise refused(
                "unknown_service",
                f"A service is one that the operator has made; there is no `{message.service}`.",
                f"`lml token make {message.service}` makes it.",
            )
        require_signature(secret_of(self._settings, f"intake:{message.service}"), message)
        require_fresh(message, queued_after=self._list.last_empty(), now=time.time())
        if self._list.answered(message.service, message.id):
            raise refused(
                "message_replayed",
                f"The id of a message is its own; `{message.id}` of `{message.service}` was answered before.",
                "Give each message a new id; to ask for the same run again, give both the same key in the body.",
            )

    def _write(self, message: Signed) -> list[int]:
        asked = read_asked(AskedRuns, message.body)
        places = [f"runs.{index}" for index in range(len(asked.specs))] if asked.runs is not None else [""]
        with self._log.read() as connection:
            team = team_of(connection, message.service)
        principal = Principal(str(team), f"{SERVICE}{message.service}", Source.SERVICE, entry=Entry.QUEUE)
        wants = [Asked(spec.kind, words_of(spec), trigger=message.id) for spec in asked.specs]
        permit_all(self._log, principal, wants)
        with self._log.write() as connection:
            webhook = webhook_of(connection, message.service)
            wanted = submissions(asked, principal, default=Priority.NORMAL, key=message.id, webhook=webhook)
            return write_all(connection, self._settings, wanted, places)

    def _refuse(self, taken: Taken, message: Signed | None, problems: Sequence[Problem], *, answers: bool) -> None:
        """Keep the message's beginning with the reasons, and answer whoever has signed it."""
        listed = [asdict(problem) for problem in problems]
        rejection: dict[str, Any] = {
            **asdict(one_problem(problems)),
            "problems": listed,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "service": None if message is None else message.service,
            "id": None if message is None else message.id,
            "size_bytes": taken.size_bytes,
            "raw": taken.raw[:SHOWN_BYTES].decode("utf-8", "replace"),
        }
        answer = None
        if message is not None and answers:
            body = {"id": message.id, "state": "refused", "problems": listed}
            answer = (answer_key(message.service, message.id), body)
        self._list.finish(taken, answer=answer, rejection=rejection)
        logger.warning("a message of %s was refused: %s", rejection["service"] or "someone", rejection["code"])

    def _is_mine(self) -> bool:
        """Whether this intake is the one that works; the others wait for its lock."""
        moment = time.monotonic()
        if self._locked_at is not None and moment - self._locked_at < LOCK_EVERY_S:
            return True
        with self._log.write() as connection:
            mine = take_lock(connection, "intake", owner=self._owner, seconds=LOCK_S)
        if self._locked_at is None or not mine:
            self._hand_is_empty = False
        self._locked_at = moment if mine else None
        return mine

    def _give_lock_back(self) -> None:
        try:
            if self._locked_at is not None:
                with self._log.write() as connection:
                    take_lock(connection, "intake", owner=self._owner, seconds=0)
        except LmlError as error:
            logger.warning("the lock could not be given back: %s", error)


def main(owner: str | None = None) -> int:
    """Take messages until a signal; the exit code."""
    try:
        settings = load_settings()
        log_to_stderr("intake", as_json=settings.log == "json")
        settings.require_redis_url()
        log = Log(settings.log_url)
    except LmlError as error:
        print(error, file=sys.stderr)  # noqa: T201 - an entry point talks to its terminal
        return 2
    intake = Intake(settings, log, owner or worker_name())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, intake.stop)
    intake.run()
    return 0


def _read(taken: Taken) -> Signed:
    if taken.too_long:
        raise refused(
            "message_too_large",
            f"A message has at most {MOST_BYTES:,} bytes; this one has {taken.size_bytes:,}.",
            "Send several, and name datasets instead of sending them.",
        )
    return read_message(taken.raw)


def _in_words(numbers: Sequence[int]) -> str:
    return f"run {numbers[0]}" if len(numbers) == 1 else f"runs {numbers[0]} to {numbers[-1]}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))

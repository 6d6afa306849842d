"""The log channel: a line for each run of the team that ended, and the weekly digest; what is due, and how it looks.

Nothing that ended before the channel was named is told.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.cards import Card, run_card
from bot.delivery.card_view import without_secrets
from bot.delivery.digest import WEEK, digest_card, digest_key, last_due, people_block
from bot.slack.blocks import Block
from bot.slack.typed import PREFIX
from shared.log import notices, runs
from shared.log.digest import week_of
from shared.log.engine import Log, now
from shared.log.notices import NewNotice, Notice, NoticeKind
from shared.log.runs import Run

LOOKS_EVERY_S = 1.0


@dataclass(frozen=True)
class LogChannel:
    """Where it is, and when the digest is due: `mon 09:00`; None for no digest."""

    channel_id: str
    team_id: str
    digest: str | None = None


class LogChannelDesk:
    """Writes what the log channel has still to be told into the outbox. Used by one thread."""

    def __init__(self, log: Log, channel: LogChannel) -> None:
        self._log, self._channel = log, channel
        self._look_at = 0.0

    def write_due(self) -> None:
        """Look now and then; most looks find nothing and cost no write."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOKS_EVERY_S
        team, channel = self._channel.team_id, self._channel.channel_id
        with self._log.read() as connection:
            begun = notices.written_at(connection, notices.begun_key(channel))
            due = begun is not None and notices.ends_are_behind(connection, team_id=team, channel_id=channel)
            digest = self._digest(now(connection), begun)
            digest = None if digest is None or notices.is_written(connection, digest.key) else digest
        if begun is not None and not due and digest is None:
            return
        with self._log.write() as connection:
            if begun is None:
                notices.write(connection, NewNotice(notices.begun_key(channel), NoticeKind.BEGUN, team, channel))
            if due:
                notices.enroll_ends(connection, team_id=team, channel_id=channel)
            if digest is not None:
                notices.write(connection, digest)

    def _digest(self, moment: datetime, begun: datetime | None) -> NewNotice | None:
        """The digest that is due: the last one, were bots away for weeks."""
        if self._channel.digest is None or begun is None:
            return None
        end = last_due(self._channel.digest, moment)
        if end < begun:
            return None
        where = self._channel
        body = {"from": (end - WEEK).isoformat(), "until": end.isoformat()}
        return NewNotice(digest_key(end, where.team_id), NoticeKind.DIGEST, where.team_id, where.channel_id, body=body)


def notice_card(log: Log, notice: Notice, *, page_of: Callable[[Run, str], str]) -> tuple[Card, Block | None]:
    """What a line or a digest says, and a block below it."""
    with log.read() as connection:
        if notice.kind is NoticeKind.DIGEST:
            start, end = (datetime.fromisoformat(notice.body[name]) for name in ("from", "until"))
            week = week_of(connection, notice.team_id, start, end)
            return digest_card(week), people_block(week.requesters)
        run = runs.get(connection, notice.run or 0)
    return ended_card(run, page=page_of(run, notice.channel_id)), None


def ended_card(run: Run, *, page: str = "") -> Card:
    """One line about a run that has ended."""
    whole = run_card(run, (), prefix=PREFIX)
    problem = without_secrets(run.problem)
    what = problem.message if problem is not None else whole.headline
    line = f"{whole.title}: {what}" if what else whole.title
    facts = tuple(fact for fact in whole.facts if fact[0] in ("took", "asked by"))
    return Card(title="", state=whole.state, headline=line, facts=facts, page=page)

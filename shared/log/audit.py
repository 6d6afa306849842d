"""The audit: who asked for what, where, and whether it was allowed. Rows are added and read, never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, insert, select

from shared.access import Principal
from shared.log.chat_tables import audit
from shared.log.engine import now
from shared.log.runs import MOST_NUMBER

MOST_WORDS = 2_000
"""The characters of a command and of a reason that are kept."""


class Decision(StrEnum):
    """What was answered."""

    ALLOWED = "allowed"
    DENIED = "denied"


@dataclass(frozen=True)
class Asked:
    """What somebody asked for; `reason` says why it was denied."""

    verb: str
    words: str
    decision: Decision = Decision.ALLOWED
    run: int | None = None
    reason: str | None = None
    trigger: str | None = None


@dataclass(frozen=True)
class Noted:
    """A row of the audit."""

    id: int
    at: datetime
    team_id: str
    by: str
    source: str
    entry: str
    channel_id: str | None
    verb: str
    words: str
    run_id: int | None
    decision: Decision
    reason: str | None
    trigger_id: str | None


@dataclass(frozen=True)
class AuditQuery:
    """Which rows to read, newest first; what is empty narrows nothing."""

    by: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    decision: Decision | None = None
    run: int | None = None
    since: datetime | timedelta | None = None
    limit: int = 50


def note(connection: Connection, principal: Principal, asked: Sequence[Asked]) -> None:
    """Add a row for each thing that was asked."""
    if not asked:
        return
    at = now(connection)
    who = {
        "at": at,
        "team_id": principal.team_id[:64],
        "by": principal.user_id[:128],
        "source": principal.source.value,
        "entry": principal.came_by.value,
        "channel_id": principal.channel_id and principal.channel_id[:64],
    }
    rows = [
        {
            **who,
            "verb": one.verb[:32],
            "words": one.words[:MOST_WORDS],
            "run_id": None if one.run is None else min(one.run, MOST_NUMBER),
            "decision": one.decision.value,
            "reason": one.reason and one.reason[:MOST_WORDS],
            "trigger_id": one.trigger and one.trigger[:128],
        }
        for one in asked
    ]
    connection.execute(insert(audit), rows)


def find(connection: Connection, principal: Principal, query: AuditQuery) -> list[Noted]:
    """The rows of this principal's team that fit, newest first; a shell reads those of every team."""
    conditions = [] if principal.sees_everything else [audit.c.team_id == principal.team_id]
    if query.by:
        conditions.append(audit.c.by.in_(query.by))
    if query.verbs:
        conditions.append(audit.c.verb.in_(query.verbs))
    if query.decision is not None:
        conditions.append(audit.c.decision == query.decision.value)
    if query.run is not None:
        conditions.append(audit.c.run_id == min(query.run, MOST_NUMBER))
    if query.since is not None:
        moment = now(connection) - query.since if isinstance(query.since, timedelta) else query.since
        conditions.append(audit.c.at >= moment)
    rows = connection.execute(select(audit).where(*conditions).order_by(audit.c.id.desc()).limit(query.limit))
    return [_noted(dict(row._mapping)) for row in rows]


def _noted(row: dict[str, object]) -> Noted:
    return Noted(**{**row, "decision": Decision(str(row["decision"]))})  # type: ignore[arg-type]

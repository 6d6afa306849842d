"""What was said to the bot in messages, from the moment it was heard until its answer stands: rows of `notices`.

Slack takes an event for delivered once it is acknowledged, so it is written here first. A row holds what was asked,
then the answer, then a mark while that is being posted, then its ts: whoever finds it knows what is left to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from shared.log.cards import MOST_LEASE_S, Marked, mark_of
from shared.log.chat_tables import notices
from shared.log.engine import lapsed, now

KIND = "heard"
"""The kind of these rows; the outbox of other notices leaves them alone."""

_KEPT = timedelta(days=7)
"""For how long an answered message is known, should Slack send it again."""
_LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True)
class Heard(Marked):
    """A message that is not answered yet, taken under a lease."""

    id: int
    key: str
    channel_id: str
    thread_ts: str | None
    body: Mapping[str, Any]
    message_ts: str | None
    """A mark while a post of the answer is under way."""
    tries: int
    taken_at: datetime | None = field(default=None, compare=False)


def hear(
    connection: Connection,
    *,
    key: str,
    team_id: str,
    channel_id: str,
    thread_ts: str | None,
    body: Mapping[str, Any],
) -> bool:
    """Write down a message; False when it was heard before."""
    values = {"key": key, "kind": KIND, "team_id": team_id, "channel_id": channel_id, "thread_ts": thread_ts}
    try:
        with connection.begin_nested():
            connection.execute(
                insert(notices).values(**values, body=dict(body), tries=0, due_at=now(connection), message_ts=None)
            )
    except IntegrityError:
        return False
    return True


def is_due(connection: Connection) -> bool:
    """Whether a message waits for its answer."""
    return connection.execute(_due(now(connection))).first() is not None


def take(connection: Connection, *, owner: str, lease_s: float) -> Heard | None:
    """Take the oldest message that waits for its answer; None when none does."""
    moment = now(connection)
    row = connection.execute(_due(moment).with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    until = moment + timedelta(seconds=lease_s)
    connection.execute(update(notices).where(notices.c.id == row.id).values(lease_owner=owner, lease_until=until))
    return Heard(row.id, row.key, row.channel_id, row.thread_ts, row.body, row.message_ts, row.tries, moment)


def answered(connection: Connection, heard: int, body: Mapping[str, Any], *, owner: str) -> bool:
    """Keep the answer; False when the row is not this owner's any more."""
    return _note(connection, heard, owner=owner, body=dict(body))


def mark(connection: Connection, heard: int, *, owner: str, lease_s: float) -> bool:
    """Note that the answer is about to be posted, and keep the message for another lease; False as for `answered`."""
    moment = now(connection)
    until = moment + timedelta(seconds=lease_s)
    return _note(connection, heard, owner=owner, message_ts=mark_of(moment), lease_until=until)


def unmark(connection: Connection, heard: int, *, owner: str) -> bool:
    """Note that the answer surely was not posted; False as for `answered`."""
    return _note(connection, heard, owner=owner, message_ts=None)


def done(connection: Connection, heard: int, *, owner: str, message_ts: str | None, problem: str | None = None) -> bool:
    """The answer stands, or will not be tried again, with the reason."""
    moment, given_back = now(connection), {"lease_owner": None, "lease_until": None}
    return _note(connection, heard, owner=owner, done_at=moment, message_ts=message_ts, problem=problem, **given_back)


def put_off(connection: Connection, heard: int, *, owner: str, seconds: float) -> bool:
    """Give the message back; it is tried again after so many seconds."""
    due = now(connection) + timedelta(seconds=seconds)
    tries = notices.c.tries + 1
    return _note(connection, heard, owner=owner, due_at=due, tries=tries, lease_owner=None, lease_until=None)


def forget_old(connection: Connection) -> int:
    """Drop messages that were answered long ago; how many."""
    before = now(connection) - _KEPT
    gone = connection.execute(delete(notices).where(notices.c.kind == KIND, notices.c.done_at < before))
    return gone.rowcount


def _due(moment: datetime) -> Select[Any]:
    columns = notices.c
    return (
        select(notices)
        .where(
            columns.kind == KIND,
            columns.done_at.is_(None),
            lapsed(columns.due_at, moment, at_most_s=_LONGEST_WAIT_S),
            or_(columns.lease_until.is_(None), lapsed(columns.lease_until, moment, at_most_s=MOST_LEASE_S)),
        )
        .order_by(columns.id)
        .limit(1)
    )


def _note(connection: Connection, heard: int, *, owner: str, **values: Any) -> bool:
    mine = (notices.c.id == heard, notices.c.lease_owner == owner, notices.c.done_at.is_(None))
    return connection.execute(update(notices).where(*mine).values(**values)).rowcount > 0

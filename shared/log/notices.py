"""The outbox of messages that are no cards: lines of the log channel, weekly digests, words to one person or thread.

A notice has a key, and a key is written once. It is taken under a lease; a mark stands where the message's ts will
stand while its post is under way, as with cards. Lines about ended runs are written by whoever sends them, which looks
for what has ended since it last looked: neither a worker nor a verb knows of them, so that they can neither slow nor
fail one. The same table holds what the bot was told in messages (`shared.log.heard`).
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    cast,
    exists,
    insert,
    literal,
    or_,
    select,
    update,
)

from shared.access import Visibility
from shared.log import tables
from shared.log.cards import MOST_LEASE_S, Marked, mark_of
from shared.log.chat_tables import notices as outbox
from shared.log.engine import lapsed, now, one_at_a_time
from shared.log.states import ENDED

LONGEST_WAIT_S = 3600.0
_AT_ONCE = 100
_LOOKS_BACK = timedelta(hours=1)
"""A block may have written its end a little before it was visible, and clocks are set back."""


class NoticeKind(StrEnum):
    """What a notice says."""

    BEGUN = "begun"  # nothing: since when the log channel is told of ends
    ENDED = "ended"  # that a run has ended, in the log channel
    DIGEST = "digest"  # what happened in a week, in the log channel
    TELL = "tell"  # something to one person, in a direct message
    THREAD = "thread"  # something in the thread of a card


@dataclass(frozen=True)
class NewNotice:
    """A message to send once."""

    key: str
    kind: NoticeKind
    team_id: str
    channel_id: str
    """Where it goes: a channel, or a person's id for a direct message."""
    body: dict[str, Any] = field(default_factory=dict)
    run: int | None = None
    thread_ts: str | None = None


@dataclass(frozen=True)
class Notice(NewNotice, Marked):
    """A notice that was taken."""

    id: int = 0
    message_ts: str | None = None
    tries: int = 0
    taken_at: datetime | None = field(default=None, compare=False)


def write(connection: Connection, new: NewNotice) -> bool:
    """Put a notice into the outbox; False when its key was written before."""
    one_at_a_time(connection, "notice", new.key)
    if is_written(connection, new.key):
        return False
    moment = now(connection)
    done_at = moment if new.kind is NoticeKind.BEGUN else None
    connection.execute(insert(outbox).values(**_row(new, due_at=moment), done_at=done_at))
    return True


def is_written(connection: Connection, key: str) -> bool:
    """Whether there is a notice with this key."""
    return connection.execute(select(exists().where(outbox.c.key == key))).scalar_one()


def written_at(connection: Connection, key: str) -> datetime | None:
    """When a `BEGUN` notice was written; None when it was not."""
    found: datetime | None = connection.execute(select(outbox.c.due_at).where(outbox.c.key == key)).scalar_one_or_none()
    return found


def begun_key(channel_id: str) -> str:
    """The key that says since when a log channel is told."""
    return f"begun:{channel_id}"


def ends_are_behind(connection: Connection, *, team_id: str, channel_id: str) -> bool:
    """Whether a run has ended that the log channel was not told of."""
    return connection.execute(_untold(connection, team_id, channel_id).limit(1)).first() is not None


def enroll_ends(connection: Connection, *, team_id: str, channel_id: str) -> None:
    """Write a notice for each run that has ended and has none, the oldest first, some at a time."""
    one_at_a_time(connection, "notices", team_id)
    for row in connection.execute(_untold(connection, team_id, channel_id).limit(_AT_ONCE)).all():
        new = NewNotice(f"ended:{row.id}", NoticeKind.ENDED, team_id, channel_id, run=row.id)
        connection.execute(insert(outbox).values(_row(new, due_at=row.ended_at)))


def is_due(connection: Connection, *, full_channels: Collection[str] = ()) -> bool:
    """Whether a notice is to be sent now, beside those for channels that take none now."""
    return connection.execute(_due(now(connection), full_channels).limit(1)).first() is not None


def take(connection: Connection, *, owner: str, lease_s: float, full_channels: Collection[str] = ()) -> Notice | None:
    """Take the notice that is due longest, under a lease; None when none is."""
    moment = now(connection)
    row: Any = connection.execute(_due(moment, full_channels).limit(1).with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    until = moment + timedelta(seconds=lease_s)
    mine = outbox.c.id == row.id
    connection.execute(update(outbox).where(mine).values(lease_owner=owner, lease_until=until))
    return Notice(
        key=row.key,
        kind=NoticeKind(row.kind),
        team_id=row.team_id,
        channel_id=row.channel_id,
        body=dict(row.body),
        run=row.run_id,
        thread_ts=row.thread_ts,
        id=row.id,
        message_ts=row.message_ts,
        tries=row.tries,
        taken_at=moment,
    )


def note_posting(connection: Connection, notice: Notice, *, owner: str, lease_s: float) -> bool:
    """Write that the notice is about to be posted, before it is; False when it is not this owner's any more."""
    moment = now(connection)
    values = {"message_ts": mark_of(moment), "lease_until": moment + timedelta(seconds=lease_s)}
    return connection.execute(update(outbox).where(_mine(notice, owner)).values(values)).rowcount > 0


def note_unposted(connection: Connection, notice: Notice, *, owner: str) -> None:
    """Write that it surely was not posted."""
    connection.execute(update(outbox).where(_mine(notice, owner)).values(message_ts=None))


def done(
    connection: Connection, notice: Notice, *, owner: str, message_ts: str | None = None, problem: str | None = None
) -> None:
    """It was sent, or was given up for the reason in `problem`."""
    sent = {"message_ts": message_ts} if message_ts else {}
    _give_back(connection, notice, owner, done_at=now(connection), problem=problem, **sent)


def later(connection: Connection, notice: Notice, *, owner: str, seconds: float, tried: bool = False) -> None:
    """It is tried again after so many seconds; `tried` counts that it was not taken."""
    due_at = now(connection) + timedelta(seconds=min(seconds, LONGEST_WAIT_S))
    _give_back(connection, notice, owner, due_at=due_at, tries=notice.tries + int(tried))


def give_back(connection: Connection, notice: Notice, *, owner: str) -> None:
    """Give the notice back as it was taken: it keeps its place among those that are due."""
    _give_back(connection, notice, owner)


def _untold(connection: Connection, team_id: str, channel_id: str) -> Select[Any]:
    """Ended runs of the whole team without a line. A run of a private channel or of one person is told nowhere else,
    and the seeds of a run are told by that run.
    """
    runs = tables.runs.c
    begun = written_at(connection, begun_key(channel_id)) or now(connection)
    newest = connection.execute(
        select(runs.ended_at)
        .join(outbox, outbox.c.run_id == runs.id)
        .where(outbox.c.kind == NoticeKind.ENDED.value)
        .order_by(outbox.c.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    since = begun if newest is None else max(begun, newest - _LOOKS_BACK)
    key = literal("ended:", String) + cast(runs.id, String)
    return (
        select(runs.id, runs.ended_at)
        .where(
            runs.ended_at >= since,
            runs.state.in_([state.value for state in ENDED]),
            runs.team_id == team_id,
            runs.visibility == Visibility.TEAM.value,
            runs.kind != "probe",
            runs.seed_of.is_(None),
            ~exists().where(outbox.c.key == key),
        )
        .order_by(runs.ended_at)
    )


def _row(new: NewNotice, *, due_at: datetime) -> dict[str, Any]:
    return {
        "key": new.key,
        "kind": new.kind.value,
        "team_id": new.team_id,
        "channel_id": new.channel_id,
        "thread_ts": new.thread_ts,
        "run_id": new.run,
        "body": new.body,
        "tries": 0,
        "due_at": due_at,
    }


def _due(moment: datetime, full_channels: Collection[str]) -> Select[Any]:
    notices = outbox.c
    mine = notices.kind.in_([kind.value for kind in NoticeKind])
    free = or_(notices.lease_until.is_(None), lapsed(notices.lease_until, moment, at_most_s=MOST_LEASE_S))
    is_time = lapsed(notices.due_at, moment, at_most_s=LONGEST_WAIT_S)
    open_ = notices.channel_id.not_in(list(full_channels))
    return (
        select(outbox).where(notices.done_at.is_(None), mine, is_time, free, open_).order_by(notices.due_at, notices.id)
    )


def _mine(notice: Notice, owner: str) -> ColumnElement[bool]:
    return and_(outbox.c.id == notice.id, outbox.c.lease_owner == owner)


def _give_back(connection: Connection, notice: Notice, owner: str, **values: Any) -> None:
    back = update(outbox).where(_mine(notice, owner))
    connection.execute(back.values(lease_owner=None, lease_until=None, **values))

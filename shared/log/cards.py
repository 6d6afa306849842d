"""Cards: where a run's message stands in a chat, and the last event that it shows.

Whoever sends takes a card under a short lease, so that two bot processes share the work and neither posts twice. The
owner of the lease is the fence: each note is written only while the lease is still the writer's.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, false, func, insert, or_, select, true, update

from shared.log import tables
from shared.log.engine import lapsed, now
from shared.log.states import ENDED, RunState

LONGEST_WAIT_S = 1800.0
"""How long a card is put off at most."""

MOST_LEASE_S = 120.0
"""No lease is longer: one that ends later is left from a clock that was set back."""

_MARK = "?"
_ENDED = [state.value for state in ENDED]
_GOES_ON = [state.value for state in RunState if state not in ENDED]


class Marked:
    """Something that is posted: a mark stands where its message's ts will stand while a post of it is under way."""

    message_ts: str | None
    taken_at: datetime | None

    @property
    def marked_s(self) -> float | None:
        """When a post began that nobody heard of again, in seconds since 1970; None where none did."""
        ts = self.message_ts
        return float(ts.removeprefix(_MARK)) if ts is not None and ts.startswith(_MARK) else None

    @property
    def unheard_for_s(self) -> float:
        """How long ago that was."""
        since = self.marked_s
        return 0.0 if since is None or self.taken_at is None else max(self.taken_at.timestamp() - since, 0.0)


@dataclass(frozen=True)
class CardPlace(Marked):
    """A card that is behind its run, and where it stands; `message_ts` is None before it was posted."""

    run: int
    channel_id: str
    message_ts: str | None
    shown_event: int
    files_sent: bool
    taken_at: datetime | None = field(default=None, compare=False)
    """The database's clock when it was taken."""


@dataclass(frozen=True)
class Wanted:
    """Which cards whoever sends has a turn for; all of them unless told otherwise."""

    cards: bool = True
    """Those whose message is behind its run."""
    files: bool = True
    """Those whose files have to go into the thread."""
    full_channels: Collection[str] = ()
    """Channels that take no new message now."""
    progress: bool = True
    """Whether the cards of runs that go on can be edited."""
    ends: bool = True
    """Whether the cards of runs that have ended can be edited."""
    ended_since: datetime | None = None
    """Runs that ended before are not looked at; None looks at every card that there is."""


EVERYTHING = Wanted()


def mark_of(moment: datetime) -> str:
    """What stands for the ts of a message whose post begins now."""
    return f"{_MARK}{moment.timestamp():.6f}"


def place(connection: Connection, run: int, *, channel_id: str) -> None:
    """Note that a run wants a card in a channel."""
    connection.execute(insert(tables.cards).values(run_id=run, channel_id=channel_id, shown_event=-1, files_sent=False))


def is_behind(connection: Connection, wanted: Wanted = EVERYTHING) -> bool:
    """Whether a card could be taken: most looks find none, and cost no write."""
    return connection.execute(_behind(wanted, now(connection)).limit(1)).first() is not None


def take_behind(
    connection: Connection, *, owner: str, lease_s: float = 30.0, wanted: Wanted = EVERYTHING
) -> CardPlace | None:
    """Take a card that is behind its run, or has files to send, under a lease; None when all are up to date.

    Runs that have ended come first, then cards that were never posted, then progress, and files last.
    """
    moment, cards = now(connection), tables.cards.c
    found = _behind(wanted, moment).limit(1).with_for_update(skip_locked=True, of=tables.cards)
    row = connection.execute(found).one_or_none()
    if row is None:
        return None
    connection.execute(
        update(tables.cards)
        .where(cards.run_id == row.run_id)
        .values(lease_owner=owner, lease_until=moment + timedelta(seconds=lease_s))
    )
    return CardPlace(
        run=row.run_id,
        channel_id=row.channel_id,
        message_ts=row.message_ts,
        shown_event=row.shown_event,
        files_sent=row.files_sent,
        taken_at=moment,
    )


def keep(connection: Connection, run: int, *, owner: str, lease_s: float) -> bool:
    """Keep the card for another lease; False when it is not this owner's any more."""
    until = now(connection) + timedelta(seconds=lease_s)
    kept = connection.execute(update(tables.cards).where(_mine(run, owner)).values(lease_until=until))
    return kept.rowcount > 0


def note_posting(connection: Connection, run: int, *, owner: str, lease_s: float) -> str | None:
    """Write that the run's card is about to be posted, before it is, and keep it for another lease; returns the mark.

    The mark stands where the message's ts will stand: whoever finds it there knows that the message may exist. None
    when the card is not this owner's any more.
    """
    moment = now(connection)
    mark = mark_of(moment)
    values = {"message_ts": mark, "lease_until": moment + timedelta(seconds=lease_s)}
    noted = connection.execute(update(tables.cards).where(_mine(run, owner)).values(values))
    return mark if noted.rowcount > 0 else None


def note_unposted(connection: Connection, run: int, *, owner: str) -> bool:
    """Write that the run has no message: it surely was not posted, or is gone."""
    noted = connection.execute(update(tables.cards).where(_mine(run, owner)).values(message_ts=None))
    return noted.rowcount > 0


def shown(  # noqa: PLR0913 - what it shows now, and when it may change again
    connection: Connection,
    run: int,
    *,
    owner: str,
    message_ts: str,
    event: int,
    again_in_s: float,
    rests_s: float = 0.0,
) -> None:
    """Store that the card shows an event now, and give it back; it is not taken again before `again_in_s` seconds.

    For `rests_s` seconds it shows no progress, but the end: a lease of nobody.
    """
    _give_back(connection, run, owner=owner, again_in_s=again_in_s, message_ts=message_ts, shown_event=event)
    if rests_s > 0:
        until = now(connection) + timedelta(seconds=min(rests_s, MOST_LEASE_S))
        rests = (tables.cards.c.run_id == run, tables.cards.c.lease_owner.is_(None))
        connection.execute(update(tables.cards).where(*rests).values(lease_until=until))


def files_sent(connection: Connection, run: int, *, owner: str) -> bool:
    """Store that the run's files are in the card's thread, and give the card back; False when it is another's."""
    return _give_back(connection, run, owner=owner, again_in_s=0.0, files_sent=True)


def put_off(connection: Connection, run: int, *, owner: str, seconds: float) -> None:
    """Give the card back unshown; it is tried again after so many seconds."""
    _give_back(connection, run, owner=owner, again_in_s=min(seconds, LONGEST_WAIT_S))


def give_back(connection: Connection, run: int, *, owner: str) -> None:
    """Give the card back as it was taken: it keeps its place among those that are due."""
    connection.execute(update(tables.cards).where(_mine(run, owner)).values(lease_owner=None, lease_until=None))


def give_up(connection: Connection, run: int, *, owner: str, problem: str) -> bool:
    """Store why this card cannot be shown; it is not tried again. False when it is another's."""
    return _give_back(connection, run, owner=owner, again_in_s=0.0, problem=problem)


def running(connection: Connection) -> int:
    """How many cards show runs that go on."""
    cards, runs = tables.cards.c, tables.runs.c
    found = select(func.count()).select_from(tables.cards.join(tables.runs, runs.id == cards.run_id))
    number: int = connection.execute(found.where(runs.state == "running", cards.problem.is_(None))).scalar_one()
    return number


def _mine(run: int, owner: str) -> ColumnElement[bool]:
    return and_(tables.cards.c.run_id == run, tables.cards.c.lease_owner == owner)


def _give_back(connection: Connection, run: int, *, owner: str, again_in_s: float, **values: str | int | bool) -> bool:
    due_at = now(connection) + timedelta(seconds=again_in_s)
    back = update(tables.cards).where(_mine(run, owner))
    return connection.execute(back.values(lease_owner=None, lease_until=None, due_at=due_at, **values)).rowcount > 0


def _behind(wanted: Wanted, moment: datetime) -> Select[Any]:
    cards, runs = tables.cards.c, tables.runs.c
    has_ended = runs.state.in_(_ENDED)
    stands = and_(cards.message_ts.is_not(None), cards.message_ts.not_like(f"{_MARK}%"))
    late = cards.shown_event < runs.last_event
    editable = {(True, True): true(), (False, False): false(), (True, False): ~has_ended, (False, True): has_ended}
    can_post = cards.channel_id.not_in(list(wanted.full_channels))
    can_edit = editable[wanted.progress, wanted.ends]
    sends_card = and_(late, or_(and_(~stands, can_post), and_(stands, can_edit))) if wanted.cards else false()
    sends_files = and_(~late, runs.state == "succeeded", cards.files_sent.is_(False)) if wanted.files else false()
    first = case((and_(late, has_ended), 0), (~stands, 1), (late, 2), else_=3)
    found = select(tables.cards).join(tables.runs, runs.id == cards.run_id)
    if wanted.ended_since is not None:  # a log of a million runs is not read each second
        recent = (
            select(runs.id)
            .where(runs.state.in_(_GOES_ON))
            .union_all(select(runs.id).where(runs.ended_at >= wanted.ended_since))
        )
        found = found.where(cards.run_id.in_(recent))
    return found.where(
        or_(sends_card, sends_files),
        cards.problem.is_(None),
        or_(
            cards.lease_until.is_(None),
            lapsed(cards.lease_until, moment, at_most_s=MOST_LEASE_S),
            and_(cards.lease_owner.is_(None), has_ended),
        ),
        or_(cards.due_at.is_(None), lapsed(cards.due_at, moment, at_most_s=LONGEST_WAIT_S)),
    ).order_by(first, cards.due_at.is_not(None), cards.due_at, cards.run_id)

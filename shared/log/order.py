"""Which waiting run is next: the highest class, in it whoever has used the least, of theirs the one that waits longest.

What a requester has used are the seconds that their runs had slots, each of them worth half as much a day later
(decayed fair share, as batch schedulers have it), and those of runs that go on. A run that waits rises by a class every
two hours, up to `high`, so that nothing waits for ever.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from shared.log import tables
from shared.log.quotas import Limits, used_gpu_s
from shared.log.states import RunState
from shared.specs import Device
from shared.work import Length, Priority, Slot

HALF_LIFE_S = 24 * 3600.0
_FORGOTTEN_AFTER = timedelta(seconds=30 * HALF_LIFE_S)
"""A whole year of slots counts for less than a second then."""
RISES_AFTER_S = 2 * 3600.0
_STARTED_S = 10.0
"""What a run that goes on counts from its first moment on, so that two free slots do not both go to one requester."""

Requester = tuple[str, str]
"""The team and who asked."""


@dataclass(frozen=True)
class Group:
    """The waiting runs of one requester that were given one class, those for a CPU apart from the others."""

    requester: Requester
    given: int
    priority: int
    """The class in which the first of them is now."""
    since: datetime
    """Since when the first of them waits."""
    first: int
    """The number of the one that waits longest."""
    on_cpu: bool = False
    """Whether they asked for a CPU, and so use no GPU-hours wherever they run."""


def waits(slot: Slot) -> ColumnElement[bool]:
    """The condition under which a run waits for such a slot."""
    runs = tables.runs.c
    return and_(runs.state == RunState.QUEUED.value, runs.device.in_(slot.devices), runs.length.in_(slot.lengths))


def risen(given: int, waits_since: datetime, moment: datetime) -> int:
    """The class of a waiting run now: the one that it was given, and one more for every two hours, up to high."""
    steps = int((moment - waits_since).total_seconds() // RISES_AFTER_S)
    return given if given >= Priority.HIGH else min(given + max(steps, 0), Priority.HIGH)


def ranked(connection: Connection, slot: Slot, moment: datetime, limits: Limits) -> Iterator[Group]:
    """The groups that may have the slot, the best first; who has all their places or GPU-hours taken is left out."""
    groups = _groups(connection, slot, moment)
    if not groups:
        return
    running = running_since(connection)
    used = usage(connection, {group.requester for group in groups}, running, moment)
    for group in sorted(groups, key=lambda group: (-group.priority, used[group.requester], group.since, group.first)):
        limit = limits.of(connection, group.requester[1])
        if limit.max_running is not None and len(running[group.requester]) >= limit.max_running:
            continue
        if slot.gpu is not None and not group.on_cpu and limit.max_gpu_hours is not None:
            gpu_s = used_gpu_s(connection, *group.requester, moment)
            if gpu_s >= limit.max_gpu_hours * 3600:
                continue
        yield group


def _groups(connection: Connection, slot: Slot, moment: datetime) -> list[Group]:
    firsts = _firsts_by_skipping() if connection.dialect.name == "postgresql" else _firsts_by_grouping()
    found: dict[tuple[Requester, int, bool], Group] = {}
    for row in connection.execute(firsts):
        if not slot.takes(Device(row.device), Length(row.length)):
            continue
        requester, given, on_cpu = (row.team_id, row.requested_by), row.priority, row.device == Device.CPU
        priority = risen(given, row.queued_at, moment)
        group = Group(requester, given, priority, row.queued_at, row.id, on_cpu=on_cpu)
        known = found.get((requester, given, on_cpu))
        if known is None or (group.since, group.first) < (known.since, known.first):
            found[requester, given, on_cpu] = group
    return list(found.values())


@cache
def _firsts_by_grouping() -> Select[Any]:
    """The first run of each group: the index is read once, in its order, and nothing is sorted.

    SQLite takes the number from the row that has the least moment ("bare columns in an aggregate query").
    """
    runs = tables.runs.c
    key = (runs.device, runs.length, runs.priority, runs.team_id, runs.requested_by)
    return (
        select(*key, runs.id, func.min(runs.queued_at).label("queued_at"))
        .where(runs.state == RunState.QUEUED.value)
        .group_by(*key)
    )


@cache
def _firsts_by_skipping() -> Select[Any]:
    """The same on Postgres, from group to group by the index ("loose index scan"): it reads as many rows as groups.

    The condition on the state is a part of the comparison, else each step would begin at the first waiting run.
    """
    runs = tables.runs.c
    order = (runs.state, runs.device, runs.length, runs.priority, runs.team_id, runs.requested_by)
    order_by = (*order, runs.queued_at, runs.id)
    first = select(*order_by).where(runs.state == RunState.QUEUED.value).order_by(*order_by).limit(1)
    firsts = select(first.subquery()).cte("firsts", recursive=True)
    reached = tuple_(*(firsts.c[column.name] for column in order))
    after = select(*order_by).where(tuple_(*order) > reached).order_by(*order_by).limit(1).lateral("after")
    firsts = firsts.union_all(select(after).select_from(firsts).join(after, after.c.state == RunState.QUEUED.value))
    return select(firsts)


def running_since(connection: Connection) -> Mapping[Requester, list[datetime]]:
    """Since when each requester's runs have gone on."""
    runs = tables.runs.c
    found: defaultdict[Requester, list[datetime]] = defaultdict(list)
    rows = connection.execute(
        select(runs.team_id, runs.requested_by, runs.started_at).where(runs.state == RunState.RUNNING.value)
    )
    for team, who, started_at in rows:
        found[team, who].append(started_at)
    return found


def usage(
    connection: Connection,
    requesters: Iterable[Requester],
    running: Mapping[Requester, list[datetime]],
    moment: datetime,
) -> dict[Requester, float]:
    """The slot-seconds that each requester has used, as they count at a moment."""
    used: dict[Requester, float] = {}
    for requester in requesters:
        going = (max((moment - since).total_seconds(), 0.0) + _STARTED_S for since in running.get(requester, ()))
        used[requester] = sum(going)
    counts = tables.shares.c.as_of > moment - _FORGOTTEN_AFTER  # all that do, for they are few: one for each requester
    for row in connection.execute(select(tables.shares).where(counts)):
        if (row.team_id, row.requested_by) in used:
            used[row.team_id, row.requested_by] += row.slot_s * _decay(row.as_of, moment)
    return used


def count_slot_seconds(
    connection: Connection, team_id: str, requested_by: str, *, seconds: float, moment: datetime
) -> None:
    """Add what an attempt that ended has used."""
    shares = tables.shares.c
    mine = and_(shares.team_id == team_id, shares.requested_by == requested_by)
    nothing = {"team_id": team_id, "requested_by": requested_by, "slot_s": 0.0, "as_of": moment}
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        insert(tables.shares).values(nothing).on_conflict_do_nothing()
    )  # two may end their first at once
    row: Any = connection.execute(select(shares.slot_s, shares.as_of).where(mine).with_for_update()).one()
    slot_s = row.slot_s * _decay(row.as_of, moment) + seconds
    connection.execute(update(tables.shares).where(mine).values(slot_s=slot_s, as_of=moment))


def _decay(since: datetime, moment: datetime) -> float:
    return float(0.5 ** (max((moment - since).total_seconds(), 0.0) / HALF_LIFE_S))

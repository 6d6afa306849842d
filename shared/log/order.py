"""Which waiting run is next: the highest class, in it whoever has used the least, of theirs the oldest.

What a requester has used are the seconds that their runs had slots, each of them worth half as much a day later
(decayed fair share, as batch schedulers have it), and those of runs that go on. A run that waits rises by a class every
two hours, up to `high`, so that nothing waits for ever.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from shared.log import tables
from shared.log.quotas import Limits, used_gpu_s
from shared.log.states import RunState
from shared.specs import Device
from shared.work import Length, Priority, Slot

HALF_LIFE_S = 24 * 3600.0
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
    """The class in which the oldest of them is now."""
    first: int
    """The number of the oldest."""
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
    for group in sorted(groups, key=lambda group: (-group.priority, used[group.requester], group.first)):
        limit = limits.of(connection, group.requester[1])
        if limit.max_running is not None and len(running[group.requester]) >= limit.max_running:
            continue
        if slot.gpu is not None and not group.on_cpu and limit.max_gpu_hours is not None:
            gpu_s = used_gpu_s(connection, *group.requester, moment)
            if gpu_s >= limit.max_gpu_hours * 3600:
                continue
        yield group


def _groups(connection: Connection, slot: Slot, moment: datetime) -> list[Group]:
    runs = tables.runs.c
    # In the order of the index, whatever the slot takes: a claim among thousands reads it once and sorts nothing.
    key = (runs.device, runs.length, runs.priority, runs.team_id, runs.requested_by)
    rows = connection.execute(
        select(*key, func.min(runs.id).label("first"), func.min(runs.queued_at).label("since"))
        .where(runs.state == RunState.QUEUED.value)
        .group_by(*key)
    )
    found: dict[tuple[Requester, int, bool], Group] = {}
    for row in rows:
        if not slot.takes(Device(row.device), Length(row.length)):
            continue
        requester, given = (row.team_id, row.requested_by), row.priority
        group = Group(requester, given, risen(given, row.since, moment), row.first, row.device == Device.CPU)
        known = found.get((requester, given, group.on_cpu))
        if known is None or group.first < known.first:
            found[requester, given, group.on_cpu] = group
    return list(found.values())


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
    shares = tables.shares.c
    rows = connection.execute(select(tables.shares).where(tuple_(shares.team_id, shares.requested_by).in_(list(used))))
    for row in rows:
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

"""What a sweep asks of the log: runs that wait too long, are past their deadline, or have no worker to wait for."""

from datetime import timedelta

from sqlalchemy import Connection, and_, exists, or_, select, update

from shared.access import Source
from shared.errors import Problem
from shared.events import WorkerMissing
from shared.log import tables
from shared.log.engine import lapsed, now
from shared.log.preparing import PREPARING_LEASE_S
from shared.log.runs import append_event, fail_waiting
from shared.log.states import WAITING, RunState
from shared.log.workers import live_slots
from shared.specs import Device
from shared.work import Length

MISSED_AFTER_S = 60.0
"""How long a run waits before its owner is told that no worker takes its class of work."""
UNBEGUN_S = 3600.0
"""How long a shell's run may wait for its command to begin with the dataset, as one of a long file of runs does."""
_AT_ONCE = 25
"""How many runs one transaction writes to, so that none takes long."""


def longer_than(connection: Connection, *, seconds: float) -> list[tuple[int, Device, Length]]:
    """The runs that have waited for so long that their doorbell may be lost, and their class of work."""
    runs, moment = tables.runs.c, now(connection)
    before = moment - timedelta(seconds=seconds)
    rows = connection.execute(
        select(runs.id, runs.device, runs.length)
        .where(runs.state == RunState.QUEUED.value, lapsed(runs.queued_at, before, at_most_s=2 * seconds))
        .order_by(runs.id)
    )
    return [(row.id, Device(row.device), Length(row.length)) for row in rows]


def end_late(connection: Connection) -> list[int]:
    """End the waiting runs whose deadline has passed; returns their numbers.

    A run with seeds waits for these, which have the same deadline, and is done with those that began in time.
    """
    runs, moment, seeds = tables.runs.c, now(connection), tables.runs.alias("seeds")
    late = connection.execute(
        select(runs.id, runs.deadline_at)
        .where(
            runs.state.in_([state.value for state in WAITING]),
            runs.deadline_at < moment,
            ~exists().where(seeds.c.seed_of == runs.id),
        )
        .order_by(runs.id)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True, of=tables.runs)  # all before the runs of which some are seeds
    ).all()
    return [row.id for row in late if fail_waiting(connection, row.id, _late(row.deadline_at.isoformat()))]


def end_abandoned(connection: Connection) -> list[int]:
    """End the runs whose command ended before it had brought their dataset; returns their numbers."""
    runs, moment = tables.runs.c, now(connection)
    unbegun = and_(runs.lease_until.is_(None), runs.created_at < moment - timedelta(seconds=UNBEGUN_S))
    numbers = connection.execute(
        select(runs.id)
        .where(
            runs.state == RunState.PREPARING.value,
            runs.source == Source.SHELL.value,
            or_(unbegun, lapsed(runs.lease_until, moment, at_most_s=2 * PREPARING_LEASE_S)),
        )
        .limit(_AT_ONCE)
    ).scalars()
    return [number for number in numbers.all() if fail_waiting(connection, number, _abandoned())]


def tell_worker_missing(connection: Connection) -> list[int]:
    """Tell the owners of runs that have waited a minute, once, that no worker lives that takes them."""
    runs, moment = tables.runs.c, now(connection)
    slots = live_slots(connection, moment)
    lonely = [
        and_(runs.device == device.value, runs.length == length.value)
        for device in Device
        for length in Length
        if not any(slot.takes(device, length) for slot in slots)
    ]
    if not lonely:
        return []
    rows = connection.execute(
        select(runs.id, runs.device, runs.length, runs.seed_of)
        .where(
            runs.state == RunState.QUEUED.value,
            runs.notice.is_(None),
            runs.queued_at < moment - timedelta(seconds=MISSED_AFTER_S),
            or_(*lonely),
        )
        .limit(_AT_ONCE)
    ).all()
    for row in rows:
        connection.execute(update(tables.runs).where(runs.id == row.id).values(notice="worker_missing"))
        append_event(connection, row.id, WorkerMissing(device=row.device, length=row.length))
    parents = {row.seed_of: row for row in rows if row.seed_of is not None}
    for parent, row in parents.items():  # of a seed, the card of its run is the one that is read
        untold = and_(runs.id == parent, runs.notice.is_(None))
        if connection.execute(update(tables.runs).where(untold).values(notice="worker_missing")).rowcount:
            append_event(connection, parent, WorkerMissing(device=row.device, length=row.length))
    return [row.id for row in rows]


def _abandoned() -> Problem:
    return Problem(
        code="command_ended",
        message="The command that asked for this run ended before it had brought the dataset into the store.",
        hint="Give the command again; `--detach` returns once the run waits for a worker.",
    )


def _late(deadline: str) -> Problem:
    return Problem(
        code="deadline_passed",
        message=f"The run was to end by {deadline}, and had not started by then.",
        hint="Submit it again with a later deadline or a higher priority; `status` says how long runs wait.",
    )

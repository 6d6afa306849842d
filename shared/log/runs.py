"""Runs: written once when they are asked for, found again by whoever may see them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from shared.access import Principal, Source, Visibility
from shared.errors import Problem, refused
from shared.events import EVENT, AnyEvent, Cancelled, CancelRequested, Failed, PriorityChanged, Queued
from shared.log import seeds, tables
from shared.log.engine import now
from shared.log.happened import append_event, write_event
from shared.log.states import ENDED, WAITING, RunState
from shared.specs import SPEC, SPEC_TYPES, AnySpec, Device, seeds_of
from shared.work import Length, Priority, device_of, length_of

__all__ = ["ENDED", "WAITING", "Artifact", "NewRun", "Run", "RunState", "append_event", "write_event"]


MOST_NUMBER = 2**31 - 1
"""No database holds a higher one."""
MOST_NAME = 255
"""The characters of a dataset's name that the log keeps: no file has a longer one, and no index holds any length."""


class Run(BaseModel):
    """A row of the log. Lenient: an older row may lack what has a default."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    team_id: str
    channel_id: str | None = None
    visibility: Visibility
    requested_by: str
    source: Source
    words: str
    request_sha256: str | None = None
    """The hash of the request whose key wrote it; None where no request had to be told from another."""
    kind: str
    name: str | None = None
    spec: AnySpec
    state: RunState
    dataset_source: dict[str, Any] | None = None
    dataset_name: str | None = None
    dataset_sha256: str | None = None
    dataset_size_bytes: int | None = None
    device: Device = Device.AUTO
    length: Length = Length.LONG
    priority: Priority = Priority.NORMAL
    deadline_at: datetime | None = None
    batch: str | None = None
    tags: tuple[str, ...] | None = None
    resumes: int | None = None
    """The run whose checkpoint this one goes on from."""
    retries: int | None = None
    """The run that this one does again."""
    attempts: int = 0
    crashes: int = 0
    """Attempts whose process ended before it had written an outcome."""
    losses: int = 0
    """Attempts that lost their worker since the last checkpoint."""
    notice: str | None = None
    worker: str | None = None
    cancel_requested: bool = False
    last_event: int = 0
    result: dict[str, Any] | None = None
    content_sha256: str | None = None
    """The hash of what the dataset says, however it was saved."""
    target: str | None = None
    task: str | None = None
    split_sha256: str | None = None
    """The hash of the rows that test."""
    model: str | None = None
    headline: str | None = None
    score: float | None = None
    """The headline metric on the test rows."""
    replays: int | None = None
    """The run that this one does again, as its log says."""
    seed_of: int | None = None
    """The run of which this one is a seed."""
    problem: Problem | None = None
    created_at: datetime
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def seeds(self) -> range | None:
        """The seeds that are trained for it, a run for each; None for a run that trains by itself."""
        return seeds_of(self.spec)


class Artifact(BaseModel):
    """A file that a run made."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class NewRun:
    """What is known of a run when it is asked for."""

    spec: AnySpec
    words: str
    principal: Principal
    visibility: Visibility = Visibility.TEAM
    trigger_id: str | None = None
    request_sha256: str | None = None
    dataset_name: str | None = None
    dataset_source: dict[str, Any] | None = None
    parents: Sequence[int] = field(default=())
    priority: Priority = Priority.HIGH
    deadline_at: datetime | None = None
    batch: str | None = None
    tags: Sequence[str] = ()
    resumes: int | None = None
    retries: int | None = None
    replays: int | None = None


def create(connection: Connection, new: NewRun) -> tuple[int, bool]:
    """Write a run as preparing; returns its number, and False when this trigger had written it before."""
    if new.trigger_id is not None:
        known = of_trigger(connection, new.principal.team_id, new.trigger_id)
        if known is not None:
            return known, False
    values = {
        "team_id": new.principal.team_id,
        "channel_id": new.principal.channel_id,
        "visibility": new.visibility.value,
        "requested_by": new.principal.user_id,
        "source": new.principal.source.value,
        "trigger_id": new.trigger_id,
        "request_sha256": new.request_sha256,
        "words": new.words,
        "kind": new.spec.kind,
        "name": getattr(new.spec, "name", None),
        "spec": new.spec.model_dump(mode="json"),
        "state": RunState.PREPARING.value,
        "device": device_of(new.spec).value,
        "priority": new.priority.value,
        "deadline_at": new.deadline_at,
        "batch": new.batch,
        "tags": list(new.tags) or None,
        "resumes": new.resumes,
        "retries": new.retries,
        "replays": new.replays,
        "dataset_name": new.dataset_name and new.dataset_name[:MOST_NAME],
        "dataset_source": new.dataset_source,
        "created_at": now(connection),
    }
    try:
        with connection.begin_nested():
            number: int = connection.execute(
                insert(tables.runs).values(values).returning(tables.runs.c.id)
            ).scalar_one()
    except IntegrityError:
        known = of_trigger(connection, new.principal.team_id, new.trigger_id)
        if known is None:
            raise
        return known, False
    for parent in dict.fromkeys(new.parents):
        connection.execute(insert(tables.run_parents).values(run_id=number, parent_id=parent))
    for tag in dict.fromkeys(tag.lower() for tag in new.tags):
        at, by = values["created_at"], new.principal.user_id
        connection.execute(insert(tables.run_tags).values(run_id=number, tag=tag, by=by, at=at))
    return number, True


def of_trigger(connection: Connection, team_id: str, trigger_id: str | None) -> int | None:
    """The run that a trigger has written; None when it has written none."""
    runs = tables.runs.c
    number: int | None = connection.execute(
        select(runs.id).where(runs.team_id == team_id, runs.trigger_id == trigger_id)
    ).scalar_one_or_none()
    return number


def queue(
    connection: Connection, run: int, *, dataset_sha256: str | None = None, dataset_size_bytes: int | None = None
) -> bool:
    """Let a prepared run wait for a worker, or for its seeds, which do; False when it is not preparing any more (it was
    cancelled).
    """
    runs = tables.runs.c
    preparing = and_(runs.id == run, runs.state == RunState.PREPARING.value)
    stored: Any = connection.execute(select(runs.spec).where(preparing)).scalar_one_or_none()
    if stored is None:
        return False
    spec = SPEC.validate_python(stored)
    wanted = seeds_of(spec)
    moved = connection.execute(
        update(tables.runs)
        .where(preparing)
        .values(
            state=(RunState.QUEUED if wanted is None else RunState.GATHERING).value,
            length=length_of(spec, dataset_size_bytes=dataset_size_bytes).value,
            dataset_sha256=dataset_sha256,
            dataset_size_bytes=dataset_size_bytes,
            queued_at=now(connection),
            lease_until=None,
            worker=None,
        )
    )
    if moved.rowcount == 0:
        return False
    if wanted is None:
        append_event(connection, run, Queued())
    else:
        seeds.sow(connection, run, spec)
    return True


def fail_waiting(connection: Connection, run: int, problem: Problem) -> bool:
    """End a run that no worker has as failed, and stop its seeds; False when one has it or it has ended."""
    left = seeds.hold(connection, run)
    if not _end_waiting(connection, run, RunState.FAILED, Failed(problem=problem), problem):
        return False
    for seed in left:
        _cancel(connection, seed, by=f"run {run}")
    return True


def cancel(connection: Connection, run: int, *, by: str) -> RunState:
    """Cancel a waiting run at once, or ask its worker to stop, its seeds likewise; returns the state that it is in now.

    A run that has ended stays as it is.
    """
    left = seeds.hold(connection, run)  # for between two looks a worker may give one back
    state = _cancel(connection, run, by=by)
    for seed in left:
        _cancel(connection, seed, by=by)
    return state


def _cancel(connection: Connection, run: int, *, by: str) -> RunState:
    """The same of a run that is held."""
    if _end_waiting(connection, run, RunState.CANCELLED, Cancelled(), None):
        return RunState.CANCELLED
    asked = connection.execute(
        update(tables.runs)
        .where(
            tables.runs.c.id == run,
            tables.runs.c.state == RunState.RUNNING.value,
            tables.runs.c.cancel_requested.is_(False),
        )
        .values(cancel_requested=True)
    )
    if asked.rowcount:
        append_event(connection, run, CancelRequested(by=by))
    state: str = connection.execute(select(tables.runs.c.state).where(tables.runs.c.id == run)).scalar_one()
    return RunState(state)


def change_priority(connection: Connection, run: int, priority: Priority, *, by: str) -> bool:
    """Put a run that waits into another class, and its seeds that wait; False when it waits no more."""
    runs = tables.runs.c
    changed = False
    for number in (*seeds.hold(connection, run), run):
        waits = connection.execute(
            update(tables.runs)
            .where(runs.id == number, runs.state.in_([waiting.value for waiting in WAITING]))
            .values(priority=priority.value)
        )
        changed = bool(waits.rowcount)
        if changed:
            append_event(connection, number, PriorityChanged(priority=priority.word, by=by))
    return changed


def _end_waiting(connection: Connection, run: int, state: RunState, event: AnyEvent, problem: Problem | None) -> bool:
    ended = connection.execute(
        update(tables.runs)
        .where(tables.runs.c.id == run, tables.runs.c.state.in_([waiting.value for waiting in WAITING]))
        .values(state=state.value, problem=asdict(problem) if problem else None, ended_at=now(connection))
    )
    if ended.rowcount == 0:
        return False
    append_event(connection, run, event)
    seeds.tell_of_end(connection, run, state)
    return True


def visible_to(principal: Principal) -> ColumnElement[bool]:
    """The condition under which a principal sees a run; every query for people carries it."""
    runs = tables.runs.c
    if principal.sees_everything:
        return runs.id > 0
    return and_(
        runs.team_id == principal.team_id,
        or_(
            runs.visibility == Visibility.TEAM.value,
            and_(runs.visibility == Visibility.CHANNEL.value, runs.channel_id == principal.channel_id),
            and_(
                runs.visibility == Visibility.PRIVATE.value,
                runs.channel_id == principal.channel_id,
                runs.requested_by == principal.user_id,
            ),
        ),
    )


def get(connection: Connection, run: int) -> Run:
    """A run by its number, for our own code; what people ask goes through `find`."""
    return run_of(connection.execute(select(tables.runs).where(tables.runs.c.id == run)).one())


def find(connection: Connection, principal: Principal, run: int) -> Run:
    """A run that this principal may see; one that is hidden is answered like one that does not exist."""
    known = and_(tables.runs.c.id == min(run, MOST_NUMBER), visible_to(principal))
    row = connection.execute(select(tables.runs).where(known)).one_or_none()
    if row is None:
        newest = connection.execute(select(func.max(tables.runs.c.id)).where(visible_to(principal))).scalar_one()
        hint = (
            f"The newest run is {newest}; `log` lists them."
            if newest
            else "There are no runs yet; begin with `train DATASET`."
        )
        raise refused("unknown_run", f"There is no run {run}.", hint)
    return run_of(row)


def listed(
    connection: Connection,
    principal: Principal,
    *,
    conditions: Sequence[ColumnElement[bool]] = (),
    limit: int = 20,
) -> list[Run]:
    """The newest runs that this principal may see, under further conditions."""
    rows = connection.execute(
        select(tables.runs).where(visible_to(principal), *conditions).order_by(tables.runs.c.id.desc()).limit(limit)
    )
    return [run_of(row) for row in rows]


def has_used(connection: Connection, principal: Principal, dataset_sha256: str) -> bool:
    """Whether a run that this principal may see had this dataset."""
    used = tables.runs.c.dataset_sha256 == dataset_sha256
    return connection.execute(select(tables.runs.c.id).where(used, visible_to(principal)).limit(1)).first() is not None


def events_after(connection: Connection, run: int, number: int = 0) -> list[tuple[int, AnyEvent]]:
    """A run's events with a higher number, oldest first."""
    rows = connection.execute(
        select(tables.events.c.number, tables.events.c.body)
        .where(tables.events.c.run_id == run, tables.events.c.number > number)
        .order_by(tables.events.c.number)
    )
    return [(row.number, EVENT.validate_python(row.body)) for row in rows]


def artifacts_of(connection: Connection, run: int) -> list[Artifact]:
    """The files that a run made, by name."""
    rows = connection.execute(
        select(tables.artifacts).where(tables.artifacts.c.run_id == run).order_by(tables.artifacts.c.name)
    )
    return [Artifact(name=row.name, sha256=row.sha256, size_bytes=row.size_bytes) for row in rows]


def run_of(row: Any) -> Run:
    """The run that a row of the table holds."""
    values = dict(row._mapping)
    spec_type = SPEC_TYPES[values["kind"]]
    # Stored specs are read leniently: a key that a later version dropped does not hide the run.
    known = {key: value for key, value in values["spec"].items() if key in spec_type.model_fields}
    values["spec"] = spec_type.model_validate(known)
    return Run.model_validate(values)

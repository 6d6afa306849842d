"""Quotas: how many runs a requester may have waiting and running, and how many GPU-hours in a day."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from shared.errors import Problem, RefusedWords
from shared.log import tables
from shared.log.engine import now, one_at_a_time
from shared.log.states import RunState
from shared.settings import Settings

DAY = timedelta(hours=24)
SERVICE = "service:"
"""What the name of a service begins with where a requester is named."""


class QuotaFull(RefusedWords):
    """A requester has all that their quota gives."""

    def __init__(self, *problems: Problem, frees_in_s: float | None = None) -> None:
        super().__init__(*problems)
        self.frees_in_s = frees_in_s
        """When there will be a place again; None where nobody knows."""


@dataclass(frozen=True)
class Quota:
    """What one requester may have at a time; None where nothing bounds it."""

    max_running: int | None = None
    max_waiting: int | None = None
    max_gpu_hours: float | None = None
    """In any 24 hours."""


@dataclass(frozen=True)
class Limits:
    """The quotas of people; a service has its own."""

    people: Quota = Quota()

    @classmethod
    def of_settings(cls, settings: Settings) -> "Limits":
        """As the operator has set them."""
        return cls(Quota(settings.max_running, settings.max_waiting, settings.max_gpu_hours))

    def of(self, connection: Connection, requested_by: str) -> Quota:
        """The quota of a requester; what a service's own leaves open is that of people."""
        if not requested_by.startswith(SERVICE):
            return self.people
        services = tables.services.c
        row = connection.execute(
            select(services.max_running, services.max_waiting, services.max_gpu_hours).where(
                services.name == requested_by.removeprefix(SERVICE)
            )
        ).one_or_none()
        if row is None:
            return self.people
        people = self.people
        return Quota(
            max_running=people.max_running if row.max_running is None else row.max_running,
            max_waiting=people.max_waiting if row.max_waiting is None else row.max_waiting,
            max_gpu_hours=people.max_gpu_hours if row.max_gpu_hours is None else row.max_gpu_hours,
        )


def require_place(
    connection: Connection, limits: Limits, *, team_id: str, requested_by: str, gpu: bool, runs: int = 1
) -> None:
    """Raise `QuotaFull` when a requester's quota has no place for so many runs more; says when it frees."""
    one_at_a_time(connection, "quota", team_id, requested_by)  # two that ask at once must not both have the last place
    quota = limits.of(connection, requested_by)
    problems: list[Problem] = []
    frees_in_s: float | None = None
    if quota.max_waiting is not None:
        waiting = _waiting(connection, team_id, requested_by)
        if waiting + runs > quota.max_waiting:
            asked = "" if runs == 1 else f", and {runs} more were asked for"
            problems.append(
                Problem(
                    "quota_waiting",
                    f"At most {quota.max_waiting} runs of one requester wait at a time; {waiting} do{asked}.",
                    "A place frees when one of them starts; `status` says when. `cancel RUN` frees one now.",
                )
            )
    if gpu and quota.max_gpu_hours is not None:
        moment = now(connection)
        used_s = used_gpu_s(connection, team_id, requested_by, moment)
        if used_s >= quota.max_gpu_hours * 3600:
            frees = _frees_at(connection, team_id, requested_by, moment, used_s - quota.max_gpu_hours * 3600)
            frees_in_s = (frees - moment).total_seconds()
            problems.append(
                Problem(
                    "quota_gpu_hours",
                    f"At most {quota.max_gpu_hours:g} GPU-hours of one requester in 24 hours; "
                    f"{used_s / 3600:.1f} are used.",
                    f"The next are free at {frees:%Y-%m-%d %H:%M} UTC; device=cpu needs none.",
                )
            )
    if problems:
        raise QuotaFull(*problems, frees_in_s=frees_in_s)


def used_gpu_s(connection: Connection, team_id: str, requested_by: str, moment: datetime) -> float:
    """The seconds that a requester's runs had GPUs in the 24 hours before a moment, those that go on included."""
    return sum((end - start).total_seconds() for start, end in _gpu_times(connection, team_id, requested_by, moment))


def _frees_at(connection: Connection, team_id: str, requested_by: str, moment: datetime, too_many_s: float) -> datetime:
    """When so many GPU-seconds will have been used more than 24 hours ago."""
    left = too_many_s
    for start, end in sorted(_gpu_times(connection, team_id, requested_by, moment)):
        taken = (end - start).total_seconds()
        if taken > left:
            return start + timedelta(seconds=left) + DAY
        left -= taken
    return moment + DAY


def _gpu_times(
    connection: Connection, team_id: str, requested_by: str, moment: datetime
) -> list[tuple[datetime, datetime]]:
    """The times in which the requester had a GPU, cut to the last 24 hours."""
    attempts = tables.attempts.c
    since = moment - DAY
    rows = connection.execute(
        select(attempts.started_at, attempts.ended_at).where(
            _of(tables.attempts.c, team_id, requested_by),
            attempts.device == "gpu",
            or_(attempts.ended_at.is_(None), attempts.ended_at > since),
        )
    )
    return [(max(start, since), min(end or moment, moment)) for start, end in rows]


def _waiting(connection: Connection, team_id: str, requested_by: str) -> int:
    """The places that are taken: one for each run that waits, and those that the seeds of a coming run will need."""
    runs = tables.runs.c
    mine = _of(runs, team_id, requested_by)
    number: int = connection.execute(select(func.count()).where(mine, runs.state == RunState.QUEUED.value)).scalar_one()
    coming = connection.execute(select(runs.spec).where(mine, runs.state == RunState.PREPARING.value)).scalars()
    return number + sum(int(spec.get("seeds") or 1) for spec in coming)


def _of(columns: object, team_id: str, requested_by: str) -> ColumnElement[bool]:
    return and_(columns.team_id == team_id, columns.requested_by == requested_by)  # type: ignore[attr-defined]

"""Other services: their bearer tokens and quotas, and the outbox of webhooks that tells them of ends.

Only the hash of a token is kept. The secrets with which messages and webhooks are signed are kept nowhere: they follow
from the key of this installation (`shared.secrets`).
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, and_, exists, insert, or_, select, update

from shared.errors import Problem, RefusedWords
from shared.log import tables
from shared.log.engine import lapsed, now
from shared.log.quotas import SERVICE, Quota
from shared.log.states import ENDED

SCOPES = ("runs:write", "runs:read", "artifacts:read")
"""What a token may allow."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_PREFIX = "lml_"
_LONGEST_LEASE_S = 120.0


@dataclass(frozen=True)
class Caller:
    """Whose token it is, and what it allows."""

    service: str
    team_id: str
    scopes: frozenset[str]
    token: int = 0
    """The number of the token."""

    @property
    def requester(self) -> str:
        """The service where a requester is named."""
        return f"{SERVICE}{self.service}"


@dataclass(frozen=True)
class Service:
    """Another service, as the operator set it up."""

    name: str
    team_id: str
    quota: Quota
    webhook_url: str | None


@dataclass(frozen=True)
class Delivery:
    """A webhook that is due."""

    id: int
    run: int
    service: str
    url: str
    tries: int


def save_service(
    connection: Connection, name: str, *, team_id: str, quota: Quota, webhook_url: str | None = None
) -> None:
    """Write down a service, or change its quotas and its webhook. Raises `RefusedWords` for a name that is none."""
    if not _NAME.fullmatch(name):
        raise RefusedWords(
            Problem(
                "bad_value",
                f"A service is named with small letters, digits and dashes, up to 63 of them; met `{name}`.",
                "For example billing-batch.",
            )
        )
    values = {
        "team_id": team_id,
        "max_running": quota.max_running,
        "max_waiting": quota.max_waiting,
        "max_gpu_hours": quota.max_gpu_hours,
        "webhook_url": webhook_url,
    }
    services = tables.services.c
    known = connection.execute(update(tables.services).where(services.name == name).values(values))
    if known.rowcount == 0:
        connection.execute(insert(tables.services).values(name=name, created_at=now(connection), **values))


def service_of(connection: Connection, name: str) -> Service | None:
    """A service by its name; None when there is none."""
    row = connection.execute(select(tables.services).where(tables.services.c.name == name)).one_or_none()
    if row is None:
        return None
    quota = Quota(row.max_running, row.max_waiting, row.max_gpu_hours)
    return Service(name=row.name, team_id=row.team_id, quota=quota, webhook_url=row.webhook_url)


def any_service(connection: Connection) -> bool:
    """Whether there is a service at all."""
    return connection.execute(select(tables.services.c.name).limit(1)).first() is not None


def make_token(connection: Connection, service: str, *, scopes: Sequence[str], by: str) -> str:
    """A new token of a service; it is shown this once."""
    token = _PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        insert(tables.tokens).values(
            service=service,
            sha256=_hash(token),
            scopes=sorted(scopes),
            created_at=now(connection),
            created_by=by,
        )
    )
    return token


def revoke_token(connection: Connection, number: int) -> bool:
    """Let a token open nothing any more; False when there is none, or it is revoked already."""
    tokens = tables.tokens.c
    revoked = connection.execute(
        update(tables.tokens).where(tokens.id == number, tokens.revoked_at.is_(None)).values(revoked_at=now(connection))
    )
    return revoked.rowcount > 0


def listed_tokens(connection: Connection) -> list[dict[str, Any]]:
    """Every token, without what would open anything: its number, service, scopes, when it was made, used, revoked."""
    tokens = tables.tokens.c
    wanted = (
        tokens.id,
        tokens.service,
        tokens.scopes,
        tokens.created_at,
        tokens.created_by,
        tokens.used_at,
        tokens.revoked_at,
    )
    return [dict(row._mapping) for row in connection.execute(select(*wanted).order_by(tokens.id))]


def caller_of(connection: Connection, token: str) -> Caller | None:
    """Whose token it is; None for one that is unknown or revoked."""
    tokens, services = tables.tokens.c, tables.services.c
    row = connection.execute(
        select(tokens.id, tokens.service, services.team_id, tokens.scopes)
        .join(tables.services, services.name == tokens.service)
        .where(tokens.sha256 == _hash(token), tokens.revoked_at.is_(None))
    ).one_or_none()
    return None if row is None else Caller(row.service, row.team_id, frozenset(row.scopes), token=row.id)


def note_use(connection: Connection, token: int) -> None:
    """Write down that a token is used now, for whoever wonders which one can go."""
    connection.execute(update(tables.tokens).where(tables.tokens.c.id == token).values(used_at=now(connection)))


def team_of(connection: Connection, service: str) -> str | None:
    """The team of a service; None when there is no such service."""
    team: str | None = connection.execute(
        select(tables.services.c.team_id).where(tables.services.c.name == service)
    ).scalar_one_or_none()
    return team


def webhook_of(connection: Connection, service: str) -> str | None:
    """Where a service wants to be told of ends unless a submission says otherwise."""
    url: str | None = connection.execute(
        select(tables.services.c.webhook_url).where(tables.services.c.name == service)
    ).scalar_one_or_none()
    return url


def request_webhook(connection: Connection, run: int, *, service: str, url: str) -> None:
    """Note that an address wants to hear of a run's end."""
    connection.execute(
        insert(tables.webhooks).values(run_id=run, service=service, url=url, event=0, tries=0, due_at=now(connection))
    )


def told_of(connection: Connection, run: int) -> list[dict[str, Any]]:
    """The webhooks of a run: where to, whether it was taken, after how many tries, and what was in the way last."""
    webhooks = tables.webhooks.c
    wanted = (webhooks.url, webhooks.tries, webhooks.done_at, webhooks.problem)
    rows = connection.execute(select(*wanted).where(webhooks.run_id == run).order_by(webhooks.id))
    return [dict(row._mapping) for row in rows]


def webhook_is_due(connection: Connection) -> bool:
    """Whether `take_webhook` has something to take."""
    return connection.execute(_due(now(connection))).first() is not None


def take_webhook(connection: Connection, *, owner: str, lease_s: float = 60.0) -> Delivery | None:
    """Take a webhook whose run has ended and that is due, under a lease; None when none is.

    Each service is told of one end at a time, so that one that answers slowly holds up nobody else.
    """
    moment, webhooks = now(connection), tables.webhooks.c
    row = connection.execute(_due(moment).with_for_update(skip_locked=True, of=tables.webhooks)).one_or_none()
    if row is None:
        return None
    until = moment + timedelta(seconds=lease_s)
    connection.execute(
        update(tables.webhooks)
        .where(webhooks.id == row.id)
        .values(lease_owner=owner, lease_until=until, tries=webhooks.tries + 1)
    )
    return Delivery(row.id, row.run_id, row.service, row.url, row.tries)


def webhook_done(connection: Connection, delivery: int, *, owner: str, problem: str | None = None) -> None:
    """It was taken by the other side, or given up for the reason in `problem`."""
    _give_back(connection, delivery, owner, done_at=now(connection), problem=problem)


def webhook_later(connection: Connection, delivery: int, *, owner: str, seconds: float, problem: str) -> None:
    """It was not taken; it is tried again after so many seconds."""
    _give_back(connection, delivery, owner, due_at=now(connection) + timedelta(seconds=seconds), problem=problem)


def _due(moment: datetime) -> Select[Any]:
    webhooks, others = tables.webhooks.c, tables.webhooks.alias("others")
    told = ~lapsed(others.c.lease_until, moment, at_most_s=_LONGEST_LEASE_S)
    being_told = exists().where(others.c.service == webhooks.service, told)
    return (
        select(webhooks.id, webhooks.run_id, webhooks.service, webhooks.url, webhooks.tries)
        .join(tables.runs, tables.runs.c.id == webhooks.run_id)
        .where(
            tables.runs.c.state.in_([state.value for state in ENDED]),
            webhooks.done_at.is_(None),
            webhooks.due_at <= moment,
            or_(webhooks.lease_until.is_(None), lapsed(webhooks.lease_until, moment, at_most_s=_LONGEST_LEASE_S)),
            ~being_told,
        )
        .order_by(webhooks.tries, webhooks.due_at)
        .limit(1)
    )


def _give_back(connection: Connection, delivery: int, owner: str, **values: datetime | str | None) -> None:
    webhooks = tables.webhooks.c
    connection.execute(
        update(tables.webhooks)
        .where(and_(webhooks.id == delivery, webhooks.lease_owner == owner))
        .values(lease_owner=None, lease_until=None, **values)
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

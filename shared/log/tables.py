"""The tables of the log. `runs` says where each run stands; everything else hangs on a run's number."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, with its zone, on both engines (SQLite forgets zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Store UTC; a moment without a zone is a mistake of ours."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment needs a time zone: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give UTC back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = JSON().with_variant(JSONB(), "postgresql")


def _one_of(column: str, *values: str) -> CheckConstraint:
    """An enumeration as text with a check: native enums are painful to migrate."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=column)


def _run_id(**options: Any) -> Column[int]:
    return Column("run_id", Integer, ForeignKey("runs.id"), **options)


runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("team_id", String(64), nullable=False),
    Column("channel_id", String(64)),
    Column("visibility", String(16), nullable=False),
    Column("requested_by", String(128), nullable=False),
    Column("source", String(16), nullable=False),
    Column("trigger_id", String(128)),
    Column("request_sha256", String(64)),
    Column("words", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String(80)),
    Column("spec", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("dataset_source", Json),
    Column("dataset_name", Text),
    Column("dataset_sha256", String(64)),
    Column("dataset_size_bytes", BigInteger),
    Column("device", String(8), nullable=False, default="auto"),
    Column("length", String(8), nullable=False, default="long"),
    Column("priority", Integer, nullable=False, default=1),
    Column("deadline_at", UtcDateTime),
    Column("batch", String(64)),
    Column("tags", Json),
    Column("resumes", Integer),
    Column("retries", Integer),
    Column("attempts", Integer, nullable=False, default=0),
    Column("crashes", Integer, nullable=False, default=0),
    Column("losses", Integer, nullable=False, default=0),
    Column("notice", String(32)),
    Column("worker", String(128)),
    Column("lease_until", UtcDateTime),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("last_event", Integer, nullable=False, default=0),
    Column("result", Json),
    Column("content_sha256", String(64)),
    Column("target", Text),
    Column("task", String(16)),
    Column("split_sha256", String(64)),
    Column("model", String(32)),
    Column("headline", String(32)),
    Column("score", Float),
    Column("replays", Integer),
    Column("seed_of", Integer, ForeignKey("runs.id")),
    Column("problem", Json),
    Column("created_at", UtcDateTime, nullable=False),
    Column("queued_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    UniqueConstraint("team_id", "trigger_id"),
    _one_of("state", "preparing", "gathering", "queued", "running", "succeeded", "failed", "cancelled"),
    _one_of("visibility", "team", "channel", "private"),
    _one_of("source", "shell", "slack", "service"),
    _one_of("device", "auto", "gpu", "cpu"),
    _one_of("length", "short", "long"),
    Index(None, "state", "id"),
    Index(None, "team_id", "id"),
    Index(None, "dataset_sha256"),
    Index(None, "seed_of"),
    Index(None, "ended_at"),
    Index(None, "dataset_name"),
    Index("ix_runs_requested_by_id", "requested_by", "id"),
    Index("ix_runs_board", "content_sha256", "target", "split_sha256", "score"),
    Index(None, "created_at"),
    Index(None, "name"),
    # A search reads nothing else, from the newest run to the oldest; a whole row is some kilobytes.
    Index(
        "ix_runs_search",
        "id",
        "team_id",
        "visibility",
        "channel_id",
        "requested_by",
        "kind",
        "state",
        "dataset_name",
        "name",
        "model",
        "task",
        "target",
        "started_at",
        "ended_at",
        "seed_of",
    ),
    # The claim reads nothing else of the runs that wait.
    Index("ix_runs_waiting", "state", "device", "length", "priority", "team_id", "requested_by", "queued_at", "id"),
    # Numbers are never used again, also not after the newest run was erased.
    sqlite_autoincrement=True,
)

run_parents = Table(
    "run_parents",
    metadata,
    _run_id(primary_key=True),
    Column("parent_id", Integer, ForeignKey("runs.id"), primary_key=True),
    Index(None, "parent_id"),
)

run_tags = Table(
    "run_tags",
    metadata,
    _run_id(primary_key=True),
    Column("tag", String(80), primary_key=True),
    Column("by", String(128), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_run_tags_tag_run_id", "tag", "run_id"),
)

run_notes = Table(
    "run_notes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _run_id(nullable=False),
    Column("text", Text, nullable=False),
    Column("by", String(128), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "run_id"),
    sqlite_autoincrement=True,
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("team_id", String(64), nullable=False),
    Column("dataset", Text, nullable=False),
    Column("alias", String(80), nullable=False),
    _run_id(nullable=False),
    Column("why", Text),
    Column("by", String(128), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_promotions_dataset_alias_id", "dataset", "alias", "id"),
    Index(None, "run_id"),
    sqlite_autoincrement=True,
)
"""Who gave a model the name of a dataset, such as `champion:churn`, and why; the newest one counts."""

events = Table(
    "events",
    metadata,
    _run_id(primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("body", Json, nullable=False),
)

metrics = Table(
    "metrics",
    metadata,
    _run_id(primary_key=True),
    Column("part", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", Float, nullable=False),
    Index("ix_metrics_name_part_value_run_id", "name", "part", "value", "run_id"),
)

metric_points = Table(
    "metric_points",
    metadata,
    _run_id(primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("series", String(64), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("value", Float, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    _run_id(primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

cards = Table(
    "cards",
    metadata,
    _run_id(primary_key=True),
    Column("channel_id", String(64), nullable=False),
    Column("message_ts", String(32)),
    Column("shown_event", Integer, nullable=False, default=0),
    Column("files_sent", Boolean, nullable=False, default=False),
    Column("problem", Text),
    Column("lease_owner", String(64)),
    Column("lease_until", UtcDateTime),
    Column("due_at", UtcDateTime),
)

attempts = Table(
    "attempts",
    metadata,
    _run_id(primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("team_id", String(64), nullable=False),
    Column("requested_by", String(128), nullable=False),
    Column("worker", String(128), nullable=False),
    Column("device", String(8), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("outcome", String(16)),
    Index(None, "team_id", "requested_by", "started_at"),
    Index(None, "ended_at"),
)
"""Every execution, and which kind of slot it had: what a requester has used."""

shares = Table(
    "shares",
    metadata,
    Column("team_id", String(64), primary_key=True),
    Column("requested_by", String(128), primary_key=True),
    Column("slot_s", Float, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
)
"""The slot-seconds that a requester has used, as they counted at a moment; they halve in a day."""

workers = Table(
    "workers",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("slots", Json, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)
"""The workers that live, and the classes of work that each of their slots takes."""

locks = Table(
    "locks",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("until", UtcDateTime, nullable=False),
)

services = Table(
    "services",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("team_id", String(64), nullable=False),
    Column("max_running", Integer),
    Column("max_waiting", Integer),
    Column("max_gpu_hours", Float),
    Column("webhook_url", Text),
    Column("created_at", UtcDateTime, nullable=False),
)
"""Other services that may queue runs, their quotas, and where they are told of ends."""

tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("service", String(64), ForeignKey("services.name"), nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("scopes", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    sqlite_autoincrement=True,
)
"""Bearer tokens of services; only their hashes are kept."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _run_id(nullable=False),
    Column("service", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("event", Integer, nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("due_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(64)),
    Column("lease_until", UtcDateTime),
    Column("done_at", UtcDateTime),
    Column("problem", Text),
    UniqueConstraint("run_id", "url"),
    Index(None, "done_at", "due_at"),
    sqlite_autoincrement=True,
)
"""The outbox of webhooks: one row for each end that a service is told of."""

mirrored = Table(
    "mirrored",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(64)),
    Column("lease_until", UtcDateTime),
    Column("done_at", UtcDateTime),
    Column("problem", Text),
    Index(None, "kind", "at"),
    Index(None, "done_at", "due_at"),
)
"""The outbox of the MLflow mirror: one row for each run that ended and each promotion."""

forgotten = Table(
    "forgotten",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("team_id", String(64), nullable=False),
    Column("dataset", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("runs", Json, nullable=False),
    Column("erased", Json, nullable=False),
    Column("by", String(128), nullable=False),
    Column("why", Text),
    Column("at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    Index(None, "sha256"),
    sqlite_autoincrement=True,
)
"""Datasets that were erased on purpose: by whom and why, the runs that had read them, and which of their files went."""

"""Classes of work, priorities, attempts, shares, workers, services and their webhooks."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
WAITING = ["state", "device", "length", "priority", "team_id", "requested_by", "queued_at", "id"]
CHECKS = {"device": ("auto", "gpu", "cpu"), "length": ("short", "long")}
SOURCES = ("shell", "slack")
NEW_COLUMNS = (
    ("request_sha256", sa.String(64), None),
    ("device", sa.String(8), "'auto'"),
    ("length", sa.String(8), "'long'"),
    ("priority", sa.Integer(), "1"),
    ("deadline_at", MOMENT, None),
    ("batch", sa.String(64), None),
    ("tags", JSON, None),
    ("resumes", sa.Integer(), None),
    ("retries", sa.Integer(), None),
    ("crashes", sa.Integer(), "0"),
    ("losses", sa.Integer(), "0"),
    ("notice", sa.String(32), None),
)


def upgrade() -> None:
    """Give runs what the queue needs, and make the tables beside them."""
    last_number = _last_number()
    with _runs() as runs:
        for name, kind, default in NEW_COLUMNS:
            server_default = None if default is None else sa.text(default)
            runs.add_column(sa.Column(name, kind, nullable=default is None, server_default=server_default))
    with _runs() as runs:
        for name, kind, default in NEW_COLUMNS:
            if default is not None:  # rows that were there have it now; new ones get it from the code
                runs.alter_column(name, existing_type=kind, existing_nullable=False, server_default=None)
        runs.drop_constraint(op.f("ck_runs_source"), type_="check")
        for name, values in (CHECKS | {"source": (*SOURCES, "service")}).items():
            runs.create_check_constraint(op.f(f"ck_runs_{name}"), _says(name, values))
    if last_number is not None:
        op.get_bind().execute(
            sa.text("UPDATE sqlite_sequence SET seq = :last WHERE name = 'runs'"), {"last": last_number}
        )
    op.create_index("ix_runs_waiting", "runs", WAITING)
    op.create_index("ix_runs_dataset_sha256", "runs", ["dataset_sha256"])
    op.create_table(
        "attempts",
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("runs.id", name="fk_attempts_run_id_runs"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.String(64), nullable=False),
        sa.Column("requested_by", sa.String(128), nullable=False),
        sa.Column("worker", sa.String(128), nullable=False),
        sa.Column("device", sa.String(8), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("outcome", sa.String(16)),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_attempts"),
    )
    op.create_index(
        "ix_attempts_team_id_requested_by_started_at", "attempts", ["team_id", "requested_by", "started_at"]
    )
    op.create_index("ix_attempts_ended_at", "attempts", ["ended_at"])
    op.create_table(
        "shares",
        sa.Column("team_id", sa.String(64), nullable=False),
        sa.Column("requested_by", sa.String(128), nullable=False),
        sa.Column("slot_s", sa.Float(), nullable=False),
        sa.Column("as_of", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("team_id", "requested_by", name="pk_shares"),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("slots", JSON, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
    )
    op.create_table(
        "locks",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_locks"),
    )
    op.create_table(
        "services",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("team_id", sa.String(64), nullable=False),
        sa.Column("max_running", sa.Integer()),
        sa.Column("max_waiting", sa.Integer()),
        sa.Column("max_gpu_hours", sa.Float()),
        sa.Column("webhook_url", sa.Text()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_services"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("used_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.ForeignKeyConstraint(["service"], ["services.name"], name="fk_tokens_service_services"),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("sha256", name="uq_tokens_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", MOMENT),
        sa.Column("done_at", MOMENT),
        sa.Column("problem", sa.Text()),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_webhooks_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        sa.UniqueConstraint("run_id", "url", name="uq_webhooks_run_id_url"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhooks_done_at_due_at", "webhooks", ["done_at", "due_at"])


def downgrade() -> None:
    """Remove them; runs of services are in the way, since 0001 knows none."""
    for name in ("webhooks", "tokens", "services", "locks", "workers", "shares", "attempts"):
        op.drop_table(name)
    op.drop_index("ix_runs_waiting", table_name="runs")
    op.drop_index("ix_runs_dataset_sha256", table_name="runs")
    with _runs() as runs:
        for name in (*CHECKS, "source"):
            runs.drop_constraint(op.f(f"ck_runs_{name}"), type_="check")
        runs.create_check_constraint(op.f("ck_runs_source"), _says("source", SOURCES))
        for name, _kind, _default in NEW_COLUMNS:
            runs.drop_column(name)


def _runs() -> Any:
    """The table of runs to be altered; SQLite writes it anew, and would forget that numbers stay used."""
    return op.batch_alter_table("runs", table_kwargs={"sqlite_autoincrement": True})


def _last_number() -> int | None:
    """The highest number that a run on SQLite ever had, which a table that is written anew forgets."""
    if op.get_context().dialect.name != "sqlite":
        return None
    query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'runs'")
    number: int | None = op.get_bind().execute(query).scalar_one_or_none()
    return number


def _says(name: str, values: tuple[str, ...]) -> str:
    return f"{name} IN ({', '.join(repr(value) for value in values)})"

"""Runs of seeds: which run each of them belongs to, and the state in which that run waits for them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATES = ("preparing", "queued", "running", "succeeded", "failed", "cancelled")
WITH_SEEDS = ("preparing", "gathering", *STATES[1:])
SEARCHED = [
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
]


def upgrade() -> None:
    """Add the column and the state."""
    op.drop_index("ix_runs_search", table_name="runs")
    last_number = _last_number()
    with _runs() as runs:
        runs.add_column(sa.Column("seed_of", sa.Integer(), nullable=True))
        runs.create_foreign_key(op.f("fk_runs_seed_of_runs"), "runs", ["seed_of"], ["id"])
        _allow(runs, WITH_SEEDS)
    _go_on_after(last_number)
    op.create_index("ix_runs_seed_of", "runs", ["seed_of"])
    op.create_index("ix_runs_search", "runs", [*SEARCHED, "seed_of"])


def downgrade() -> None:
    """Remove them; runs that gather are in the way, since 0005 knows none."""
    op.drop_index("ix_runs_search", table_name="runs")
    op.drop_index("ix_runs_seed_of", table_name="runs")
    last_number = _last_number()
    with _runs() as runs:
        _allow(runs, STATES)
        runs.drop_constraint(op.f("fk_runs_seed_of_runs"), type_="foreignkey")
        runs.drop_column("seed_of")
    _go_on_after(last_number)
    op.create_index("ix_runs_search", "runs", SEARCHED)


def _runs() -> Any:
    """The table of runs to be altered; SQLite writes it anew, and would forget that numbers stay used."""
    return op.batch_alter_table("runs", table_kwargs={"sqlite_autoincrement": True})


def _allow(runs: Any, states: tuple[str, ...]) -> None:
    runs.drop_constraint(op.f("ck_runs_state"), type_="check")
    said = ", ".join(repr(state) for state in states)
    runs.create_check_constraint(op.f("ck_runs_state"), f"state IN ({said})")


def _last_number() -> int | None:
    """The highest number that a run on SQLite ever had, which a table that is written anew forgets."""
    if op.get_context().dialect.name != "sqlite":
        return None
    query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'runs'")
    number: int | None = op.get_bind().execute(query).scalar_one_or_none()
    return number


def _go_on_after(last_number: int | None) -> None:
    if last_number is not None:
        bind = op.get_bind()
        bind.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'runs'"))
        bind.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('runs', :last)"), {"last": last_number})

"""The outbox of the MLflow mirror."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make it, and let what has ended be found by when."""
    op.create_table(
        "mirrored",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", MOMENT),
        sa.Column("done_at", MOMENT),
        sa.Column("problem", sa.Text()),
        sa.PrimaryKeyConstraint("kind", "number", name="pk_mirrored"),
    )
    op.create_index("ix_mirrored_kind_at", "mirrored", ["kind", "at"])
    op.create_index("ix_mirrored_done_at_due_at", "mirrored", ["done_at", "due_at"])
    op.create_index("ix_runs_ended_at", "runs", ["ended_at"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_runs_ended_at", table_name="runs")
    op.drop_table("mirrored")

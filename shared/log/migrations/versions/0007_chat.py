"""What a chat needs: who was let do what, files of threads, messages that are no cards, last choices in forms."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("team_id", sa.String(64), nullable=False),
        sa.Column("by", sa.String(128), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("entry", sa.String(16), nullable=False),
        sa.Column("channel_id", sa.String(64)),
        sa.Column("verb", sa.String(32), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Integer()),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("trigger_id", sa.String(128)),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_team_id_id", "audit", ["team_id", "id"])
    op.create_index("ix_audit_by_id", "audit", ["by", "id"])
    op.create_table(
        "card_files",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("file_id", sa.String(64)),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT),
        sa.Column("problem", sa.Text()),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_card_files_run_id_runs"),
        sa.PrimaryKeyConstraint("run_id", "name", name="pk_card_files"),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("team_id", sa.String(64), nullable=False),
        sa.Column("channel_id", sa.String(64), nullable=False),
        sa.Column("thread_ts", sa.String(32)),
        sa.Column("run_id", sa.Integer()),
        sa.Column("body", JSON, nullable=False),
        sa.Column("message_ts", sa.String(32)),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", MOMENT),
        sa.Column("done_at", MOMENT),
        sa.Column("problem", sa.Text()),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_notices_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.UniqueConstraint("key", name="uq_notices_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notices_done_at_due_at", "notices", ["done_at", "due_at"])
    op.create_table(
        "choices",
        sa.Column("team_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(128), nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("team_id", "user_id", name="pk_choices"),
    )


def downgrade() -> None:
    """Remove them."""
    for name in ("choices", "notices", "card_files", "audit"):
        op.drop_table(name)

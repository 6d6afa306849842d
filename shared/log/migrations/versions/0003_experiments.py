"""What a run found out, as columns to search by; tags, notes, and the names that models are promoted to."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
COLUMNS = (
    ("content_sha256", sa.String(64)),
    ("target", sa.Text()),
    ("task", sa.String(16)),
    ("split_sha256", sa.String(64)),
    ("model", sa.String(32)),
    ("headline", sa.String(32)),
    ("score", sa.Float()),
    ("replays", sa.Integer()),
)
RUN_INDEXES = {
    "ix_runs_board": ["content_sha256", "target", "split_sha256", "score"],
    "ix_runs_created_at": ["created_at"],
    "ix_runs_dataset_name": ["dataset_name"],
    "ix_runs_name": ["name"],
    "ix_runs_requested_by_id": ["requested_by", "id"],
    "ix_runs_search": [
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
    ],
}
METRICS = "ix_metrics_name_part_value_run_id"
MOST_NAME, MOST_TARGET = 255, 100  # characters; Postgres takes no longer ones into an index


def upgrade() -> None:
    """Add them, and fill what the results of earlier runs say."""
    for name, kind in COLUMNS:
        op.add_column("runs", sa.Column(name, kind, nullable=True))
    names = sa.table("runs", sa.column("dataset_name", sa.Text()))
    told = names.c.dataset_name
    op.execute(
        names.update().where(sa.func.length(told) > MOST_NAME).values(dataset_name=sa.func.substr(told, 1, MOST_NAME))
    )
    _fill()
    for name, columns in RUN_INDEXES.items():
        op.create_index(name, "runs", columns)
    op.create_index("ix_run_parents_parent_id", "run_parents", ["parent_id"])
    op.drop_index("ix_metrics_name_value", table_name="metrics")
    op.create_index(METRICS, "metrics", ["name", "part", "value", "run_id"])
    op.create_table(
        "run_tags",
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("runs.id", name="fk_run_tags_run_id_runs"), nullable=False),
        sa.Column("tag", sa.String(80), nullable=False),
        sa.Column("by", sa.String(128), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "tag", name="pk_run_tags"),
    )
    op.create_index("ix_run_tags_tag_run_id", "run_tags", ["tag", "run_id"])
    op.create_table(
        "run_notes",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("by", sa.String(128), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_notes_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_run_notes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_notes_run_id", "run_notes", ["run_id"])
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("team_id", sa.String(64), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("alias", sa.String(80), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text()),
        sa.Column("by", sa.String(128), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_promotions_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_promotions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_promotions_dataset_alias_id", "promotions", ["dataset", "alias", "id"])
    op.create_index("ix_promotions_run_id", "promotions", ["run_id"])
    _tag()


def downgrade() -> None:
    """Remove them."""
    for name in ("promotions", "run_notes", "run_tags"):
        op.drop_table(name)
    op.drop_index(METRICS, table_name="metrics")
    op.create_index("ix_metrics_name_value", "metrics", ["name", "value"])
    op.drop_index("ix_run_parents_parent_id", table_name="run_parents")
    for name in RUN_INDEXES:
        op.drop_index(name, table_name="runs")
    for name, _kind in reversed(COLUMNS):
        op.drop_column("runs", name)


def _fill() -> None:
    """The columns, from the results."""
    bind = op.get_bind()
    for row in bind.execute(sa.text("SELECT id, result FROM runs WHERE result IS NOT NULL")).all():
        result = _plain(row.result)
        if not result:
            continue
        headline, target = result.get("headline"), result.get("target")
        values = {
            "target": None if target is None else str(target)[:MOST_TARGET],
            "task": result.get("task"),
            "model": result.get("model"),
            "headline": headline,
            "score": ((result.get("metrics") or {}).get("test") or {}).get(headline),
        }
        bind.execute(
            sa.text(
                "UPDATE runs SET target = :target, task = :task, model = :model, headline = :headline, "
                "score = :score WHERE id = :id"
            ),
            {**values, "id": row.id},
        )


def _tag() -> None:
    """The tags that services gave, each as a row."""
    bind = op.get_bind()
    rows = bind.execute(sa.text("SELECT id, tags, requested_by, created_at FROM runs WHERE tags IS NOT NULL")).all()
    for row in rows:
        for tag in dict.fromkeys(tag.lower() for tag in _plain(row.tags) or ()):
            bind.execute(
                sa.text('INSERT INTO run_tags (run_id, tag, "by", at) VALUES (:run, :tag, :who, :at)'),
                {"run": row.id, "tag": tag, "who": row.requested_by, "at": row.created_at},
            )


def _plain(value: Any) -> Any:
    """JSON of either engine as plain values."""
    return json.loads(value) if isinstance(value, str) else value

"""The tables of what is said in a chat, and of who was let do what. They hang on the runs of `tables`."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from shared.log.tables import Json, UtcDateTime, metadata

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("team_id", String(64), nullable=False),
    Column("by", String(128), nullable=False),
    Column("source", String(16), nullable=False),
    Column("entry", String(16), nullable=False),
    Column("channel_id", String(64)),
    Column("verb", String(32), nullable=False),
    Column("words", Text, nullable=False),
    Column("run_id", Integer),
    Column("decision", String(16), nullable=False),
    Column("reason", Text),
    Column("trigger_id", String(128)),
    Index("ix_audit_team_id_id", "team_id", "id"),
    Index("ix_audit_by_id", "by", "id"),
    sqlite_autoincrement=True,
)
"""Who asked for what, where, and whether it was allowed; written before anything happens, never changed."""

card_files = Table(
    "card_files",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.id"), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("file_id", String(64)),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("problem", Text),
)
"""The files of a card's thread: Slack's id is noted before a file is shown there, so that none is shown twice."""

notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("team_id", String(64), nullable=False),
    Column("channel_id", String(64), nullable=False),
    Column("thread_ts", String(32)),
    Column("run_id", Integer, ForeignKey("runs.id")),
    Column("body", Json, nullable=False),
    Column("message_ts", String(32)),
    Column("tries", Integer, nullable=False, default=0),
    Column("due_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(64)),
    Column("lease_until", UtcDateTime),
    Column("done_at", UtcDateTime),
    Column("problem", Text),
    UniqueConstraint("key"),
    Index(None, "done_at", "due_at"),
    sqlite_autoincrement=True,
)
"""The outbox of messages that are no cards: lines of the log channel, weekly digests. A key is said once."""

choices = Table(
    "choices",
    metadata,
    Column("team_id", String(64), primary_key=True),
    Column("user_id", String(128), primary_key=True),
    Column("body", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
"""What a person chose last in the form of `train`."""

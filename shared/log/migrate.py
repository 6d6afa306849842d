"""Alembic, driven from code: there is no alembic.ini to find, and the caller holds the transaction and the lock."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration for the migrations of this package."""
    config = Config()
    config.set_main_option("script_location", "shared.log:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Run every migration that this database lacks, inside the caller's transaction."""
    command.upgrade(configuration(connection), "head")

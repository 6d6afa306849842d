"""Where Alembic enters: on a connection that `shared.log.migrate`, or a test, hands over."""

from alembic import context

from shared.log import chat_tables  # noqa: F401 - its tables stand in the same metadata
from shared.log.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()

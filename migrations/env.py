"""What Alembic runs: the history over the connection that ``authserver.store.migrate`` holds."""

from alembic import context

from authserver.store.tables import metadata

# One history for both databases. The transaction is the caller's, so that all of an upgrade happens, or nothing of it.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

"""Alembic's entry: runs the steps on the connection that `index.schema` hands over."""

from alembic import context

from ithil.archive.index.tables import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema,
    transaction_per_migration=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

"""Run by Alembic: applies migrations in the transaction that `vipflow.store.schema` opened, which also commits it.

A migration says all it does in its own words: it imports nothing of vipflow, for that changes and a released migration
must not. There is no way down: restore a backup.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()

"""Runs the migration scripts on the connection that `api.schema_version` hands over.

Alembic executes this file; importing it elsewhere has no meaning. It configures no logging, and
the transaction is the caller's, so that an upgrade happens wholly or not at all.
"""

from alembic import context
from sqlalchemy import Connection


def run_migrations(connection: Connection) -> None:
    """Run the scripts between the database's version and the one asked for."""
    context.configure(
        connection=connection,
        transactional_ddl=True,  # true of SQLite once the driver begins no transactions itself
        render_as_batch=True,  # SQLite alters most things only by copying the table
    )
    with context.begin_transaction():
        context.run_migrations()


run_migrations(context.config.attributes["connection"])

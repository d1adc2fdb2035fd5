"""PostgreSQL as the database: one schema on a server, and nothing outside it.

The schema is set anew for every transaction and ends with it, so that no pool between us and the
server can hand it on; there is no fallback to another schema. Writers of a schema wait for each
other on an advisory lock, as the writers of a file do.
"""

import re
from functools import partial
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError

from index import transaction
from index.durable_files import full
from index.errors import (
    DatabaseUnreachableError,
    DriverMissingError,
    IndexStoreError,
    UnstorableTextError,
)
from index.transaction import Wish

_SCHEMA: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")  # needs no quotes; longer ones would be cut
_LOCK_NOT_AVAILABLE: Final = "55P03"
_DISK_FULL: Final = "53100"
_NOT_NOW: Final = ("08", "57P", "53300")  # connections, stopping or starting, too many of them
_CONNECT_TIMEOUT_S: Final = 10
_SCHEMA_OPTION: Final = "causerie_schema"


def open_schema(address: URL, schema: str) -> Engine:
    """Return the engine of a schema, which is made when missing.

    Raises:
        ValueError: `schema` cannot be one's name.
        DriverMissingError: psycopg is not installed.
        DatabaseUnreachableError: the server does not answer or lets nobody in.
    """
    if not _SCHEMA.fullmatch(schema):
        raise ValueError(
            f"schema {schema!r} must be 1 to 63 of the characters a-z 0-9 _ and start with a letter"
        )
    try:
        database = create_engine(
            address.set(drivername="postgresql+psycopg"),
            connect_args={"connect_timeout": _CONNECT_TIMEOUT_S},
            pool_size=4,
            max_overflow=12,  # a server allows a hundred in all unless told otherwise
            pool_pre_ping=True,  # it may have been started anew since
            execution_options={_SCHEMA_OPTION: schema},
        )
    except ModuleNotFoundError as error:
        raise DriverMissingError(
            "PostgreSQL is spoken to through psycopg, which is not installed; install the extra:"
            " pip install -e '.[postgres]'"
        ) from error
    event.listen(database, "begin", _begin)
    event.listen(database, "handle_error", partial(_named, name_of(address, schema)))
    try:
        _make_schema(database, schema)
    except DBAPIError as error:
        database.dispose()
        raise _unreachable(name_of(address, schema), error.orig) from error
    except DatabaseUnreachableError:
        database.dispose()
        raise
    return database


def schema_of(database: Engine) -> str:
    """Return the schema of an engine that `open_schema` made."""
    return str(database.get_execution_options()[_SCHEMA_OPTION])


def name_of(address: URL, schema: str) -> str:
    """Return what to call the schema in messages; never a password."""
    where = address.set(drivername="postgresql", password=None, query={})
    return f"{where.render_as_string()} (schema {schema})"


def is_busy(error: OperationalError) -> bool:
    """Return whether the write lock could not be had in time."""
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def _named(name: str, context: ExceptionContext) -> IndexStoreError | None:
    """Return the error to be raised in place of the driver's; None: that one."""
    if context.is_pre_ping:  # the pool opens another connection
        return None
    error = context.original_exception
    state = getattr(error, "sqlstate", None) or ""
    if state == _DISK_FULL:
        return full(f"the server of {name}")
    is_lost = context.is_disconnect or context.connection is None
    if isinstance(context.sqlalchemy_exception, OperationalError) and (
        is_lost or state.startswith(_NOT_NOW)
    ):
        return _unreachable(name, error)
    if "NUL" in str(error) and not state:
        return UnstorableTextError(
            "a text holds the character NUL, which PostgreSQL cannot hold; remove it"
        )
    return None


def _unreachable(name: str, error: object) -> DatabaseUnreachableError:
    reason = str(error).strip().replace("\n", "; ")
    return DatabaseUnreachableError(
        f"the database {name} cannot be used ({reason}); start the server, or correct"
        " CAUSERIE_DATABASE_URL"
    )


def _make_schema(database: Engine, schema: str) -> None:
    with database.begin() as connection:  # a writer's: two programs may start at once
        # `IF NOT EXISTS` would need the right to make schemas also where there is nothing to do.
        known = text("SELECT 1 FROM pg_namespace WHERE nspname = :schema")
        if connection.scalar(known, {"schema": schema}) is None:
            connection.exec_driver_sql(f'CREATE SCHEMA "{schema}"')


def _begin(connection: Connection) -> None:
    wish = Wish.of(connection)
    schema = connection.get_execution_options()[_SCHEMA_OPTION]
    kind = "REPEATABLE READ, READ ONLY" if wish.is_read_only else "READ COMMITTED, READ WRITE"
    first = [
        f"SET TRANSACTION ISOLATION LEVEL {kind}",
        f'SET LOCAL search_path = "{schema}"',
    ]
    if not wish.is_read_only:
        first += [
            f"SET LOCAL synchronous_commit = {'on' if wish.is_durable else 'off'}",
            f"SET LOCAL lock_timeout = {round(transaction.BUSY_TIMEOUT_S * 1000)}",
            f"SELECT pg_advisory_xact_lock(hashtextextended('causerie {schema}', 0))",
        ]
    connection.exec_driver_sql("; ".join(first))  # one message to the server

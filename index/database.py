"""The database: how it is opened, and the two kinds of transaction, the same on both kinds of it.

A database is an SQLite file or a schema on a PostgreSQL server. A reader sees one snapshot, holds
nobody up and cannot write. Writers go one after the other: each takes the write lock at its start,
so that it never fails half way because another process wrote meanwhile, and what it reads is what
was last committed. A transaction that does not come from `reading` is a writer's.

Knows no table.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import URL, Connection, DateTime, Engine, Text, make_url
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import OperationalError
from sqlalchemy.types import TypeDecorator

from index import postgres_server, sqlite_file, transaction
from index.errors import DatabaseBusyError
from index.transaction import NOT_DURABLE, READ_ONLY, SECURE

DEFAULT_SCHEMA = "causerie"

# Compared byte by byte, as SQLite does it, whatever language the server's database is set to.
BytewiseText = Text().with_variant(Text(collation="C"), "postgresql")


class UTCDateTime(TypeDecorator[datetime]):
    """An aware `datetime`, stored in UTC: SQLite itself keeps no time zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the UTC time without its zone."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a stored time needs a time zone, got {value.isoformat()}")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the stored time with its zone."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


def open_database(url: str | URL, *, schema: str = DEFAULT_SCHEMA) -> Engine:
    """Return the engine of `sqlite:///PATH`, or of a schema at `postgresql://USER@HOST/DATABASE`.

    The file's folder or the schema is made when missing, but no table: see
    `api.schema_version.upgrade`. A file has no schemas. The caller disposes of the engine.

    Raises:
        ValueError: `url` names another kind of database, or none on disk; or `schema` is no name.
        FullTextMissingError: Python's SQLite has no FTS5.
        DriverMissingError: psycopg, which speaks to PostgreSQL, is not installed.
        DatabaseUnreachableError: the server does not answer or lets nobody in.
    """
    address = make_url(url)
    sqlite_file.check_full_text()
    match address.get_backend_name():
        case "postgresql":
            return postgres_server.open_schema(address, schema)
        case "sqlite" if address.database not in {None, "", ":memory:"}:
            return sqlite_file.open_file(address)
        case _:
            raise ValueError(
                "the database must be a file, sqlite:///PATH, or a server,"
                " postgresql://USER@HOST/DATABASE, got"
                f" {address.render_as_string(hide_password=True)!r}"
            )


def is_on_server(database: Engine) -> bool:
    """Return whether other machines may share the database, so that it keeps no keyword index."""
    return database.dialect.name == "postgresql"


def name_of(database: Engine) -> str:
    """Return what the database is called in messages; never a password."""
    if not is_on_server(database):
        return str(database.url.database)
    return postgres_server.name_of(database.url, postgres_server.schema_of(database))


@contextmanager
def reading(database: Engine) -> Iterator[Connection]:
    """Give a connection in a read transaction: one snapshot, no lock, writing refused."""
    with database.connect() as connection:
        connection.execution_options(**{READ_ONLY: True})
        with connection.begin():
            yield connection


@contextmanager
def writing(
    database: Engine, *, is_durable: bool = True, is_secure: bool = False
) -> Iterator[Connection]:
    """Give a connection that holds the write lock; commits at the end, rolls back on an exception.

    What is removed by a secure one is overwritten with zeros.

    What is not durable survives the end of the program but not a power cut, and costs no wait for
    the disk: for notes on things that can be done again.

    Raises:
        DatabaseBusyError: another process kept the lock for `transaction.BUSY_TIMEOUT_S`.
    """
    with database.connect() as connection:
        connection.execution_options(**{NOT_DURABLE: not is_durable, SECURE: is_secure})
        try:
            under_way = connection.begin()
        except OperationalError as error:
            kind = postgres_server if is_on_server(database) else sqlite_file
            if not kind.is_busy(error):
                raise
            raise DatabaseBusyError(
                f"another process has been writing to {name_of(database)} for more than"
                f" {transaction.BUSY_TIMEOUT_S:g} s; wait until it ends, or stop it"
            ) from error
        with under_way:
            yield connection


def checkpoint(database: Engine) -> bool:
    """Move the write-ahead log into the database and empty it; False where a reader was in the way.

    Until then the log still holds what a secure transaction removed. A server sees to its own.
    """
    if is_on_server(database):
        return True
    raw = database.raw_connection()
    try:
        is_busy, _, _ = raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        raw.close()
    return not is_busy

"""The SQLite database: how it is opened, and the two kinds of transaction.

Every transaction is begun here and not by the driver, whose implicit ones leave DDL and savepoints
outside. A writer takes the write lock at its start (`BEGIN IMMEDIATE`), so that it never fails half
way because another process wrote meanwhile; a reader takes none and sees one snapshot. A
transaction that does not come from `reading` is a writer's.

Knows no table.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, DateTime, Engine, create_engine, event, make_url
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import OperationalError
from sqlalchemy.types import TypeDecorator

from index.errors import DatabaseBusyError, FullTextMissingError

BUSY_TIMEOUT_S = 30.0

_RETRY_S = 0.02
_READ_ONLY = "causerie_read_only"
_NOT_DURABLE = "causerie_not_durable"
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # what was acknowledged survives a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 67108864",  # a bulk ingest must not leave its log's size behind
)


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


def open_database(url: str | URL) -> Engine:
    """Return the engine of a database file, `sqlite:///PATH`; its folder is made when missing.

    Nothing is created in the file: see `api.schema_version.upgrade`. The caller disposes of the
    engine.

    Raises:
        ValueError: `url` names another kind of database or none on disk.
        FullTextMissingError: this SQLite has no FTS5.
    """
    address = make_url(url)
    if address.get_backend_name() != "sqlite" or address.database in {None, "", ":memory:"}:
        raise ValueError(
            f"the database must be a file, sqlite:///PATH, got"
            f" {address.render_as_string(hide_password=True)!r}"
        )
    with closing(sqlite3.connect(":memory:")) as scratch:
        check_full_text(scratch)
    Path(str(address.database)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = create_engine(
        address, connect_args={"timeout": BUSY_TIMEOUT_S}, pool_size=8, max_overflow=56
    )
    event.listen(database, "connect", _prepare)
    event.listen(database, "begin", _begin)
    return database


def check_full_text(connection: sqlite3.Connection) -> None:
    """Raise `FullTextMissingError` where a connection cannot make an FTS5 table."""
    try:
        connection.execute("CREATE VIRTUAL TABLE temp.full_text USING fts5(words)")
    except sqlite3.DatabaseError as error:
        raise FullTextMissingError(
            f"SQLite {sqlite3.sqlite_version}, which this Python uses, was built without FTS5"
            f" ({error}); use a Python whose sqlite3 module has it"
        ) from error


@contextmanager
def reading(database: Engine) -> Iterator[Connection]:
    """Give a connection in a read transaction: one snapshot, no lock, writing refused."""
    with database.connect() as connection:
        connection.execution_options(**{_READ_ONLY: True})
        with connection.begin():
            yield connection


@contextmanager
def writing(database: Engine, *, is_durable: bool = True) -> Iterator[Connection]:
    """Give a connection that holds the write lock; commits at the end, rolls back on an exception.

    What is not durable survives the end of the program but not a power cut, and costs no wait for
    the disk: for notes on things that can be done again.

    Raises:
        DatabaseBusyError: another process did not let go of the lock in `BUSY_TIMEOUT_S`.
    """
    with database.connect() as connection:
        connection.execution_options(**{_NOT_DURABLE: not is_durable})
        try:
            transaction = connection.begin()
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
                raise
            raise DatabaseBusyError(
                f"another process has been writing to {database.url.database} for more than"
                f" {BUSY_TIMEOUT_S:g} s; wait until it ends, or stop it"
            ) from error
        with transaction:
            yield connection


def _prepare(connection: Any, _record: object) -> None:
    # No implicit transaction of the driver: `_begin` says when one starts.
    connection.isolation_level = None
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma).close()
        except sqlite3.OperationalError as error:
            # The journal's mode is changed without waiting for another process that does the same.
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    read_only = bool(options.get(_READ_ONLY, False))
    connection.exec_driver_sql(f"PRAGMA query_only = {int(read_only)}")
    level = "NORMAL" if options.get(_NOT_DURABLE, False) else "FULL"
    connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

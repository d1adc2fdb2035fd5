"""SQLite as the database: one file.

Every transaction is begun here and not by the driver, whose implicit ones leave DDL and savepoints
outside. The file has one writer at a time by itself (`BEGIN IMMEDIATE`).
"""

import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError

from index import transaction
from index.durable_files import full, has_no_room
from index.errors import FullTextMissingError, StorageFullError
from index.transaction import Wish

_RETRY_S = 0.02
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # what was acknowledged survives a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 67108864",  # a bulk ingest must not leave its log's size behind
)


def open_file(address: URL) -> Engine:
    """Return the engine of the file, whose folder is made when missing."""
    Path(str(address.database)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = create_engine(
        address, connect_args={"timeout": transaction.BUSY_TIMEOUT_S}, pool_size=8, max_overflow=56
    )
    event.listen(database, "connect", _prepare)
    event.listen(database, "begin", _begin)
    event.listen(database, "handle_error", partial(_named, Path(str(address.database))))
    return database


def check_full_text() -> None:
    """Raise `FullTextMissingError` where this Python's SQLite cannot make an FTS5 table."""
    with closing(sqlite3.connect(":memory:")) as scratch:
        check_connection(scratch)


def check_connection(connection: sqlite3.Connection) -> None:
    """Raise `FullTextMissingError` where a connection cannot make an FTS5 table."""
    try:
        connection.execute("CREATE VIRTUAL TABLE temp.full_text USING fts5(words)")
    except sqlite3.DatabaseError as error:
        raise FullTextMissingError(
            f"SQLite {sqlite3.sqlite_version}, which this Python uses, was built without FTS5"
            f" ({error}); use a Python whose sqlite3 module has it"
        ) from error


def is_busy(error: OperationalError) -> bool:
    """Return whether the write lock could not be had in time."""
    return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def _named(file: Path, context: ExceptionContext) -> StorageFullError | None:
    """Return the error to be raised in place of SQLite's; None: that one."""
    code = getattr(context.original_exception, "sqlite_errorcode", None)
    if code is None:
        return None
    # The index of the log is a mapped file of its own, and says "I/O error" where there is no room.
    is_io = code & 0xFF == sqlite3.SQLITE_IOERR and has_no_room(file)
    return full(str(file)) if is_io or code & 0xFF == sqlite3.SQLITE_FULL else None


def _prepare(connection: Any, _record: object) -> None:
    # No implicit transaction of the driver: `_begin` says when one starts.
    connection.isolation_level = None
    until = time.monotonic() + transaction.BUSY_TIMEOUT_S
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
    wish = Wish.of(connection)
    connection.exec_driver_sql(f"PRAGMA query_only = {int(wish.is_read_only)}")
    connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if wish.is_durable else 'NORMAL'}")
    if wish.is_secure:
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    connection.exec_driver_sql("BEGIN" if wish.is_read_only else "BEGIN IMMEDIATE")

"""The file of keyword indexes that a machine keeps beside a database on a server."""

import logging
import sqlite3
import threading
from pathlib import Path

from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text
from sqlalchemy.exc import DatabaseError

from index.database import open_database, writing

logger = logging.getLogger(__name__)

_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_metadata = MetaData()

# Up to which sequence number the file holds the words of a collection, what they are made of, and a
# name of this making of them.
applied = Table(
    "applied",
    _metadata,
    Column("collection_id", Integer, primary_key=True),
    Column("made_of", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("making", Text, nullable=False),
)


class LexicalFile:
    """The file, opened when it is first needed; safe for threads and beside other processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    def open(self) -> Engine:
        """Return the engine of the file, whose tables are made when missing."""
        with self._lock:
            if self._engine is None:
                engine = open_database(f"sqlite:///{self.path}")
                try:
                    with writing(engine, is_durable=False) as connection:
                        _metadata.create_all(connection)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    def set_aside(self, reason: object) -> None:
        """Put a broken file out of the way; it is derived, and the next search makes another."""
        logger.warning("the keyword index %s is broken and made anew (%s)", self.path, reason)
        self.close()
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.replace(part.with_name(f"broken-{part.name}"))

    def remove(self) -> None:
        """Remove the file; the next search makes another."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None


def is_broken(error: DatabaseError) -> bool:
    """Return whether SQLite says that its file is no database or damaged."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _BROKEN  # the rest of the code tells which part

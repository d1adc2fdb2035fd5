"""Databases of their own for tests: a file, or a schema on the PostgreSQL server."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine

from index.database import DEFAULT_SCHEMA, open_database, writing

SQLITE = "sqlite"
POSTGRESQL = "postgresql"

# For tests that hold on both kinds: their fixture `database_kind` is then each of these.
both_kinds = pytest.mark.parametrize("database_kind", [SQLITE, POSTGRESQL])


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a database is; `folder` is for what a program keeps beside it."""

    url: str
    schema: str
    folder: Path

    def open(self) -> Engine:
        """Return an engine as another process would have it."""
        return open_database(self.url, schema=self.schema)


@contextmanager
def place_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    """Give a place for a new database; on a server it is taken away again.

    Skips, or fails where it is required, if there is no server.
    """
    if kind == SQLITE:
        url = f"sqlite:///{folder / 'state' / 'causerie.sqlite'}"
        yield Place(url=url, schema=DEFAULT_SCHEMA, folder=folder / "state" / "index")
        return
    url = request.getfixturevalue("postgres_url")
    place = Place(url=url, schema=f"test_{secrets.token_hex(8)}", folder=folder / "state" / "index")
    try:
        yield place
    finally:
        engine = place.open()
        with writing(engine) as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {place.schema} CASCADE")
        engine.dispose()

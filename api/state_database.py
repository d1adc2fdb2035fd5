"""The database of the state folder, opened and brought to the program's schema; without models."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from api.schema_version import upgrade
from api.settings import Settings
from index.database import open_database


def open_state_database(settings: Settings) -> Engine:
    """Return the engine of the settings' database; the caller disposes of it.

    Raises:
        SchemaVersionError: the database was written by a newer version.
    """
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(
        settings.database_url or f"sqlite:///{settings.state / 'causerie.sqlite'}"
    )
    upgrade(database)
    return database


def index_folder(settings: Settings) -> Path | None:
    """Return where indexes of collections lie; None is beside the file that is the database."""
    url = settings.database_url
    return None if url is None or url.startswith("sqlite") else settings.state / "index"


@contextmanager
def state_database(settings: Settings) -> Iterator[Engine]:
    """Give the database for a while."""
    database = open_state_database(settings)
    try:
        yield database
    finally:
        database.dispose()

"""The database of the state folder, opened and brought up to the program's schema."""

import sqlalchemy

from api.schema_version import upgrade
from api.settings import Settings
from index.database import open_database


def open_state_database(settings: Settings) -> sqlalchemy.Engine:
    """Return the engine of the database; the folder is made when missing.

    Raises:
        SchemaVersionError: the database was written by a newer version.
    """
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(
        settings.database_url or f"sqlite:///{settings.state / 'causerie.sqlite'}"
    )
    upgrade(database)
    return database

"""The database of a tenant, opened and brought to the program's schema; without models."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from api.schema_version import upgrade
from api.settings import Settings
from api.tenant import TenantPlace, place_of
from index.database import open_database


def open_place(place: TenantPlace) -> Engine:
    """Return the engine of a tenant's database; the caller disposes of it.

    Raises:
        SchemaVersionError: the database was written by a newer version.
    """
    place.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(place.database_url, schema=place.schema)
    try:
        upgrade(database)
    except BaseException:
        database.dispose()
        raise
    return database


def index_folder(place: TenantPlace) -> Path | None:
    """Return where indexes of collections lie; None is beside the file that is the database."""
    return None if place.database_url.startswith("sqlite") else place.state / "index"


@contextmanager
def state_database(settings: Settings, tenant: str = "") -> Iterator[Engine]:
    """Give the database of a tenant for a while; the empty name is the tenant without a name."""
    database = open_place(place_of(settings, tenant))
    try:
        yield database
    finally:
        database.dispose()

"""A database of its own for every test, with the tables of `index`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from index import tables
from index.database import writing
from tests.databases import SQLITE, Place, place_of


@pytest.fixture
def database_kind() -> str:
    """Be an SQLite file, unless the test says `both_kinds`."""
    return SQLITE


@pytest.fixture
def place(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_of(database_kind, request, tmp_path) as place:
        yield place


@pytest.fixture
def database_url(place: Place) -> str:
    return place.url


@pytest.fixture
def database(place: Place) -> Iterator[Engine]:
    engine = place.open()
    with writing(engine) as connection:
        tables.metadata.create_all(connection)
    yield engine
    engine.dispose()

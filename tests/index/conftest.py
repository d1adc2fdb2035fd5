"""A database of its own for every test, with the tables of `index`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from index import tables
from index.database import open_database, writing


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state' / 'causerie.sqlite'}"


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    with writing(engine) as connection:
        tables.metadata.create_all(connection)
    yield engine
    engine.dispose()

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from index import tables
from index.database import open_database, writing
from index.store import CollectionStore
from rag.ingest import Ingestor
from rag.testing import HashingEmbedder
from tests.rag.incremental.sections import sections


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'state' / 'causerie.sqlite'}")
    with writing(engine) as connection:
        tables.metadata.create_all(connection)
    yield engine
    engine.dispose()


@pytest.fixture
def store(database: Engine) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1)
    yield store
    store.close()


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture
def ingestor(store: CollectionStore, embedder: HashingEmbedder) -> Ingestor:
    return Ingestor(store, embedder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files: one of five sections, each a chunk of its own, and two small ones."""
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "guide.md").write_text(sections())
    (folder / "a.txt").write_text("The cat sleeps on the sofa.")
    (folder / "sub" / "b.txt").write_text("A dog barks at the postman.")
    return folder

"""What keeps a collection well where its database is a PostgreSQL server."""

from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import Engine, update

from index import tables
from index.database import writing
from index.inspection import ProblemKind
from index.store import CollectionStore
from index.testing import DIM, FINGERPRINT, axis, store_text
from tests.databases import POSTGRESQL, Place

pytestmark = pytest.mark.parametrize("database_kind", [POSTGRESQL])
SECRET = "xylograph"


@pytest.fixture
def store(database: Engine, place: Place) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1, folder=place.folder)
    store.create("notes", embedder="e", fingerprint=FINGERPRINT, dim=DIM)
    collection = store.open("notes")
    for i in range(5):
        store_text(collection, f"u{i}", f"tea{i} {SECRET if i == 3 else 'milk'}", [axis(i)] * 2)
    yield store
    store.close()


def test_it_is_verified_compacted_and_its_health_told(store: CollectionStore) -> None:
    upkeep = store.maintenance("notes")
    assert upkeep.verify().is_clean
    assert upkeep.compact() == ""
    assert upkeep.verify().is_clean
    stats = upkeep.stats()
    assert (stats.num_chunks, stats.num_segments, stats.num_unsealed) == (10, 1, 0)
    assert upkeep.health(measure=True).is_well
    assert len(store.open("notes").search(np.ones(DIM), 99)) == 10


def test_damage_is_found_there_too(store: CollectionStore, database: Engine) -> None:
    with writing(database) as connection:
        connection.execute(
            update(tables.documents).where(tables.documents.c.uri == "u1").values(title="other")
        )
    problems = store.maintenance("notes").verify().problems
    assert {problem.kind for problem in problems} == {ProblemKind.DOCUMENT}
    assert {problem.uri for problem in problems} == {"u1"}


def test_a_repair_makes_index_files_anew(store: CollectionStore, place: Place) -> None:
    collection = store.open("notes")
    upkeep = store.maintenance("notes")
    upkeep.compact()
    expected = list(collection.search(np.array(axis(3)), 99))
    for path in place.folder.glob("*/segments/*/vectors.array"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert {p.kind for p in upkeep.verify().problems} == {ProblemKind.FILE}
    assert upkeep.repair().is_clean
    assert list(collection.search(np.array(axis(3)), 99)) == expected


def test_a_purge_leaves_nothing_on_the_server_nor_in_the_files(
    store: CollectionStore, place: Place
) -> None:
    collection, upkeep = store.open("notes"), store.maintenance("notes")
    upkeep.compact()
    assert len(collection.search_terms(SECRET, 9)) == 1
    record = collection.find("u3")
    assert record is not None
    assert upkeep.purge([record.id]).is_clean
    assert len(collection.search_terms(SECRET, 9)) == 0
    for path in place.folder.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
    assert upkeep.verify(absent=[record.id]).is_clean
    assert len(collection.search_terms("milk", 9)) == 4

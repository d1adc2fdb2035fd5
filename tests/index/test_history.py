"""A history that is trimmed: what lives and what has a name stays, and nobody is misled."""

from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import Engine

from index.errors import UnknownCollectionError
from index.store import CollectionStore
from index.testing import DIM, FINGERPRINT, axis, store_text
from tests.databases import Place, both_kinds

pytestmark = both_kinds


@pytest.fixture
def store(database: Engine, place: Place) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1, folder=place.folder)
    store.create("notes", embedder="e", fingerprint=FINGERPRINT, dim=DIM)
    yield store
    store.close()


@pytest.fixture
def other(place: Place, store: CollectionStore) -> Iterator[CollectionStore]:
    """Another machine's store."""
    engine = place.open()
    other = CollectionStore(engine, threads=1, folder=place.folder.with_name("elsewhere"))
    yield other
    other.close()
    engine.dispose()


def write(store: CollectionStore, num: int) -> None:
    """Store the same document again and again: write i says `word{i}`."""
    collection = store.open("notes")
    first = store.versions("notes").latest() + 1
    for i in range(first, first + num):
        store_text(collection, "a", f"tea word{i}", [axis(0), axis(i % DIM)])


def texts_at(store: CollectionStore, at: int) -> tuple[list[str], str]:
    found = store.versions("notes").search_terms("tea", 9, at=at)
    return [hit.uri for hit in found.hits], found.reason


def test_the_states_of_the_last_writes_are_kept(store: CollectionStore) -> None:
    write(store, 10)
    upkeep = store.maintenance("notes")
    upkeep.compact()
    before = [store.versions("notes").search(np.array(axis(0)), 9, at=at) for at in range(8, 11)]
    assert upkeep.stats().num_old_chunks == 18
    trimmed = upkeep.trim(3)
    assert (trimmed.since, trimmed.num_documents, trimmed.num_chunks) == (8, 7, 14)
    stats = upkeep.stats()
    assert (stats.num_old_chunks, stats.since, stats.seq) == (4, 8, 10)
    assert before == [
        store.versions("notes").search(np.array(axis(0)), 9, at=at) for at in range(8, 11)
    ]
    assert all(one.is_complete for one in before)
    assert texts_at(store, 7) == ([], "the history of this collection begins with write 8")
    assert upkeep.verify().is_clean
    assert upkeep.health().is_well
    assert upkeep.trim(3).num_chunks == 0
    write(store, 2)
    assert len(store.open("notes").search(np.ones(DIM), 9)) == 2
    assert upkeep.verify().is_clean


def test_a_state_that_has_a_name_and_the_files_are_kept(store: CollectionStore) -> None:
    write(store, 3)
    store.versions("notes").snapshot("may")
    write(store, 5)
    upkeep = store.maintenance("notes")
    assert upkeep.trim(1).since == 3
    assert texts_at(store, 3) == (["a"], "")
    with pytest.raises(ValueError, match="keep_writes must be >= 1, got 0"):
        upkeep.trim(0)


def test_whoever_stands_before_the_trimmed_log_reads_everything_anew(
    store: CollectionStore, other: CollectionStore
) -> None:
    write(store, 2)
    far = other.open("notes")
    store_text(far, "b", "theirs", [axis(3)])
    assert len(far.search(np.ones(DIM), 9)) == 3
    other.maintenance("notes").compact()
    write(store, 6)
    record = store.open("notes").find("b")
    assert record is not None
    store.open("notes").delete(record.id)
    store.maintenance("notes").compact()
    assert store.maintenance("notes").trim(1).num_chunks > 0
    assert {hit.uri for hit in far.search(np.ones(DIM), 9)} == {"a"}
    assert {hit.uri for hit in far.search_terms("tea theirs", 9)} == {"a"}
    # Its last acknowledged write is not lost, only let go.
    assert other.maintenance("notes").health().loss == ""
    assert other.maintenance("notes").repair().is_clean


def test_chunks_are_read_in_pages(store: CollectionStore) -> None:
    collection, upkeep = store.open("notes"), store.maintenance("notes")
    record = store_text(collection, "a", "one two three", [axis(0)] * 3)
    store_text(collection, "b", "four", [axis(1)])
    first = upkeep.scan(2)
    assert [(one.uri, one.start, one.end) for one in first] == [("a", 0, 3), ("a", 4, 7)]
    assert first[0].document_id == record.id
    rest = upkeep.scan(9, after=first[-1].id)
    assert [(one.uri, one.seq) for one in rest] == [("a", 1), ("b", 2)]
    assert upkeep.scan(after=rest[-1].id) == []
    with pytest.raises(ValueError, match="limit must be >= 1"):
        upkeep.scan(0)
    store.delete("notes")
    with pytest.raises(UnknownCollectionError):
        upkeep.scan()

"""The keyword index beside a server: it follows the database, and can be lost at any time."""

import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, inspect, select, text, update

from index import derived_lexical, lexical_file, tables
from index.collection import StoredCollection
from index.database import open_database, reading, writing
from index.errors import UnknownCollectionError
from index.new_rows import ChunkTerms
from index.stop_words import Language
from index.store import LEXICAL_FILE, CollectionStore
from index.stored_terms import stored_terms
from index.testing import DIM, FINGERPRINT, axis, store_text
from tests.databases import POSTGRESQL, Place

pytestmark = pytest.mark.parametrize("database_kind", [POSTGRESQL])


@pytest.fixture
def store(database: Engine, place: Place) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1, folder=place.folder)
    yield store
    store.close()


def new_collection(store: CollectionStore, name: str = "notes") -> StoredCollection:
    store.create(name, embedder="embedder-1", fingerprint=FINGERPRINT, dim=DIM)
    return store.open(name)


def words(collection: StoredCollection, query: str) -> list[str]:
    return [hit.text for hit in collection.search_terms(query, 99)]


def applied(place: Place) -> dict[int, int]:
    engine = open_database(f"sqlite:///{place.folder / LEXICAL_FILE}")
    try:
        with reading(engine) as connection:
            rows = connection.execute(select(lexical_file.applied))
            return {row.collection_id: row.seq for row in rows}
    finally:
        engine.dispose()


def test_a_server_holds_no_terms_and_needs_a_folder(
    store: CollectionStore, database: Engine
) -> None:
    store_text(new_collection(store), "a", "tea", [axis(0)])
    with reading(database) as connection:
        names = set(inspect(connection).get_table_names())
    assert names == set(tables.metadata.tables)
    with pytest.raises(ValueError, match="needs a folder"):
        CollectionStore(database, threads=1)


def test_another_machine_makes_a_file_of_its_own(
    store: CollectionStore, place: Place, tmp_path: Path
) -> None:
    here = new_collection(store)
    store_text(here, "a", "tea milk", [axis(0)] * 2)
    engine = place.open()
    there = CollectionStore(engine, threads=1, folder=tmp_path / "there")
    collection = there.open("notes")
    assert words(collection, "tea") == words(here, "tea") == ["tea"]
    gone = store_text(here, "b", "tea cup", [axis(0)] * 2)
    assert words(collection, "tea") == ["tea", "tea"]
    here.delete(gone.id)
    assert words(collection, "cup") == []
    store_text(collection, "a", "cup", [axis(0)])
    assert (words(here, "tea"), words(here, "cup")) == ([], ["cup"])
    assert here.term_weights(["cup"]) == collection.term_weights(["cup"])
    there.close()
    engine.dispose()


@pytest.mark.parametrize("damage", ["lost", "no database", "a page", "another analyser"])
def test_a_file_that_cannot_be_used_is_made_anew(
    store: CollectionStore, place: Place, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = new_collection(store)
    for i in range(40):
        store_text(collection, f"u{i}", f"tea {'zebra' if i == 7 else 'milk'}", [axis(0)] * 2)
    assert len(words(collection, "tea")) == 40
    store.close()
    path = place.folder / LEXICAL_FILE
    if damage == "lost":
        path.unlink()
    elif damage == "no database":
        path.write_bytes(b"not a database" * 999)
    elif damage == "a page":
        data = bytearray(path.read_bytes())
        data[4096:] = b"\xff" * (len(data) - 4096)
        path.write_bytes(data)
    else:
        monkeypatch.setattr(derived_lexical, "fingerprint", lambda _: "terms-0")
    assert len(words(collection, "tea")) == 40
    assert words(collection, "zebra") == ["zebra"]
    aside = path.with_name(f"broken-{path.name}")
    assert aside.exists() == (damage in {"no database", "a page"})


def test_many_chunks_are_taken_over_in_several_transactions(
    store: CollectionStore, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken over before a stop is not made again."""
    monkeypatch.setattr(derived_lexical, "_TRANSACTION", 3)
    collection = new_collection(store)
    for i in range(5):
        store_text(collection, f"u{i}", f"tea word{i}", [axis(0)] * 2)
    made: list[int] = []
    is_stopped = False

    def stop_at_the_third(
        connection: Connection, chunk_ids: Sequence[int], language: Language
    ) -> list[tuple[int, ChunkTerms]]:
        nonlocal is_stopped
        if len(made) == 8 and not is_stopped:
            is_stopped = True
            raise KeyboardInterrupt
        made.extend(chunk_ids)
        return stored_terms(connection, chunk_ids, language)

    monkeypatch.setattr(derived_lexical, "stored_terms", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        collection.search_terms("tea", 9)
    assert applied(place) == {1: 4}
    assert len(words(collection, "tea")) == 5
    assert made == list(range(1, 11))


def test_a_file_of_another_history_is_made_anew(
    store: CollectionStore, database: Engine, place: Place
) -> None:
    """As after the server was put back to an older copy."""
    collection = new_collection(store)
    store_text(collection, "a", "tea", [axis(0)])
    store_text(collection, "b", "cup", [axis(0)])
    assert words(collection, "cup") == ["cup"]
    with writing(database) as connection:
        connection.execute(text("DELETE FROM documents WHERE uri = 'b'"))
        connection.execute(update(tables.collections).values(seq=1, seq_deleted=0))
    assert (words(collection, "cup"), words(collection, "tea")) == ([], ["tea"])
    assert applied(place) == {1: 1}


def test_what_is_left_of_deleted_collections_goes_with_the_next_one(
    store: CollectionStore, place: Place
) -> None:
    old = new_collection(store, "old")
    store_text(old, "a", "tea", [axis(0)])
    assert words(old, "tea") == ["tea"]
    store.delete("old")
    with pytest.raises(UnknownCollectionError, match="'old' was deleted"):
        words(old, "tea")
    new = new_collection(store, "new")
    assert words(new, "tea") == []
    assert set(applied(place)) == {2}


def test_searches_see_what_was_acknowledged_whoever_wrote_it(
    store: CollectionStore, place: Place
) -> None:
    """Two stores over one file; a file ahead of a snapshot is met with a newer one."""
    mine = new_collection(store)
    engine = place.open()
    other = CollectionStore(engine, threads=1, folder=place.folder)
    theirs = other.open("notes")
    is_done = threading.Event()

    def search() -> int:
        num = 0
        while not is_done.is_set():
            hits = theirs.search_terms("tea", 99) if num % 2 else mine.search_terms("tea", 99)
            assert len({hit.uri for hit in hits}) == len(hits)
            num += 1
        return num

    with ThreadPoolExecutor(3) as pool:
        searches = [pool.submit(search) for _ in range(2)]
        try:
            for i in range(12):
                store_text(mine if i % 3 else theirs, f"u{i % 5}", f"tea w{i}", [axis(0)] * 2)
                assert words(theirs if i % 2 else mine, f"w{i}") == [f"w{i}"]
        finally:
            is_done.set()
        assert all(search.result() for search in searches)
    assert len(words(mine, "tea")) == 5
    assert len(mine.search(np.ones(DIM), 99)) == 10
    other.close()
    engine.dispose()
    shutil.rmtree(place.folder)

"""Collections in the database: names, many writers, damage."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, func, select, update

from index import tables
from index.collection import StoredCollection
from index.database import reading, writing
from index.errors import (
    CollectionExistsError,
    DamagedDocumentError,
    EmbedderMismatchError,
    UnknownCollectionError,
    UnknownDocumentError,
)
from index.lexical_contract import LexicalIndexContract
from index.protocol import Item, Metric, NewDocument
from index.store import CollectionStore
from index.testing import (
    DIM,
    FINGERPRINT,
    CollectionContract,
    axis,
    store_text,
)
from tests.databases import Place, both_kinds

pytestmark = both_kinds


def new_collection(store: CollectionStore, name: str = "notes") -> StoredCollection:
    store.create(name, embedder="embedder-1", fingerprint=FINGERPRINT, dim=DIM)
    return store.open(name)


def new_document(uri: str, words: str = "some words") -> NewDocument:
    ends = [i for i, c in enumerate(words) if c == " "] + [len(words)]
    starts = [0, *(end + 1 for end in ends[:-1])]
    return NewDocument(
        uri=uri,
        title=uri,
        media_type="text/plain",
        source_sha256=hashlib.sha256(words.encode()).hexdigest(),
        text=words,
        items=[Item(start=a, end=b) for a, b in zip(starts, ends, strict=True)],
        vectors=np.eye(len(ends), DIM, dtype=np.float32),
    )


def num_rows(database: Engine) -> dict[str, int]:
    with reading(database) as connection:
        return {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in tables.metadata.sorted_tables
        }


@pytest.fixture
def store(database: Engine, place: Place) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1, folder=place.folder)
    yield store
    store.close()


@pytest.fixture
def other(place: Place, store: CollectionStore) -> Iterator[CollectionStore]:
    """Another process's store, as far as the database can tell."""
    engine = place.open()
    other = CollectionStore(engine, threads=1, folder=place.folder)
    yield other
    other.close()
    engine.dispose()


class TestStoredCollection(CollectionContract, LexicalIndexContract):
    @pytest.fixture
    def collection(self, store: CollectionStore) -> StoredCollection:
        return new_collection(store)


def test_a_collection_says_what_it_is_and_holds(store: CollectionStore) -> None:
    made = store.create("notes", embedder="e", fingerprint=FINGERPRINT, dim=DIM, metric=Metric.L2)
    assert (made.name, made.embedder, made.fingerprint) == ("notes", "e", FINGERPRINT)
    assert (made.dim, made.metric, made.num_documents, made.num_chunks) == (DIM, Metric.L2, 0, 0)
    store.open("notes").upsert_many(
        [new_document("a", "one"), new_document("b", "two three")], fingerprint=FINGERPRINT
    )
    now = store.info("notes")
    assert (now.num_documents, now.num_chunks, now.created_at) == (2, 3, made.created_at)
    new_collection(store, "also")
    assert [info.name for info in store.list()] == ["also", "notes"]


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "0", "x" * 64])
def test_good_names(store: CollectionStore, name: str) -> None:
    assert new_collection(store, name).name == name


@pytest.mark.parametrize("name", ["", ".a", "-a", "_a", "a/b", "a b", "é", "a\n", "x" * 65, "../a"])
def test_bad_names_are_refused(store: CollectionStore, name: str) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        new_collection(store, name)
    assert store.list() == []


def test_bad_sizes_are_refused(store: CollectionStore, database: Engine) -> None:
    with pytest.raises(ValueError, match="dim must be >= 1, got 0"):
        store.create("a", embedder="e", fingerprint="f", dim=0)
    with pytest.raises(ValueError, match="threads must be >= 1, got 0"):
        CollectionStore(database, threads=0)


def test_a_name_is_taken_until_its_collection_is_deleted(store: CollectionStore) -> None:
    new_collection(store)
    with pytest.raises(CollectionExistsError, match="'notes'"):
        new_collection(store)
    store.delete("notes")
    assert not new_collection(store).search(np.ones(DIM), 1)


def test_an_unknown_collection_is_answered_with_those_that_exist(store: CollectionStore) -> None:
    with pytest.raises(UnknownCollectionError, match="'notes'; there is none yet"):
        store.open("notes")
    new_collection(store, "b")
    new_collection(store, "a")
    for call in (store.open, store.info, store.delete):
        with pytest.raises(UnknownCollectionError, match="'notes'; there are 'a', 'b'"):
            call("notes")


def test_deleting_a_collection_leaves_no_row(store: CollectionStore, database: Engine) -> None:
    store_text(new_collection(store), "a", "one two", [axis(0), axis(1)])
    store.delete("notes")
    assert set(num_rows(database).values()) == {0}


def test_a_handle_of_a_deleted_collection_never_shows_its_successor(
    store: CollectionStore, other: CollectionStore
) -> None:
    old = new_collection(store)
    store_text(old, "a", "old", [axis(0)])
    assert old.search(np.ones(DIM), 1)
    other.delete("notes")
    store_text(new_collection(other), "b", "new", [axis(0)])
    with pytest.raises(UnknownCollectionError, match="'notes' was deleted"):
        old.search(np.ones(DIM), 1)
    with pytest.raises(UnknownCollectionError, match="'notes' was deleted"):
        store_text(old, "c", "lost", [axis(0)])
    assert [hit.text for hit in store.open("notes").search(np.ones(DIM), 9)] == ["new"]


def test_collections_do_not_see_each_other(store: CollectionStore) -> None:
    a, b = new_collection(store, "a"), new_collection(store, "b")
    in_a = store_text(a, "same", "here", [axis(0)])
    in_b = store_text(b, "same", "there", [axis(0)])
    assert in_a.id != in_b.id
    assert [hit.text for hit in a.search(np.ones(DIM), 9)] == ["here"]
    with pytest.raises(UnknownDocumentError):
        a.get(in_b.id)
    with pytest.raises(UnknownDocumentError):
        a.delete(in_b.id)
    assert b.get(in_b.id)[1] == "there"


def test_a_text_is_stored_once_and_its_chunks_as_spans(
    store: CollectionStore, database: Engine
) -> None:
    collection = new_collection(store)
    text_ = "ab" * 2000
    record = store_text(collection, "a", text_, [axis(0)] * 3, items=[Item(start=0, end=4000)] * 3)
    with reading(database) as connection:
        stored = connection.execute(select(tables.documents)).one()
    assert stored.text == text_.encode()
    assert record.text_sha256 == stored.text_sha256 == hashlib.sha256(stored.text).hexdigest()
    assert "text" not in tables.chunks.c


def test_many_documents_are_stored_together_or_not_at_all(
    store: CollectionStore, database: Engine
) -> None:
    collection = new_collection(store)
    batch = [new_document(f"u{i}") for i in range(1100)]
    records = collection.upsert_many(batch, fingerprint=FINGERPRINT)
    assert [record.uri for record in records] == [new.uri for new in batch]
    assert {name: num for name, num in num_rows(database).items() if num} == {
        "collections": 1, "documents": 1100, "chunks": 2200, "vectors": 2200, "vector_sets": 1,
        "document_versions": 1100, "commits": 1, "oplog": 2200,
    }  # fmt: skip
    assert collection.upsert_many([], fingerprint=FINGERPRINT) == []
    bad = NewDocument(
        uri="bad",
        title="",
        media_type="",
        source_sha256="",
        text="x",
        items=[Item(start=0, end=2)],
        vectors=np.ones((1, DIM), np.float32),
    )
    for batch_, error, words in (
        ([new_document("new"), bad], ValueError, "0..2"),
        ([new_document("new"), new_document("new")], ValueError, "'new' is given twice"),
    ):
        with pytest.raises(error, match=words):
            collection.upsert_many(batch_, fingerprint=FINGERPRINT)
    with pytest.raises(EmbedderMismatchError, match="embedder-1"):
        collection.upsert_many([new_document("new")], fingerprint="other")
    assert collection.find("new") is None
    collection.upsert_many([new_document(f"u{i}", "x") for i in range(1100)],
                           fingerprint=FINGERPRINT)  # fmt: skip
    assert num_rows(database)["vectors"] == 1100
    assert len(collection.search(np.ones(DIM), 5000)) == 1100


def test_a_text_that_is_not_unicode_is_refused(store: CollectionStore) -> None:
    with pytest.raises(ValueError, match=r"text of document 'a'.*surrogates"):
        store_text(new_collection(store), "a", "\ud800", [axis(0)], items=[Item(start=0, end=1)])
    with pytest.raises(ValueError, match="needs a uri"):
        store_text(store.open("notes"), "", "a", [axis(0)])


def test_documents_are_listed_page_by_page_in_the_order_of_their_uris(
    store: CollectionStore,
) -> None:
    collection = new_collection(store)
    stored = {uri: store_text(collection, uri, uri, [axis(0)]) for uri in ["d", "b", "a", "é", "C"]}
    first = collection.documents(2)
    assert first == [stored["C"], stored["a"]]  # by their bytes, whatever the server's language
    assert collection.documents(9, after=first[-1].id) == [stored["b"], stored["d"], stored["é"]]
    assert collection.documents(9, after=stored["é"].id) == []
    assert collection.find("b") == stored["b"]
    assert collection.find("z") is None
    assert collection.sources() == dict.fromkeys("abCdé", "0" * 64)
    with pytest.raises(UnknownDocumentError, match="'z'"):
        collection.documents(9, after="z")
    with pytest.raises(ValueError, match="limit must be >= 1, got 0"):
        collection.documents(0)


def test_two_stores_see_each_others_writes(store: CollectionStore, other: CollectionStore) -> None:
    mine = new_collection(store)
    theirs = other.open("notes")
    assert not theirs.search(np.ones(DIM), 1)
    record = store_text(mine, "a", "one", [axis(0)])
    assert [hit.text for hit in theirs.search(np.ones(DIM), 9)] == ["one"]
    store_text(theirs, "a", "two", [axis(1)])
    store_text(theirs, "b", "three", [axis(2)])
    assert {hit.text for hit in mine.search(np.ones(DIM), 9)} == {"two", "three"}
    theirs.delete(record.id)
    assert {hit.text for hit in mine.search(np.ones(DIM), 9)} == {"three"}


def test_a_write_costs_the_next_search_only_what_is_new(
    store: CollectionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = new_collection(store)
    collection.upsert_many([new_document(f"u{i}") for i in range(50)], fingerprint=FINGERPRINT)
    collection.search(np.ones(DIM), 1)
    num_read: list[int] = []
    live = collection._live
    read = live._read

    def spy(connection: Connection, ids: np.ndarray) -> None:
        num_read.append(len(ids))
        read(connection, ids)

    monkeypatch.setattr(live, "_read", spy)
    store.open("notes").search(np.ones(DIM), 1)
    assert num_read == []
    collection.upsert_many([new_document("u7", "x y z")], fingerprint=FINGERPRINT)
    collection.delete(collection.documents(1)[0].id)
    assert len(collection.search(np.ones(DIM), 999)) == 99
    assert num_read == [3]


def replace_and_delete(collection: StoredCollection, worker: int) -> None:
    for i in range(15):
        word = f"{worker}x{i}"
        record = store_text(
            collection, f"u{worker}", f"{word} {word}", [axis(worker), axis(worker)]
        )
        if i % 5 == 4:
            collection.delete(record.id)


def search_until(is_done: threading.Event, store: CollectionStore) -> None:
    """The two chunks of a document always change together."""
    while not is_done.is_set():
        by_uri: dict[str, list[str]] = {}
        for hit in store.open("notes").search(np.ones(DIM), 99):
            by_uri.setdefault(hit.uri, []).append(hit.text)
        assert all(len(words) == 2 and len(set(words)) == 1 for words in by_uri.values())


def test_threads_write_and_search_at_once(store: CollectionStore, database: Engine) -> None:
    """Every search sees one state, of whole documents only."""
    collection = new_collection(store)
    is_done = threading.Event()
    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(search_until, is_done, store) for _ in range(3)]
        try:
            writers = [pool.submit(replace_and_delete, collection, i) for i in range(3)]
            for writer in writers:
                writer.result()
        finally:
            is_done.set()
        for reader in readers:
            reader.result()
    assert not collection.search(np.ones(DIM), 99)
    assert num_rows(database)["chunks"] == 0


def test_hits_belong_to_the_caller(store: CollectionStore) -> None:
    collection = new_collection(store)
    record = store_text(collection, "a", "one", [axis(0)])
    record.metadata["pages"] = 99  # type: ignore[index]
    assert collection.get(record.id)[0].metadata["pages"] == 3


@pytest.mark.parametrize("damage", ["one bit", "cut short", "not text"])
def test_a_damaged_text_is_never_quoted(
    store: CollectionStore, other: CollectionStore, database: Engine, damage: str
) -> None:
    record = store_text(new_collection(store), "a", "thé noir", [axis(0), axis(1)])
    data = {"one bit": "thé nois".encode(), "cut short": b"th", "not text": b"\xff" * 9}[damage]
    with writing(database) as connection:
        connection.execute(update(tables.documents).values(text=data))
    collection = other.open("notes")
    for call in (lambda: collection.search(np.ones(DIM), 1), lambda: collection.get(record.id)):
        with pytest.raises(DamagedDocumentError, match=r"'a' is damaged.*SHA-256"):
            call()
    store_text(collection, "a", "thé vert", [axis(0), axis(1)])
    assert collection.search(np.ones(DIM), 1)[0].text == "thé"


@pytest.mark.parametrize("span", [(0, 3), (3, 3), (0, 99)])
def test_a_damaged_span_is_never_quoted(
    store: CollectionStore, database: Engine, span: tuple[int, int]
) -> None:
    collection = new_collection(store)
    store_text(collection, "a", "thé", [axis(0)])
    assert len(collection.search(np.ones(DIM), 1)) == 1  # the index has it
    with writing(database) as connection:
        connection.execute(update(tables.chunks).values(start=span[0], end=span[1]))
    with pytest.raises(DamagedDocumentError, match=rf"chunk {span[0]}\.\.{span[1]}"):
        collection.search(np.ones(DIM), 1)


@pytest.mark.parametrize("damage", [b"\0", bytes(28), bytes(29)])
def test_a_damaged_vector_is_withheld_and_named_and_mended_by_a_new_one(
    store: CollectionStore, database: Engine, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    collection = new_collection(store)
    store_text(collection, "a", "one", [axis(0)])
    store_text(collection, "b", "two", [axis(1)])
    with writing(database) as connection:
        connection.execute(
            update(tables.vectors).where(tables.vectors.c.chunk_id == 2).values(vector=damage)
        )
    for _ in range(2):
        assert [hit.uri for hit in collection.search(np.ones(DIM), 9)] == ["a"]
    assert "vectors of chunks [2] are damaged" in caplog.text
    assert collection.explain().withheld == (2,)
    store_text(collection, "b", "two", [axis(1)])
    assert len(collection.search(np.ones(DIM), 9)) == 2
    assert collection.explain().is_complete


def test_an_index_of_a_deleted_collection_is_let_go(
    store: CollectionStore, other: CollectionStore
) -> None:
    for name in ("a", "b"):
        new_collection(store, name).search(np.ones(DIM), 1)
    other.delete("a")
    store.open("b")
    assert len(store._live) == 1
    store.delete("b")
    assert store._live == {}

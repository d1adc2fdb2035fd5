"""The keyword index: against a twin in memory, its place in transactions, its quality."""

import itertools
import json
import math
import sqlite3
import statistics
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text, update

from index import tables
from index.analyser import fingerprint
from index.collection import StoredCollection
from index.database import open_database, reading, writing
from index.errors import FullTextMissingError, UnknownCollectionError
from index.protocol import Item, LexicalIndex, NewDocument
from index.sqlite_file import check_connection
from index.stop_words import Language
from index.store import CollectionStore
from index.testing import FINGERPRINT, MemoryCollection, axis, store_text

WORDS = [
    "tea",
    "milk",
    "cup",
    "pot",
    "//",
    "str.join",
    "茶文化",
    "Müller",
    "\U0001e900",
    "in",
    "𞤀𞤁",
]


@pytest.fixture
def store(database: Engine) -> CollectionStore:
    return CollectionStore(database, threads=1)


def new_collection(store: CollectionStore, name: str = "notes") -> StoredCollection:
    store.create(name, embedder="e", fingerprint=FINGERPRINT, dim=7)
    return store.open(name)


def lexical_tables(database: Engine) -> list[str]:
    with reading(database) as connection:
        query = text(
            "SELECT name FROM sqlite_master WHERE name LIKE 'lexical%' OR name LIKE 'surface%'"
        )
        return list(connection.scalars(query))


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> CollectionStore:
    path = Path(tmp_path_factory.mktemp("lexical")) / "causerie.sqlite"
    engine = open_database(f"sqlite:///{path}")
    with writing(engine) as connection:
        tables.metadata.create_all(connection)
    return CollectionStore(engine, threads=1)


texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    writes=st.lists(st.tuples(st.sampled_from("uvw"), texts), max_size=8),
    query=st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join),
    k=st.integers(1, 9),
)
def test_scores_are_those_of_the_formula(
    shared_store: CollectionStore, writes: list[tuple[str, str]], query: str, k: int
) -> None:
    """BM25 with k1 = 1.2 and b = 0.75, also after rows were replaced."""
    stored, twin = new_collection(shared_store, "law"), MemoryCollection()
    try:
        for uri, words in writes:
            for collection in (stored, twin):
                num_words = len(words.split(" "))
                store_text(collection, uri, words, [axis(0)] * num_words)
        found, expected = stored.search_terms(query, 99), twin.search_terms(query, 99)
        assert {(hit.uri, hit.start) for hit in found} == {(h.uri, h.start) for h in expected}
        scores = [hit.score for hit in found]
        assert scores == pytest.approx([hit.score for hit in expected], rel=1e-9)
        assert stored.search_terms(query, k).hits == found[:k]
        terms = ["tea", "xop2f2f", "茶文", "muller", "x"]
        assert stored.term_weights(terms) == pytest.approx(twin.term_weights(terms))
    finally:
        shared_store.delete("law")


def test_a_stored_collection_is_a_lexical_index(store: CollectionStore) -> None:
    assert isinstance(new_collection(store), LexicalIndex)


def test_the_tables_go_with_their_collection(store: CollectionStore, database: Engine) -> None:
    collection = new_collection(store)
    store_text(collection, "a", "tea", [axis(0)])
    assert {"lexical_1", "surface_1", "surface_1_words", "lexical_1_state"} <= set(
        lexical_tables(database)
    )
    store.delete("notes")
    assert lexical_tables(database) == []
    for call in (lambda: collection.search_terms("tea", 1), lambda: collection.term_weights(["t"])):
        with pytest.raises(UnknownCollectionError, match="'notes' was deleted"):
            call()
    assert not new_collection(store).search_terms("tea", 1)


def test_collections_count_their_own_chunks_only(store: CollectionStore) -> None:
    a, b = new_collection(store, "a"), new_collection(store, "b")
    store_text(a, "u", "tea milk", [axis(0)] * 2)
    before = a.search_terms("tea", 9), a.term_weights(["tea"])
    for i in range(5):
        store_text(b, f"u{i}", "tea", [axis(0)])
    assert (a.search_terms("tea", 9), a.term_weights(["tea"])) == before


def test_a_failed_write_leaves_the_words_as_they_were(
    store: CollectionStore, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = new_collection(store)
    store_text(collection, "a", "tea", [axis(0)])

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(collection._rows._lexical, "add", fail)
    with pytest.raises(ZeroDivisionError):
        store_text(collection, "a", "milk", [axis(0)])
    assert [hit.text for hit in store.open("notes").search_terms("tea milk", 9)] == ["tea"]
    assert len(collection.search(np.ones(7), 9)) == 1
    with writing(database) as connection:
        connection.execute(text("INSERT INTO lexical_1(lexical_1) VALUES ('integrity-check')"))


def test_terms_of_an_older_analyser_are_made_anew(store: CollectionStore, database: Engine) -> None:
    collection = new_collection(store)
    items = [Item(start=0, end=5, heading_path=("Brühe",)), Item(start=6, end=10)]
    store_text(collection, "a", "café milk", [axis(0)] * 2, items=items)
    queries = ("cafe", "milk", "bruhe", "title")
    expected = [collection.search_terms(query, 9) for query in queries]
    assert all(expected)
    with writing(database) as connection:
        connection.execute(text("UPDATE lexical_1 SET lex = 'old', heading = ''"))
        connection.execute(update(tables.collections).values(analyser="terms-0"))
    renewed = store.open("notes")
    assert [renewed.search_terms(query, 9) for query in queries] == expected
    assert not renewed.search_terms("old", 9)
    with reading(database) as connection:
        assert connection.scalar(text("SELECT analyser FROM collections")) == fingerprint(
            Language.ENGLISH
        )


def test_a_long_query_is_text_and_no_syntax(store: CollectionStore) -> None:
    collection = new_collection(store)
    store_text(collection, "a", "tea milk", [axis(0)] * 2)
    assert collection.search_terms("tea " * 2000 + '" OR body:x* NEAR(' * 500, 9)[0].text == "tea"
    assert len(collection.term_weights([f"t{i}" for i in range(1200)])) == 1200


def test_a_sqlite_without_full_text_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself refuses the module here, as a build without it does."""

    def refuse(action: int, *_: object) -> int:
        is_virtual = action == sqlite3.SQLITE_CREATE_VTABLE
        return sqlite3.SQLITE_DENY if is_virtual else sqlite3.SQLITE_OK

    connection = sqlite3.connect(":memory:")
    check_connection(connection)
    other = sqlite3.connect(":memory:")
    other.set_authorizer(refuse)
    with pytest.raises(FullTextMissingError, match="without FTS5"):
        check_connection(other)
    connection.close()
    other.close()


@pytest.mark.slow
def test_the_words_alone_rank_scifact_as_well_as_a_plain_porter_table(
    store: CollectionStore, data_path: Path
) -> None:
    """Measured: nDCG@10 .703 on the 809 train queries, where FTS5's own porter reaches .701."""
    folder = data_path / "ir_scifact"
    collection = new_collection(store)
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    articles = [json.loads(line) for line in lines]
    collection.upsert_many(
        [
            NewDocument(
                uri=article["_id"],
                title=article["title"],
                media_type="text/plain",
                source_sha256="",
                text=article["text"],
                items=[Item(start=0, end=len(article["text"].encode()))],
                vectors=np.zeros((1, 7), np.float32),
            )
            for article in articles
        ],
        fingerprint=FINGERPRINT,
    )
    lines = (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    queries = {query["_id"]: query["text"] for query in map(json.loads, lines)}
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "qrels" / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query_id, uri, grade = line.split("\t")
        relevant[query_id] |= {uri} if int(grade) else set()
    gains, seconds = [], []
    discounts = [1 / math.log2(rank + 1) for rank in range(1, 11)]
    for query_id, uris in relevant.items():
        start = time.process_time()  # what others do on the machine is not ours
        hits = collection.search_terms(queries[query_id], 10)
        seconds.append(time.process_time() - start)
        gain = sum(discounts[hit.rank - 1] for hit in hits if hit.uri in uris)
        gains.append(gain / sum(itertools.islice(discounts, len(uris))))
    assert len(gains) == 809
    assert statistics.mean(gains) >= 0.69
    assert statistics.median(seconds) < 0.03  # measured: .012; the machine may be busy

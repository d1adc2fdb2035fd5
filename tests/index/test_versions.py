"""Answers as of an earlier write are those that were given then."""

import numpy as np
import pytest
from sqlalchemy import Engine

from index.errors import UnknownDocumentError
from index.inspection import Versioned
from index.protocol import Hit, Item, Metric, NewDocument
from index.store import CollectionStore

DIM = 5
QUERY = np.array([1, -1, 2, 0, 1], np.float32)


def document(uri: str, word: str, seed: int) -> NewDocument:
    text = f"{word} kettle {word}"
    return NewDocument(
        uri=uri, title=f"On {word}", media_type="", source_sha256=word, text=text,
        items=[Item(start=0, end=len(word)), Item(start=len(word) + 1, end=len(text))],
        vectors=np.random.default_rng(seed).integers(-2, 3, (2, DIM)).astype(np.float32),
    )  # fmt: skip


@pytest.fixture
def store(database: Engine) -> CollectionStore:
    store = CollectionStore(database, threads=1)
    store.create("a", embedder="e", fingerprint="f", dim=DIM, metric=Metric.INNER_PRODUCT)
    return store


def test_every_earlier_state_answers_as_it_did(store: CollectionStore) -> None:
    collection, versions = store.open("a"), store.versions("a")
    assert isinstance(versions, Versioned)
    said: dict[int, tuple[tuple[Hit, ...], list[tuple[str, int, float]]]] = {}
    steps = [("u", "copper"), ("v", "harbour"), ("u", "violin"), ("v", ""), ("w", "copper")]
    for i, (uri, word) in enumerate(steps):
        if word:
            collection.upsert_many([document(uri, word, i)], fingerprint="f")
        else:
            record = collection.find(uri)
            assert record is not None
            collection.delete(record.id)
        said[i + 1] = (
            collection.search(QUERY, 9).hits,
            [(h.uri, h.start, h.score) for h in collection.search_terms("copper kettle", 9)],
        )
    for at, (hits, words) in said.items():
        then = versions.search(QUERY, 9, at=at)
        assert then.is_complete
        assert [(h.uri, h.text, h.score) for h in then.hits] == [
            (h.uri, h.text, h.score) for h in hits
        ]
        by_words = versions.search_terms("copper kettle", 9, at=at)
        assert [(h.uri, h.start, h.score) for h in by_words.hits] == words
    first = collection.find("u")
    assert first is not None
    assert versions.get(first.id, at=1)[1] == "copper kettle copper"
    assert versions.get(first.id, at=3)[0].title == "On violin"
    assert versions.search(QUERY, 9, at=0).hits == ()
    with pytest.raises(UnknownDocumentError, match="at write 0"):
        versions.get(first.id, at=0)
    with pytest.raises(ValueError, match="writes 1 to 5, not 6"):
        versions.search(QUERY, 9, at=6)


def test_what_was_purged_is_missing_and_said_to_be(store: CollectionStore) -> None:
    collection, versions = store.open("a"), store.versions("a")
    collection.upsert_many(
        [document("u", "copper", 1), document("v", "violin", 2)], fingerprint="f"
    )
    named = versions.snapshot("before")
    assert [named] == versions.snapshots()
    record = collection.find("u")
    assert record is not None
    store.maintenance("a").purge([record.id])
    then = versions.search(QUERY, 9, at=named.seq)
    assert {hit.uri for hit in then.hits} == {"v"}
    assert then.reason == "2 chunks of that time were purged"
    assert not versions.search_terms("kettle", 9, at=named.seq).is_complete
    with pytest.raises(ValueError, match="needs a name"):
        versions.snapshot("")

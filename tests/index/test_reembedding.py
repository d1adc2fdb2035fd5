"""Another embedder beside the one that serves: resumed, changed over, gone back."""

from collections.abc import Sequence

import numpy as np
import pytest
from sqlalchemy import Engine

from index.collection import StoredCollection
from index.errors import EmbedderMismatchError
from index.protocol import Item, NewDocument
from index.reembedding import NewEmbedder
from index.store import CollectionStore
from index.stored_texts import ChunkText

WORDS = ("red", "green", "blue")


def old_vector(word: str) -> np.ndarray:
    vector: np.ndarray = np.eye(3, 5, dtype=np.float32)[WORDS.index(word)]
    return vector


class Wider:
    """Seven components, the words in another order; counts what it is given."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, chunks: Sequence[ChunkText]) -> np.ndarray:
        self.seen += [chunk.text for chunk in chunks]
        return np.eye(3, 7, k=2, dtype=np.float32)[[WORDS.index(c.text) for c in chunks]]


def embedder(encode: Wider) -> NewEmbedder:
    return NewEmbedder(name="wider", fingerprint="g", dim=7, encode=encode)


def store_word(collection: StoredCollection, word: str, vector: np.ndarray, name: str) -> None:
    collection.upsert_many(
        [NewDocument(uri=word, title="", media_type="", source_sha256="", text=word,
                     items=[Item(start=0, end=len(word))], vectors=vector[None])],
        fingerprint=name,
    )  # fmt: skip


@pytest.fixture
def store(database: Engine) -> CollectionStore:
    store = CollectionStore(database, threads=1)
    store.create("a", embedder="narrow", fingerprint="f", dim=5)
    for word in WORDS[:2]:
        store_word(store.open("a"), word, old_vector(word), "f")
    return store


def test_the_old_vectors_serve_until_all_new_ones_are_there(
    store: CollectionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.reembedding._BATCH", 1)
    collection, encode = store.open("a"), Wider()
    work = store.reembedding("a")
    stops = iter([False, True])
    stopped = work.run(embedder(encode), should_stop=lambda: next(stops))
    assert (stopped.num_done, stopped.num_chunks, stopped.is_serving) == (1, 2, False)
    assert collection.search(old_vector("green"), 1)[0].uri == "green"
    store_word(collection, "blue", old_vector("blue"), "f")
    seen: list[tuple[int, int]] = []
    done = work.run(embedder(encode), on_progress=lambda *args: seen.append(args))
    assert (done.num_done, done.is_serving) == (3, True)
    assert seen[0] == (1, 3)
    assert encode.seen == list(WORDS)  # each once
    assert (store.info("a").embedder, store.info("a").dim) == ("wider", 7)
    query = np.eye(1, 7, 4)[0]
    assert collection.search(query, 1)[0].uri == "blue"
    assert collection.search(query, 1)[0].score == 1.0
    with pytest.raises(EmbedderMismatchError, match="index reembed a --model"):
        store_word(collection, "red", old_vector("red"), "f")
    assert store.maintenance("a").verify().is_clean


def test_going_back_is_one_write_unless_something_was_stored_since(store: CollectionStore) -> None:
    work = store.reembedding("a")
    with pytest.raises(EmbedderMismatchError, match="nothing to go back to"):
        work.roll_back()
    store.maintenance("a").compact()
    encode = Wider()
    work.run(embedder(encode))
    assert store.maintenance("a").verify().is_clean  # though the files are still of the old vectors
    assert work.roll_back() == "narrow"
    assert store.open("a").search(old_vector("green"), 1)[0].uri == "green"
    assert work.run(embedder(encode)).is_serving
    assert len(encode.seen) == 2  # the second time nothing was embedded
    store_word(store.open("a"), "blue", np.eye(1, 7, 4, dtype=np.float32)[0], "g")
    with pytest.raises(EmbedderMismatchError, match=r"1 chunks .* reembed a --model narrow"):
        work.roll_back()
    assert work.drop_others() == 2
    with pytest.raises(EmbedderMismatchError, match="nothing to go back to"):
        work.roll_back()
    assert len(store.open("a").search(np.ones(7), 9)) == 3
    assert store.maintenance("a").verify().is_clean


def test_vectors_of_another_shape_are_refused(store: CollectionStore) -> None:
    bad = NewEmbedder(name="b", fingerprint="b", dim=6, encode=Wider())
    with pytest.raises(ValueError, match=r"\(2, 7\)"):
        store.reembedding("a").run(bad)
    assert store.info("a").embedder == "narrow"

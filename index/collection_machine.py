"""A stored collection against one that keeps everything in a dictionary, as a state machine.

Vectors are of small whole numbers under the inner product: similarities are exact and ties common,
so that order and scores must be equal, not close. The rules write, search, seal, compact, embed
anew, purge, open the collection again and remove its files, in any order.
"""

import itertools
import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from index import tables
from index.collection import StoredCollection
from index.database import open_database, writing
from index.protocol import Item, Metric, NewDocument
from index.reembedding import NewEmbedder
from index.sealing import Sealing
from index.store import CollectionStore

DIM = 3
_URIS = st.sampled_from("uvwxyz")
_VECTORS = st.tuples(*[st.integers(-2, 2)] * DIM)
_WORDS = st.sampled_from(["copper", "kettle", "harbour", "violin"])
_CHUNKS = st.lists(st.tuples(_WORDS, _VECTORS), max_size=4)


class CollectionMachine(RuleBasedStateMachine):
    """The model is `held`: by uri the chunks (word, vector), and `order`, that of their storing."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp())
        self._database = open_database(f"sqlite:///{self._folder / 'causerie.sqlite'}")
        with writing(self._database) as connection:
            tables.metadata.create_all(connection)
        self._store = CollectionStore(self._database, threads=1)
        self._store.create("m", embedder="e", fingerprint="e", dim=DIM, metric=Metric.INNER_PRODUCT)
        self._collection: StoredCollection = self._store.open("m")
        self._held: dict[str, list[tuple[int, str, tuple[int, ...]]]] = {}
        self._clock = itertools.count()
        self._sign = 1  # the other embedder gives the opposite vectors

    def teardown(self) -> None:
        """Remove the database."""
        self._store.close()
        self._database.dispose()
        shutil.rmtree(self._folder)

    @rule(contents=st.dictionaries(_URIS, _CHUNKS, min_size=1, max_size=3))
    def upsert(self, contents: dict[str, list[tuple[str, tuple[int, ...]]]]) -> None:
        """Store documents, or replace them."""
        fingerprint = "e" if self._sign == 1 else "opposite"
        self._collection.upsert_many(
            [_document(uri, chunks, self._sign) for uri, chunks in contents.items()],
            fingerprint=fingerprint,
        )
        for uri, chunks in contents.items():
            self._held[uri] = [(next(self._clock), word, v) for word, v in chunks]

    @rule(uri=_URIS, is_purge=st.booleans())
    def delete(self, uri: str, is_purge: bool) -> None:  # hypothesis passes by name
        """Delete a document, or purge it."""
        record = self._collection.find(uri)
        assert (record is not None) == (uri in self._held)
        if record is None:
            return
        del self._held[uri]
        if is_purge:
            assert self._store.maintenance("m").purge([record.id]).is_clean
        else:
            self._collection.delete(record.id)

    @rule(fewest=st.integers(1, 6))
    def seal(self, fewest: int) -> None:
        """Write files."""
        live = self._collection._live  # noqa: SLF001  # its files, as the upkeep has them
        Sealing(self._database, live.key, live.folder, threads=1).run(fewest=fewest, wait=True)

    @rule()
    def reopen(self) -> None:
        """Forget what is in memory, as another process would not know it."""
        self._store.close()
        self._store = CollectionStore(self._database, threads=1)
        self._collection = self._store.open("m")

    @rule()
    def lose_files(self) -> None:
        """Remove all that is derived."""
        self._collection._live.folder.forget()  # noqa: SLF001

    @rule()
    def embed_anew(self) -> None:
        """Change the embedder for the other one."""
        sign = -self._sign
        vectors = {word_of(word, i, uri): v for uri, chunks in self._held.items()
                   for i, (_, word, v) in enumerate(chunks)}  # fmt: skip
        self._store.reembedding("m").run(
            NewEmbedder(
                name="e" if sign == 1 else "opposite",
                fingerprint="e" if sign == 1 else "opposite",
                dim=DIM,
                encode=lambda chunks: np.array(
                    [[sign * x for x in vectors[chunk.text]] for chunk in chunks], np.float32
                ),
            )
        )
        self._sign = sign

    @rule(query=_VECTORS, k=st.integers(1, 9))
    def search(self, query: tuple[int, ...], k: int) -> None:
        """Search by a vector."""
        hits = self._collection.search(np.array(query, np.float32), k)
        assert [(hit.score, hit.uri, hit.text) for hit in hits] == self._expected(query)[:k]

    @rule(word=_WORDS)
    def search_terms(self, word: str) -> None:
        """Search by a word: which chunks are found, not their order, which BM25 decides."""
        found = {hit.text for hit in self._collection.search_terms(word, 99)}
        assert found == {
            word_of(other, i, uri)
            for uri, chunks in self._held.items()
            for i, (_, other, _) in enumerate(chunks)
            if other == word
        }

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        """Compare the documents and all chunks."""
        assert set(self._collection.sources()) == set(self._held)
        hits = self._collection.search(np.array([1, -1, 2], np.float32), 999)
        assert [(h.score, h.uri, h.text) for h in hits] == self._expected((1, -1, 2))

    def _expected(self, query: tuple[int, ...]) -> list[tuple[float, str, str]]:
        rows = [
            (
                -float(self._sign * sum(a * b for a, b in zip(query, vector, strict=True))),
                order,
                uri,
                word_of(word, i, uri),
            )
            for uri, chunks in self._held.items()
            for i, (order, word, vector) in enumerate(chunks)
        ]
        return [(-score, uri, text) for score, _, uri, text in sorted(rows)]


def word_of(word: str, i: int, uri: str) -> str:
    """Return the text of a chunk, which tells where it stands."""
    return f"{word} {i}{uri} "


def _document(uri: str, chunks: list[tuple[str, tuple[int, ...]]], sign: int) -> NewDocument:
    texts = [word_of(word, i, uri) for i, (word, _) in enumerate(chunks)]
    ends = list(itertools.accumulate(len(text) for text in texts))
    vectors = np.array([v for _, v in chunks], np.float32).reshape(-1, DIM)
    return NewDocument(
        uri=uri,
        title=uri,
        media_type="text/plain",
        source_sha256="",
        text="".join(texts) + "tail",
        items=[Item(start=a, end=b) for a, b in zip([0, *ends], ends, strict=False)],
        vectors=sign * vectors,
    )

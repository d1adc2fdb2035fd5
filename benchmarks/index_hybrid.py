"""Words and vectors together: SciFact's quality, and the speed on a hundred thousand chunks.

The chunks are sentences of the data sets put together to some 900 characters; every sentence is
used several times, in another order and company each time, so that terms are more frequent than in
prose. Queries are other sentences, of 8 to 20 words. All vectors are drawn at random, since exact
search takes as long whatever they hold, and segments of this size are searched so. The collection
is kept in the cache folder. Times are processor times of one thread; reopening is timed by the
clock, with the file in the system's cache.
"""

import hashlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np

from api.settings import load_settings
from benchmarks.report import Figure
from benchmarks.scifact import (
    encoded,
    load_scifact,
    ndcg_and_recall,
    scifact_documents,
)
from benchmarks.sentences import distinct_sentences
from index import tables
from index.analyser import fingerprint
from index.collection import StoredCollection
from index.database import open_database, writing
from index.distance import unit_rows
from index.protocol import Item, NewDocument
from index.stop_words import Language
from index.store import CollectionStore
from rag.retriever import retrieve

NUM_CHUNKS = 100_000
CHUNK_CHARS = 900
DIM = 384
NUM_QUERIES = 300
NUM_UPSERTED = 5_000
_HELD_OUT = 2_000
_BATCH = 500
_NAME = "hybrid"


class KnownVectors:
    """An `Embedder` that has seen every text: only the search is timed."""

    name = "known"
    fingerprint = "known"
    max_tokens = 256

    def __init__(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        self.dim = vectors.shape[1]
        self._rows = dict(zip(texts, vectors, strict=True))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def encode(self, texts: Sequence[str], kind: str) -> np.ndarray:
        del kind
        return np.stack([self._rows[text] for text in texts])


def scifact(data: Path) -> list[Figure]:
    """Return the quality of both lanes and of their sum on SciFact's train queries."""
    facts = load_scifact(data)
    texts = [f"{title}\n{text}" for _, title, text in facts.articles]
    queries = list(facts.queries.values())
    vectors, asked = encoded(texts, "scifact"), encoded(queries, "scifact-queries")
    embedder = KnownVectors(queries, asked)
    with tempfile.TemporaryDirectory() as folder:
        store = _new_store(Path(folder), vectors.shape[1])
        collection = store.open(_NAME)
        for documents in _batched(scifact_documents(facts, vectors)):
            collection.upsert_many(documents, fingerprint="known")

        def by_words(query: str) -> list[str]:
            plain = facts.queries[query].replace('"', " ")  # as `retrieve` asks
            return [hit.uri for hit in collection.search_terms(plain, 100)]

        def by_vector(query: str) -> list[str]:
            vector = embedder.encode([facts.queries[query]], "query")[0]
            return [hit.uri for hit in collection.search(vector, 100)]

        def by_both(query: str) -> list[str]:
            found = retrieve(
                facts.queries[query], collection, name=_NAME, embedder=embedder, k=10, priors={}
            )
            return [passage.uri for passage in found.passages]

        words, dense = ndcg_and_recall(facts, by_words), ndcg_and_recall(facts, by_vector)
        both = ndcg_and_recall(facts, by_both)
        store.close()
    num = len(facts.queries)
    rows = (
        ("words: nDCG@10", words[0], 0.70),
        ("words: R@100", words[1], 0.93),
        ("vectors: nDCG@10", dense[0], None),
        ("vectors: R@100", dense[1], None),
        ("both: nDCG@10", both[0], 0.695),
    )
    figures = [
        Figure(
            name=f"SciFact, {name}",
            value=float(np.mean(values)),
            unit=f"mean of {num} queries",
            spread=_interval(values),
            target=target,
        )
        for name, values, target in rows
    ]
    for figure in figures:
        print(f"{figure.name}: {figure.value:.4f} {figure.spread}", flush=True)
    return figures


def hybrid(data: Path, num: int = NUM_CHUNKS) -> list[Figure]:
    """Return how long searches of many chunks take, and what writing and reopening them costs."""
    sentences = distinct_sentences(data)
    asked = [s for s in sentences[-_HELD_OUT:] if 8 <= len(s.split()) <= 20][:NUM_QUERIES]
    draws = np.random.default_rng(8)
    vectors = unit_rows(draws.standard_normal((num + len(asked), DIM), np.float32))
    embedder = KnownVectors(asked, vectors[num:])
    pool = sentences[:-_HELD_OUT]
    figures = [_upserts(pool, vectors)]
    folder = load_settings().home / "benchmark-index" / _digest(pool, num)
    if not (folder / "whole").is_file():
        _fill(folder, pool, vectors[:num])
    figures.append(
        Figure(
            name="bytes on disk of a chunk, its text and vector among them",
            value=sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / num,
            unit="bytes",
            higher_is_better=False,
        )
    )
    began = time.perf_counter()
    store = CollectionStore(open_database(f"sqlite:///{folder}/a.sqlite"), threads=1)
    collection = store.open(_NAME)
    _ask(collection, asked[0], embedder)
    reopened = time.perf_counter() - began
    figures.append(
        Figure(
            name=f"reopening {num} chunks, with the first search",
            value=reopened,
            unit="s",
            target=5.0,
            higher_is_better=False,
        )
    )
    figures += _times(collection, asked, embedder, num)
    store.close()
    for figure in figures:
        print(f"{figure.name}: {figure.value:.2f} {figure.unit}", flush=True)
    return figures


@contextmanager
def kept_collection(data: Path, num: int) -> Iterator[tuple[StoredCollection, list[str]]]:
    """Give the collection of `num` chunks, from the cache where it is, and what can be asked."""
    sentences = distinct_sentences(data)
    asked = [s for s in sentences[-_HELD_OUT:] if 8 <= len(s.split()) <= 20][:NUM_QUERIES]
    pool = sentences[:-_HELD_OUT]
    folder = load_settings().home / "benchmark-index" / _digest(pool, num)
    if not (folder / "whole").is_file():
        draws = np.random.default_rng(8)
        rows = draws.standard_normal((num + len(asked), DIM), np.float32)
        _fill(folder, pool, unit_rows(rows)[:num])
    store = CollectionStore(open_database(f"sqlite:///{folder}/a.sqlite"), threads=1)
    yield store.open(_NAME), asked
    store.close()


def _times(
    collection: StoredCollection, asked: Sequence[str], embedder: KnownVectors, num: int
) -> list[Figure]:
    lanes = {
        "words": lambda q: collection.search_terms(q, 10),
        "vectors": lambda q: collection.search(embedder.encode([q], "query")[0], 10),
        "words, vectors and fusion": lambda q: _ask(collection, q, embedder),
    }
    figures = []
    for name, search in lanes.items():
        times = []
        for query in asked:
            began = time.thread_time()
            search(query)
            times.append(1000 * (time.thread_time() - began))
        for percentile in (50, 95):
            wanted = 50.0 if percentile == 95 and "fusion" in name else None
            figures.append(
                Figure(
                    name=f"{name}, {num} chunks: p{percentile}",
                    value=float(np.percentile(times, percentile)),
                    unit="ms",
                    target=wanted,
                    higher_is_better=False,
                )
            )
    return figures


def _ask(collection: StoredCollection, query: str, embedder: KnownVectors) -> object:
    return retrieve(query, collection, name=_NAME, embedder=embedder, k=10, priors={})


def _upserts(pool: Sequence[str], vectors: np.ndarray) -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        store = _new_store(Path(folder), vectors.shape[1])
        collection = store.open(_NAME)
        began = time.perf_counter()
        for documents in _batched(_documents(pool, vectors[:NUM_UPSERTED])):
            collection.upsert_many(documents, fingerprint="known")
        seconds = time.perf_counter() - began
        store.close()
    return Figure(
        name=f"chunks stored a second, in transactions of {_BATCH}",
        value=NUM_UPSERTED / seconds,
        unit="chunks/s",
    )


def _fill(folder: Path, pool: Sequence[str], vectors: np.ndarray) -> None:
    """Write the collection; one that was interrupted goes on where it was."""
    folder.mkdir(parents=True, exist_ok=True)
    store = _new_store(folder, vectors.shape[1])
    collection = store.open(_NAME)
    known = len(collection.sources())
    for number, documents in enumerate(_batched(_documents(pool, vectors))):
        if (number + 1) * _BATCH > known:
            collection.upsert_many(documents, fingerprint="known")
            print(f"\rstored {(number + 1) * _BATCH}", end="", flush=True)
    print()
    store.close()
    (folder / "whole").touch()


def _new_store(folder: Path, dim: int) -> CollectionStore:
    database = open_database(f"sqlite:///{folder}/a.sqlite")
    with writing(database) as connection:
        tables.metadata.create_all(connection)
    store = CollectionStore(database, threads=1)
    if _NAME not in [info.name for info in store.list()]:
        store.create(_NAME, embedder="known", fingerprint="known", dim=dim)
    return store


def _documents(pool: Sequence[str], vectors: np.ndarray) -> Iterator[NewDocument]:
    for i, text in enumerate(islice(made_chunks(pool), len(vectors))):
        yield NewDocument(
            uri=f"{i:06}",
            title="",
            media_type="text/plain",
            source_sha256="",
            text=text,
            items=[Item(start=0, end=len(text.encode()))],
            vectors=vectors[i : i + 1],
        )


def made_chunks(pool: Sequence[str]) -> Iterator[str]:
    """Yield chunks of sentences, without end and always the same."""
    draws = np.random.default_rng(1)
    parts: list[str] = []
    length = 0
    while True:
        for i in draws.permutation(len(pool)).tolist():
            parts.append(pool[i])
            length += len(pool[i]) + 1
            if length >= CHUNK_CHARS:
                yield " ".join(parts)
                parts, length = [], 0


def _batched(
    documents: Sequence[NewDocument] | Iterator[NewDocument],
) -> Iterator[list[NewDocument]]:
    left = iter(documents)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of a mean, by the bootstrap."""
    draws = np.random.default_rng(8)
    means = np.array(values)[draws.integers(0, len(values), (1000, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _digest(pool: Sequence[str], num: int) -> str:
    """Name the collection by what makes its rows, and by the schema that holds them."""
    schema = sorted(
        f"{table.name}.{column.name}"
        for table in tables.metadata.tables.values()
        for column in table.c
    )
    made_of = f"{len(pool)} {pool[0]} {pool[-1]} {num} {fingerprint(Language.ENGLISH)} {schema}"
    return hashlib.blake2b(made_of.encode(), digest_size=8).hexdigest()

"""A stored collection, through any sequence of writes, against one that keeps everything in a list.

Vectors are of small whole numbers under the inner product: all similarities are exact and ties are
common, so that order and scores must be equal, not close.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from index import tables
from index.database import open_database, writing
from index.protocol import Item, Metric, NewDocument
from index.store import CollectionStore

DIM = 3
ALPHABET = "aé茶🍵 "

vector = st.tuples(*[st.integers(-2, 2)] * DIM)
chunk = st.tuples(st.text(ALPHABET, min_size=1, max_size=4), vector)
upsert = st.tuples(
    st.just("upsert"),
    st.dictionaries(st.sampled_from("uvwx"), st.lists(chunk, max_size=4), min_size=1, max_size=3),
)
delete = st.tuples(st.just("delete"), st.sampled_from("uvwx"))
search = st.tuples(st.just("search"), vector, st.integers(1, 9))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[CollectionStore]]:
    """Two stores on one file; one database for all examples, as syncing to the disk takes time."""
    url = f"sqlite:///{Path(tmp_path_factory.mktemp('model')) / 'causerie.sqlite'}"
    engines: list[Engine] = [open_database(url) for _ in range(2)]
    with writing(engines[0]) as connection:
        tables.metadata.create_all(connection)
    yield [CollectionStore(engine, threads=1) for engine in engines]
    for engine in engines:
        engine.dispose()


def to_document(uri: str, chunks: list[tuple[str, tuple[int, ...]]]) -> NewDocument:
    ends = list(itertools.accumulate(len(word.encode()) for word, _ in chunks))
    return NewDocument(
        uri=uri,
        title=uri,
        media_type="text/plain",
        source_sha256="",
        text="".join(word for word, _ in chunks) + "tail",
        items=[Item(start=a, end=b) for a, b in zip([0, *ends], ends, strict=False)],
        vectors=np.array([v for _, v in chunks], np.float32).reshape(-1, DIM),
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(operations=st.lists(upsert | delete | search, max_size=10))
def test_every_search_is_that_of_the_model(
    stores: list[CollectionStore], operations: list[tuple[Any, ...]]
) -> None:
    stores[0].create("model", embedder="e", fingerprint="f", dim=DIM, metric=Metric.INNER_PRODUCT)
    try:
        run(stores, [*operations, ("search", (1, -1, 2), 99)])
    finally:
        stores[1].delete("model")


def run(stores: list[CollectionStore], operations: list[tuple[Any, ...]]) -> None:
    model: list[tuple[str, str, tuple[int, ...]]] = []
    handles = itertools.cycle([store.open("model") for store in stores])
    for kind, *arguments in operations:
        collection = next(handles)
        if kind == "upsert":
            (contents,) = arguments
            collection.upsert_many(
                [to_document(uri, chunks) for uri, chunks in contents.items()], fingerprint="f"
            )
            model = [row for row in model if row[0] not in contents]
            model += [(uri, word, v) for uri, chunks in contents.items() for word, v in chunks]
        elif kind == "delete":
            (uri,) = arguments
            record = collection.find(uri)
            if record is not None:
                collection.delete(record.id)
            model = [row for row in model if row[0] != uri]
        else:
            query, k = arguments
            scored = [
                (float(sum(a * b for a, b in zip(query, v, strict=True))), uri, word)
                for uri, word, v in model
            ]
            scored.sort(key=lambda row: -row[0])
            hits = collection.search(np.array(query, np.float32), k)
            assert [(hit.score, hit.uri, hit.text) for hit in hits] == scored[:k]
            assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))

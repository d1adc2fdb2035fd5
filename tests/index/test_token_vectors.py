"""Token vectors of chunks: values, pooling, what is stored with a chunk and goes with it."""

from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import Engine, update

from index.database import writing
from index.inspection import ProblemKind
from index.protocol import Item, NewDocument
from index.store import CollectionStore
from index.tables import token_vectors
from index.testing import FINGERPRINT
from index.token_pooling import pooled
from index.token_vectors import Span, TokenVectors

DIM, MOST = 5, 3


@pytest.fixture
def store(database: Engine) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1)
    for name, most in (("kept", MOST), ("plain", 0)):
        store.create(name, embedder="e", fingerprint=FINGERPRINT, dim=DIM, token_vectors=most)
    yield store
    store.close()


def tokens(seed: int, count: int = MOST, dim: int = DIM) -> TokenVectors:
    return TokenVectors.of(np.random.default_rng(seed).standard_normal((count, dim)))


def document(uri: str, *brought: TokenVectors, has_some: bool = True) -> NewDocument:
    text = "some wordsmore words"
    rng = np.random.default_rng(len(uri))
    return NewDocument(
        uri=uri, title="", media_type="", source_sha256="", text=text,
        items=[Item(start=0, end=10), Item(start=10, end=20)],
        vectors=rng.standard_normal((2, DIM)).astype(np.float32),
        token_vectors=brought if has_some else None,
    )  # fmt: skip


def test_vectors_are_rounded_by_half_a_step_at_most() -> None:
    x = np.random.default_rng(0).standard_normal((7, 11))
    kept = TokenVectors.of(x)
    assert kept.codes.dtype == np.int8
    assert np.abs(kept.floats() - x).max() <= kept.scale * 0.501
    assert TokenVectors.of(np.zeros((1, 2))).floats().tolist() == [[0, 0]]


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.full((1, 3), np.nan), np.zeros((3, 0))])
def test_what_is_no_vector_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="token vector"):
        TokenVectors.of(bad)


def test_pooling_joins_what_is_alike() -> None:
    rng = np.random.default_rng(1)
    centres = np.linalg.qr(rng.standard_normal((8, 8)))[0][:4]
    x = np.repeat(centres, 10, axis=0) + rng.standard_normal((40, 8)) * 0.02
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    few = pooled(x[rng.permutation(40)], 4)
    assert few.shape == (4, 8)
    assert np.allclose(np.linalg.norm(few, axis=1), 1, atol=1e-5)
    assert (few @ centres.T).max(axis=0).min() > 0.99
    assert np.array_equal(pooled(x[:3], 4), x[:3])
    with pytest.raises(ValueError, match="most >= 1"):
        pooled(x, 0)


def test_they_are_read_back_by_document_and_span(store: CollectionStore) -> None:
    collection = store.open("kept")
    first, second = tokens(1), tokens(2, count=1)
    record = collection.upsert_many([document("a", first, second)], fingerprint=FINGERPRINT)[0]
    spans = [
        Span(record.id, 0, 10),
        Span(record.id, 10, 20),
        Span(record.id, 0, 20),
        Span("", 0, 1),
    ]
    found = collection.token_vectors(spans)
    assert list(found) == spans[:2]
    assert np.array_equal(found[spans[0]].floats(), first.floats())
    assert np.array_equal(found[spans[1]].floats(), second.floats())
    assert store.info("kept").token_vectors == MOST
    assert store.info("plain").token_vectors == 0
    assert store.token_bytes("kept") == (MOST + 1) * DIM
    assert store.maintenance("kept").stats().token_bytes == (MOST + 1) * DIM


def test_they_go_with_their_chunk(store: CollectionStore) -> None:
    collection = store.open("kept")
    first, second = (document("a", tokens(seed), tokens(seed + 1)) for seed in (1, 5))
    collection.upsert_many([first], fingerprint=FINGERPRINT)
    record = collection.upsert_many([second], fingerprint=FINGERPRINT)[0]
    assert store.token_bytes("kept") == 2 * MOST * DIM
    collection.delete(record.id)
    assert store.token_bytes("kept") == 0
    assert collection.token_vectors([Span(record.id, 0, 10)]) == {}


@pytest.mark.parametrize(
    "brought",
    [(), (tokens(1),), (tokens(1), tokens(2, count=MOST + 1)), (tokens(1), tokens(2, dim=DIM + 1))],
)
def test_a_document_brings_what_its_collection_keeps(
    store: CollectionStore, brought: tuple[TokenVectors, ...]
) -> None:
    collection = store.open("kept")
    with pytest.raises(ValueError, match="keeps 1 to 3 token vectors of 5 components of each"):
        collection.upsert_many([document("a", *brought)], fingerprint=FINGERPRINT)
    with pytest.raises(ValueError, match="but brings"):
        collection.upsert_many([document("a", has_some=False)], fingerprint=FINGERPRINT)
    assert collection.count() == 0  # the whole write was taken back


def test_a_collection_that_keeps_none_takes_none(store: CollectionStore) -> None:
    with pytest.raises(ValueError, match="its collection keeps none"):
        store.open("plain").upsert_many(
            [document("a", tokens(1), tokens(2))], fingerprint=FINGERPRINT
        )


@pytest.mark.parametrize("most", [-1, 513])
def test_a_number_out_of_bounds_is_refused(store: CollectionStore, most: int) -> None:
    with pytest.raises(ValueError, match=r"token_vectors must be in \[0, 512\]"):
        store.create("x", embedder="e", fingerprint="f", dim=2, token_vectors=most)


def test_damage_is_found_and_not_served(store: CollectionStore, database: Engine) -> None:
    collection = store.open("kept")
    new = document("a", tokens(1), tokens(2))
    record = collection.upsert_many([new], fingerprint=FINGERPRINT)[0]
    assert store.maintenance("kept").verify().problems == ()
    with writing(database) as connection:
        connection.execute(update(token_vectors).values(codes=bytes(MOST * DIM)))
    problems = store.maintenance("kept").repair().problems
    assert [(problem.kind, problem.uri) for problem in problems] == [(ProblemKind.VECTOR, "a")] * 2
    assert "token vectors of chunk" in problems[0].what
    assert collection.token_vectors([Span(record.id, 0, 10)]) == {}
    collection.upsert_many([new], fingerprint=FINGERPRINT)
    assert store.maintenance("kept").verify().problems == ()
    with writing(database) as connection:
        connection.execute(token_vectors.delete())
    assert "has no token vectors" in store.maintenance("kept").verify().problems[0].what

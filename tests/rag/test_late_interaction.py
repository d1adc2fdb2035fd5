"""Late interaction: MaxSim, its order, and what ingest stores for it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from index.database import open_database, writing
from index.store import CollectionStore
from index.tables import metadata
from index.token_vectors import Span, TokenVectors
from rag.document import Document, Passage
from rag.embedder import Embedder
from rag.ingest import Ingestor
from rag.ingest_report import Outcome
from rag.late_interaction import LateInteraction, max_sim, most_vectors, passage_tokens
from rag.reranker import Reranker
from rag.testing import HashingEmbedder, RerankerContract, passage

EMBEDDER = HashingEmbedder(dim=256)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'causerie.sqlite'}")
    with writing(engine) as connection:
        metadata.create_all(connection)
    yield engine
    engine.dispose()


class Remembered:
    """A collection of the passages it is given; `left_out` have no vectors."""

    def __init__(self, passages: Sequence[Passage], left_out: Sequence[int] = ()) -> None:
        kept = [p for i, p in enumerate(passages) if i not in left_out]
        texts = [p.chunk.text for p in kept]
        stored = passage_tokens(EMBEDDER, texts, 32)
        self.stored = dict(zip(map(span, kept), stored, strict=True))

    def token_vectors(self, spans: Sequence[Span]) -> Mapping[Span, TokenVectors]:
        return {each: self.stored[each] for each in spans if each in self.stored}


def span(found: Passage) -> Span:
    return Span(found.document_id, found.chunk.start, found.chunk.end)


class TestLateInteraction(RerankerContract):
    """On a double that hashes words."""

    @pytest.fixture
    def reranker(self, found: list[Passage]) -> Reranker:
        """Return a reranker over the passages of the contract."""
        return LateInteraction(EMBEDDER, lambda _: Remembered(found))


def test_the_score_is_the_mean_of_the_best_cosines() -> None:
    rng = np.random.default_rng(0)
    query = rng.standard_normal((4, 6)).astype(np.float32)
    found = [TokenVectors.of(rng.standard_normal((m, 6))) for m in (3, 1, 5)]
    slow = [np.mean([max(float(t @ v) for v in each.floats()) for t in query]) for each in found]
    assert np.allclose(max_sim(query, found), slow, atol=1e-5)
    assert max_sim(query, []).shape == (0,)


def test_a_passage_without_vectors_keeps_its_place() -> None:
    texts = ["dogs bark", "no vectors here", "trees grow", "the cat sleeps"]
    found = [passage(text, score=1 - i / 10, rank=i + 1) for i, text in enumerate(texts)]
    reranker = LateInteraction(EMBEDDER, lambda _: Remembered(found, left_out=[1]))
    after = reranker.rerank("the cat sleeps", found)
    assert [p.chunk.text for p in after][:2] == ["the cat sleeps", "no vectors here"]
    assert [p.rank for p in after] == [1, 2, 3, 4]


def test_a_collection_without_any_keeps_the_order_and_scores() -> None:
    found = [passage("a", score=0.9), passage("the cat", score=0.5)]
    after = LateInteraction(EMBEDDER, lambda _: Remembered([])).rerank("the cat", found)
    assert [(p.uri, p.score) for p in after] == [(p.uri, p.score) for p in found]


def test_ingest_stores_them_with_the_chunks(engine: Engine) -> None:
    store = CollectionStore(engine, threads=1)
    store.create(
        "c", embedder=EMBEDDER.name, fingerprint=EMBEDDER.fingerprint, dim=EMBEDDER.dim,
        token_vectors=most_vectors(EMBEDDER, wanted=True),
    )  # fmt: skip
    texts = ["The cat sleeps on the sofa.", "Revenue rose in March."]
    documents = [
        Document(uri=f"{i}.txt", title="", text=text, media_type="text/plain", source_sha256=str(i))
        for i, text in enumerate(texts)
    ]
    ingestor = Ingestor(store, EMBEDDER)
    assert [r.outcome for r in ingestor.ingest_documents(documents, "c")] == [Outcome.ADDED] * 2
    collection = store.open("c")
    hits = collection.search(EMBEDDER.encode(["sofa"], "query")[0], 2)
    stored = collection.token_vectors([Span(h.document_id, h.start, h.end) for h in hits])
    assert sorted(len(each.codes) for each in stored.values()) == [5, 7]
    assert store.maintenance("c").verify().problems == ()
    store.close()


class Plain:
    name, fingerprint, dim, max_tokens = "plain", "plain", 4, 9

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [1 for _ in texts]

    def encode(self, texts: Sequence[str], kind: str) -> np.ndarray:
        del kind
        return np.ones((len(texts), 4), np.float32) / 2


def test_an_embedder_without_them_is_refused_by_name(engine: Engine) -> None:
    plain: Embedder = Plain()
    with pytest.raises(ValueError, match="plain gives no vectors of tokens"):
        most_vectors(plain, wanted=True)
    assert most_vectors(plain, wanted=False) == 0
    store = CollectionStore(engine, threads=1)
    store.create("c", embedder="plain", fingerprint="plain", dim=4, token_vectors=32)
    with pytest.raises(ValueError, match="keeps token vectors, which plain does not give"):
        Ingestor(store, plain).ingest_documents([], "c")
    store.close()

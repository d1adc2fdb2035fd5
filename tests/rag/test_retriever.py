import pytest

from index.protocol import Item
from index.testing import MemoryCollection
from rag.document import sha256_hex
from rag.retriever import Retrieved, prior_of, retrieve
from rag.testing import HashingEmbedder

DIM = 256
TEXTS = {
    "guide/with": "The with statement wraps a block.",
    "library/contextlib": "The with statement wraps a block of code.",
    "library/os": "Ferns like shade and damp soil.",
}


def search(query: str, k: int = 3, priors: dict[str, float] | None = None) -> Retrieved:
    embedder = HashingEmbedder(dim=DIM)
    collection = MemoryCollection("c", fingerprint=embedder.fingerprint, dim=DIM)
    for uri, text in TEXTS.items():
        collection.upsert(
            uri=uri,
            title="a page",
            media_type="text/plain",
            source_sha256=sha256_hex(text.encode()),
            text=text,
            items=[Item(start=0, end=len(text.encode()))],
            vectors=embedder.encode([text], "passage"),
            fingerprint=embedder.fingerprint,
            metadata={},
        )
    return retrieve(query, collection, name="c", embedder=embedder, k=k, priors=priors or {})


def uris(found: Retrieved) -> list[str]:
    return [passage.uri for passage in found.passages]


def test_passages_come_best_first_with_ranks_and_their_collection() -> None:
    found = search("Do ferns like shade?")
    assert uris(found)[0] == "library/os"
    assert [passage.rank for passage in found.passages] == [1, 2, 3]
    assert {passage.collection for passage in found.passages} == {"c"}
    scores = [passage.score for passage in found.passages]
    assert scores == sorted(scores, reverse=True)


def test_no_more_than_k_passages_come_back() -> None:
    assert len(search("with statement", k=2).passages) == 2


def test_a_prior_moves_a_family_of_sources_and_leaves_the_cosine() -> None:
    query = "What wraps a block of code?"
    plain = search(query)
    moved = search(query, priors={"library/": -0.9})
    assert uris(plain)[0] == "library/contextlib"
    assert uris(moved)[0] == "guide/with"
    assert moved.nearest == pytest.approx(plain.nearest)


def test_the_longest_beginning_of_a_uri_decides_its_prior() -> None:
    priors = {"library/": -0.2, "library/os": 0.1}
    assert prior_of("library/os", priors) == 0.1
    assert prior_of("library/json", priors) == -0.2
    assert prior_of("guide/with", priors) == 0.0

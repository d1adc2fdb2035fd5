"""Passages for a query: a dense lane and a term lane, fused by one formula.

    score = cosine(query, chunk) + TERM_WEIGHT * bm25(query, chunk) / max bm25 + prior(source)

Dense search alone misses what is spelled, not meant (`__enter__`, `//`); terms alone miss
paraphrase. On the development questions about Python the sum finds a right passage first in 23 of
40 against 20 for the dense lane alone (reciprocal ranks: 16). A prior says of a family of sources,
by the beginning of its uris, how much nearer or farther it counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float

from index.protocol import Hit
from rag.document import Chunk, Passage
from rag.embedder import Embedder

TERM_WEIGHT = 0.4
_CANDIDATES_PER_PASSAGE = 12


class SearchableCollection(Protocol):
    """What retrieval needs of one collection; `index.collection.StoredCollection` has it."""

    def search(self, query: Float[np.ndarray, " d"], k: int) -> Sequence[Hit]:
        """Return the nearest chunks."""
        ...

    def search_terms(self, query: str, k: int) -> Sequence[Hit]:
        """Return the best chunks by BM25."""
        ...

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Return the inverse document frequency of each term."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """Passages best first, and the cosine of the nearest chunk (0 where there is none)."""

    passages: tuple[Passage, ...]
    nearest: float


def prior_of(uri: str, priors: Mapping[str, float]) -> float:
    """Return the prior of a source: that of the longest beginning of its uri, else 0."""
    fitting = [beginning for beginning in priors if uri.startswith(beginning)]
    return priors[max(fitting, key=len)] if fitting else 0.0


def retrieve(
    query: str,
    collection: SearchableCollection,
    *,
    name: str,
    embedder: Embedder,
    k: int,
    priors: Mapping[str, float],
) -> Retrieved:
    """Return the k best passages of both lanes; `nearest` is the cosine alone, without priors."""
    vector = embedder.encode([query], "query")[0]
    dense = collection.search(vector, k * _CANDIDATES_PER_PASSAGE)
    terms = collection.search_terms(query, k * _CANDIDATES_PER_PASSAGE)
    scores: dict[tuple[str, int, int], float] = {}
    hits = {_key(hit): hit for hit in (*terms, *dense)}
    # A chunk that only the term lane found is at most as near as the last of the dense lane.
    floor = dense[-1].score if dense else 0.0
    for hit in hits.values():
        scores[_key(hit)] = floor
    for hit in dense:
        scores[_key(hit)] = hit.score
    for hit in hits.values():
        scores[_key(hit)] += prior_of(hit.uri, priors)
    best = max((hit.score for hit in terms), default=0.0)
    if best > 0:
        for hit in terms:
            scores[_key(hit)] += TERM_WEIGHT * hit.score / best
    ranked = sorted(hits, key=lambda key: (-scores[key], key))[:k]
    return Retrieved(
        passages=tuple(
            _passage(hits[key], name, scores[key], rank) for rank, key in enumerate(ranked, start=1)
        ),
        nearest=dense[0].score if dense else 0.0,
    )


def _key(hit: Hit) -> tuple[str, int, int]:
    return hit.document_id, hit.start, hit.end


def _passage(hit: Hit, collection: str, score: float, rank: int) -> Passage:
    return Passage(
        collection=collection,
        document_id=hit.document_id,
        title=hit.title,
        uri=hit.uri,
        chunk=Chunk(start=hit.start, end=hit.end, text=hit.text, heading_path=hit.heading_path),
        score=score,
        rank=rank,
    )

"""Late interaction: each word of the query against a few stored vectors of a chunk (MaxSim).

    score(q, c) = mean over tokens t of q of max over vectors v of c of cos(t, v)
                  + RETRIEVAL_WEIGHT * the score that c was found with

(ColBERT, arXiv 2004.12832.) A chunk's token vectors are pooled to at most 32 when it is stored, and
kept as int8; reading and comparing them costs milliseconds for a hundred chunks. A collection keeps
them only if it was made so; passages without vectors of their own keep their places.

Letters: `t` tokens, `n` chunks, `d` width of a vector.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from index.token_pooling import pooled
from index.token_vectors import Span, TokenVectors
from rag.document import Passage
from rag.embedder import Embedder
from rag.reranker import ranked

MOST_VECTORS = 32
RETRIEVAL_WEIGHT = 0.5


@runtime_checkable
class TokenEncoder(Protocol):
    """Gives a vector a token; `llm.embedding.TextEncoder` does."""

    def token_vectors(
        self, texts: Sequence[str], kind: Literal["query", "passage"]
    ) -> list[Float32[np.ndarray, "t d"]]:
        """Return unit rows for each text; of a query that is too long, of all its windows."""
        ...


class TokenCollection(Protocol):
    """What reranking needs of a collection; `index.collection.StoredCollection` has it."""

    def token_vectors(self, spans: Sequence[Span], /) -> Mapping[Span, TokenVectors]:
        """Return the vectors of those chunks that have some."""
        ...


def most_vectors(embedder: Embedder, *, wanted: bool) -> int:
    """Return how many vectors a chunk of a new collection is to keep; 0 where none are wanted.

    Raises:
        ValueError: they are wanted, and the embedder gives no vectors of tokens.
    """
    if wanted and not isinstance(embedder, TokenEncoder):
        raise ValueError(
            f"{embedder.name} gives no vectors of tokens; leave token_vectors out, or use a"
            " BERT-family model with mean pooling"
        )
    return MOST_VECTORS if wanted else 0


def passage_tokens(encoder: TokenEncoder, texts: Sequence[str], most: int) -> list[TokenVectors]:
    """Return what is stored of passages: their tokens' vectors, pooled and rounded.

    Raises:
        ValueError: a passage is longer than the encoder reads.
    """
    return [TokenVectors.of(pooled(x, most)) for x in encoder.token_vectors(texts, "passage")]


def max_sim(
    query: Float32[np.ndarray, "t d"], found: Sequence[TokenVectors]
) -> Float32[np.ndarray, " n"]:
    """Return the score of each chunk: one matrix product for all, then a maximum for each."""
    if not found:
        return np.zeros(0, np.float32)
    sizes = [len(each.codes) for each in found]
    codes = np.concatenate([each.codes for each in found]).astype(np.float32)
    starts = np.cumsum([0, *sizes[:-1]])
    best = np.maximum.reduceat(query @ codes.T, starts, axis=1)
    scales = np.array([each.scale for each in found], np.float32)
    return np.asarray(best.mean(axis=0) * scales)


class LateInteraction:
    """Orders passages by MaxSim of stored token vectors; see the top of the file."""

    name = "late-interaction"

    def __init__(
        self,
        encoder: TokenEncoder,
        open_collection: Callable[[str], TokenCollection],
        *,
        weight: float = RETRIEVAL_WEIGHT,
    ) -> None:
        """Take what encodes the query, what opens a collection by its name, and the weight."""
        self._encoder = encoder
        self._open = open_collection
        self._weight = weight

    def rerank(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """Return the passages in their new order.

        Raises:
            UnknownCollectionError: a passage's collection was deleted.
        """
        found = self._stored(passages) if query.strip() else {}
        scores = [passage.score for passage in passages]
        if found:
            (asked,) = self._encoder.token_vectors([query], "query")
            similar = max_sim(asked, list(found.values())).tolist()
            for i, value in zip(found, similar, strict=True):
                scores[i] = value + self._weight * passages[i].score
        if 0 < len(found) < len(passages):
            return _in_free_places(passages, scores, set(found))
        return ranked(passages, scores)

    def _stored(self, passages: Sequence[Passage]) -> dict[int, TokenVectors]:
        by_collection: dict[str, list[int]] = defaultdict(list)
        for i, passage in enumerate(passages):
            by_collection[passage.collection].append(i)
        found: dict[int, TokenVectors] = {}
        for name, indices in by_collection.items():
            spans = [_span(passages[i]) for i in indices]
            stored = self._open(name).token_vectors(spans)
            found.update(
                (i, stored[span]) for i, span in zip(indices, spans, strict=True) if span in stored
            )
        return found


def _span(passage: Passage) -> Span:
    return Span(passage.document_id, passage.chunk.start, passage.chunk.end)


def _in_free_places(
    passages: Sequence[Passage], scores: Sequence[float], scored: Set[int]
) -> list[Passage]:
    """Reorder those that have scores among themselves; all scores then say the order alone."""
    best = iter(sorted(sorted(scored), key=lambda i: -scores[i]))
    order = [next(best) if i in scored else i for i in range(len(passages))]
    return ranked([passages[i] for i in order], [float(-place) for place in range(len(order))])

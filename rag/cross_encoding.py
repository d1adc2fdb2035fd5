"""Reranking by a cross-encoder, which reads query and passage together."""

from collections.abc import Sequence
from typing import Protocol

from rag.document import Passage
from rag.reranker import ranked


class PairScorer(Protocol):
    """Says how well texts answer a query; `llm.cross_encoder.CrossEncoderModel` does."""

    def score_pairs(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return a score for each text, higher for a better answer."""
        ...


class CrossEncoding:
    """Orders passages by a cross-encoder's scores of title and text."""

    name = "cross-encoder"

    def __init__(self, scorer: PairScorer) -> None:
        self._scorer = scorer

    def rerank(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """Return the passages in their new order."""
        texts = [f"{passage.title}\n{passage.chunk.text}".strip() for passage in passages]
        return ranked(passages, self._scorer.score_pairs(query, texts))

"""The reranker over a cross-encoder keeps the contract."""

import re
from collections.abc import Sequence

import pytest

from rag.cross_encoding import CrossEncoding
from rag.reranker import Reranker
from rag.testing import RerankerContract


class SharedWords:
    """A `PairScorer` that counts the words that query and text share."""

    def score_pairs(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return how many words of the query each text has."""
        wanted = set(re.findall(r"\w+", query.lower()))
        return [float(len(wanted & set(re.findall(r"\w+", text.lower())))) for text in texts]


class TestCrossEncoding(RerankerContract):
    """Under a double that counts shared words."""

    @pytest.fixture
    def reranker(self) -> Reranker:
        """Return a reranker over the double."""
        return CrossEncoding(SharedWords())

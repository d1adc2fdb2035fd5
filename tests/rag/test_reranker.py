"""Rerankers: the contract, and the likelihood of the question."""

import pytest

from rag.reranker import QueryLikelihood, Reranker, ranked
from rag.testing import RerankerContract, SharedWordScorer, passage


class TestQueryLikelihood(RerankerContract):
    """Under a double that counts shared words."""

    @pytest.fixture
    def reranker(self) -> Reranker:
        """Return a reranker over the double."""
        return QueryLikelihood(SharedWordScorer())


def test_equals_stay_in_the_order_they_came_in() -> None:
    """An order is not changed without a reason."""
    found = [passage("a"), passage("b"), passage("c")]
    assert [p.chunk.text for p in ranked(found, [1.0, 2.0, 1.0])] == ["b", "a", "c"]


def test_a_question_of_spaces_changes_nothing() -> None:
    """There is nothing to score."""
    found = [passage("a"), passage("b")]
    after = QueryLikelihood(SharedWordScorer()).rerank("  ", found)
    assert [p.uri for p in after] == [p.uri for p in found]

"""MMR beside the obvious way to compute it."""

import numpy as np
import pytest

from index.distance import unit_rows
from rag.diversity import marginal_order


def slow(relevance: list[float], vectors: np.ndarray, share: float) -> list[int]:
    low, high = min(relevance), max(relevance)
    scores = [(value - low) / (high - low) for value in relevance]
    chosen: list[int] = []
    while len(chosen) < len(scores):
        worth = {
            i: share * scores[i]
            - (1 - share) * max((float(vectors[i] @ vectors[j]) for j in chosen), default=0.0)
            for i in range(len(scores))
            if i not in chosen
        }
        chosen.append(max(worth, key=lambda i: (worth[i], -i)))
    return chosen


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_it_is_the_formula(share: float) -> None:
    draws = np.random.default_rng(3)
    vectors = unit_rows(np.abs(draws.standard_normal((12, 5), np.float32)))
    relevance = draws.random(12).tolist()
    assert marginal_order(relevance, vectors, share=share) == slow(relevance, vectors, share)


def test_a_copy_comes_after_what_is_new() -> None:
    vectors = np.eye(2, dtype=np.float32)[[0, 0, 1]]
    assert marginal_order([1.0, 0.9, 0.8], vectors, share=0.5) == [0, 2, 1]


def test_nothing_and_equals_keep_their_order() -> None:
    assert marginal_order([], np.zeros((0, 2), np.float32), share=0.5) == []
    assert marginal_order([1.0, 1.0], np.eye(2, dtype=np.float32), share=0.5) == [0, 1]

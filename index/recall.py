"""How much of the truth a search finds, with an interval.

Letters: `b` queries, `k` neighbours.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float64

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """A mean over queries; `low` and `high` are each the bound of one side at the confidence."""

    value: float
    low: float
    high: float
    num_queries: int
    k: int


def recall_of(
    scores: Float64[np.ndarray, "b k"],
    true_scores: Float64[np.ndarray, "b k"],
    *,
    confidence: float = 0.95,
) -> Recall:
    """Return the share of answers as near as the k-th true neighbour of their query.

    Counted by similarity, so that an answer as good as a true one is not held against a search.
    The bounds are Wilson's, with as many trials as the answers are worth: those of one query
    succeed and fail together.

    Raises:
        ValueError: the shapes differ or are empty, or `confidence` is not between .5 and 1.
    """
    if scores.shape != true_scores.shape or not scores.size:
        raise ValueError(f"cannot compare scores of {scores.shape} with {true_scores.shape}")
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence must be at least .5 and below 1, got {confidence}")
    kth = true_scores.min(axis=1, keepdims=True)
    shares = (scores >= kth - _ROUNDING * np.maximum(1.0, np.abs(kth))).mean(axis=1)
    b, k = scores.shape
    value = float(shares.mean())
    worth = float(k)  # of one query's answers, in answers, when nothing is known
    if 0 < value < 1:
        worth = min(max(float(shares.var()) * k / (value * (1 - value)), 1.0), worth)
    low, high = _wilson(value, b * k / worth, NormalDist().inv_cdf(confidence))
    return Recall(value=value, low=low, high=high, num_queries=b, k=k)


def _wilson(share: float, num: float, z: float) -> tuple[float, float]:
    centre = share + z * z / (2 * num)
    half = z * math.sqrt(share * (1 - share) / num + z * z / (4 * num * num))
    scale = 1 + z * z / num
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)

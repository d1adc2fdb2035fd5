"""Maximal marginal relevance: each next passage is near the question and unlike those before it.

    next = argmax over what is left of  share * relevance - (1 - share) * max cosine to the chosen

(Carbonell and Goldstein 1998, eq. 1; relevance is the passages' score mapped onto 0..1.)

Letters: `n` passages, `d` width of a vector.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def marginal_order(
    relevance: Sequence[float], vectors: Float[np.ndarray, "n d"], *, share: float
) -> list[int]:
    """Return the numbers of all passages in the order in which they are chosen.

    The rows are unit vectors. With a share of 1 the order is that of the relevance.
    """
    if not len(relevance):
        return []
    scores = np.asarray(relevance, np.float64)
    spread = float(np.ptp(scores))
    scores = (scores - scores.min()) / spread if spread > 0 else np.ones(len(scores))
    likeness = vectors @ vectors.T
    nearest = np.zeros(len(scores))
    left = list(range(len(scores)))
    order: list[int] = []
    while left:
        worth = share * scores[left] - (1 - share) * nearest[left]
        chosen = left.pop(int(np.argmax(worth)))  # the first of equals
        order.append(chosen)
        nearest = np.maximum(nearest, likeness[chosen])
    return order

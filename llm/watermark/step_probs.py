"""Made-up distributions of a wanted entropy, to fit and to try marks on without a model.

Letters: `k` distributions.
"""

from typing import Final

import numpy as np
from jaxtyping import Float64

NUM_SYMBOLS: Final = 64
_BISECTIONS: Final = 50


def step_probs(entropy: float, num: int, rng: np.random.Generator) -> Float64[np.ndarray, "k 64"]:
    """Return distributions of this entropy in nats: the softmax of scaled normal logits.

    The scale of each is found by bisection.
    """
    logits = rng.normal(size=(num, NUM_SYMBOLS))
    low, high = np.full((num, 1), 1e-3), np.full((num, 1), 1e3)
    p = np.full(logits.shape, 1 / NUM_SYMBOLS)
    for _ in range(_BISECTIONS):
        scale = np.sqrt(low * high)
        p = _softmax(logits * scale)
        h = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1, keepdims=True)
        low, high = np.where(h > entropy, scale, low), np.where(h > entropy, high, scale)
    return p


def _softmax(logits: Float64[np.ndarray, "k 64"]) -> Float64[np.ndarray, "k 64"]:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)

"""What marks would do under other keys, tried on the likely candidates of one token.

Used to know what to expect; these words belong to no key. Letters: `v` candidates, `k` keys.
"""

import math

import numpy as np
from jaxtyping import Float64, UInt32

from llm.philox import Purpose, philox

_MASS = 0.998  # of the candidates that are looked at
_MOST = 64
_NUM_SAMPLED = 4096  # candidates times keys


def most_likely(probs: Float64[np.ndarray, " v"]) -> Float64[np.ndarray, " m"]:
    """Return the highest probabilities that make up nearly all, summing to 1."""
    kept = np.sort(probs)[::-1][:_MOST]
    kept = kept[: int(np.searchsorted(np.cumsum(kept), _MASS)) + 2]
    return kept / kept.sum()


def words_for(probs: Float64[np.ndarray, " v"], seed: int) -> UInt32[np.ndarray, "k v"]:
    """Return words of many random keys: low entropy has few candidates and varies more by key."""
    num = _NUM_SAMPLED // len(probs)
    return random_words(num * len(probs), seed, 0).reshape(num, len(probs))


def random_words(num: int, seed: int, number: int) -> UInt32[np.ndarray, " n"]:
    """Return bits that belong to no key; `number` tells draws apart."""
    counters = np.zeros((math.ceil(num / 4), 4), np.uint32)
    counters[:, 0] = np.arange(len(counters))
    counters[:, 1] = number
    counters[:, 3] = Purpose.WATERMARK
    return philox(counters, (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF)).reshape(-1)[:num]

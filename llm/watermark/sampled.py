"""What marks would do under other keys, tried on the likely candidates of one token.

Used to know what to expect; these words belong to no key. Letters: `v` candidates, `k` keys.
"""

from functools import cache

import numpy as np
from jaxtyping import Float64, UInt32

from llm.philox import Purpose, philox

_MASS = 0.998  # of the candidates that are looked at
_MOST = 64
_NUM_SAMPLED = 4096  # candidates times keys
_ROW_BITS = 16
_SPREAD_SEEDS, _SPREAD_NUMBERS = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03  # odd: neighbours lie apart


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
    """Return bits that belong to no key; `number` tells draws apart.

    They are a stretch of one long row: what is asked for at every token must cost nothing.
    """
    if num > _NUM_SAMPLED:
        raise ValueError(f"at most {_NUM_SAMPLED} words are made at once, got {num}")
    start = (seed * _SPREAD_SEEDS + number * _SPREAD_NUMBERS) % 2**64 >> 64 - _ROW_BITS
    return _row_of_words()[start : start + num]


@cache
def _row_of_words() -> UInt32[np.ndarray, " n"]:
    counters = np.zeros(((2**_ROW_BITS + _NUM_SAMPLED) // 4, 4), np.uint32)
    counters[:, 0] = np.arange(len(counters))
    counters[:, 3] = Purpose.WATERMARK
    words = philox(counters, (0, 0)).reshape(-1)
    words.flags.writeable = False
    return words

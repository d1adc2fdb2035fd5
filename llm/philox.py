"""Counter-based random bits: Philox4x32-10 (Salmon et al., SC 2011), f(key, counter) without state.

Layout used everywhere: key = (seed low, seed high); counter = (v >> 2, position, stream, purpose),
and word `v & 3` of the output belongs to `v`. So the number for a token does not depend on which
other tokens were asked for, nor on the batch, nor on what was drawn before.
"""

from enum import IntEnum

import numpy as np
from jaxtyping import Float64, Int64, UInt32

_PLAIN_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_MULTIPLIERS = (np.uint64(_PLAIN_MULTIPLIERS[0]), np.uint64(_PLAIN_MULTIPLIERS[1]))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_ROUNDS = 10
_WORD = 0xFFFFFFFF


class Purpose(IntEnum):
    """What the numbers are for, so that two uses at one position are independent."""

    DRAW = 0
    ACCEPTANCE = 1
    RESIDUAL = 2
    SEARCH = 3
    XTC_COIN = 4
    WATERMARK = 5


def philox(counters: UInt32[np.ndarray, "n 4"], key: tuple[int, int]) -> UInt32[np.ndarray, "n 4"]:
    """Return 128 random bits for each counter."""
    c0, c1, c2, c3 = (counters[:, i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0 = _MULTIPLIERS[0] * c0
        p1 = _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (p1 >> _SHIFT) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _SHIFT) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0 = (k0 + _KEY_STEPS[0]) & 0xFFFFFFFF
        k1 = (k1 + _KEY_STEPS[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def uniforms(
    values: Int64[np.ndarray, " n"],
    *,
    seed: int,
    position: int,
    stream: int = 0,
    purpose: Purpose = Purpose.DRAW,
) -> Float64[np.ndarray, " n"]:
    """Return one number in the open interval (0, 1) for each value (a token id)."""
    blocks, where = np.unique(values >> 2, return_inverse=True)
    counters = np.empty((len(blocks), 4), np.uint32)
    counters[:, 0] = blocks
    counters[:, 1] = position & 0xFFFFFFFF
    counters[:, 2] = stream
    counters[:, 3] = purpose
    words = philox(counters, (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF))
    picked = words[where, values & 3]
    # float64: in float32 the largest word would round to 1
    return (picked.astype(np.float64) + 0.5) * 2.0**-32


def uniform(
    value: int, *, seed: int, position: int, stream: int = 0, purpose: Purpose = Purpose.DRAW
) -> float:
    """Return the number of one value; see `uniforms`, than which it is many times faster."""
    c0, c1, c2, c3 = (value >> 2) & _WORD, position & _WORD, stream & _WORD, int(purpose)
    k0, k1 = seed & _WORD, (seed >> 32) & _WORD
    for _ in range(_ROUNDS):
        p0 = _PLAIN_MULTIPLIERS[0] * c0
        p1 = _PLAIN_MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _WORD, (p0 >> 32) ^ c3 ^ k1, p0 & _WORD
        k0 = (k0 + _KEY_STEPS[0]) & _WORD
        k1 = (k1 + _KEY_STEPS[1]) & _WORD
    word: int = (c0, c1, c2, c3)[value & 3]
    return (word + 0.5) * 2.0**-32


def gumbels(
    values: Int64[np.ndarray, " n"], *, seed: int, position: int, stream: int = 0
) -> Float64[np.ndarray, " n"]:
    """Return standard Gumbel noise -ln(-ln u) for each value."""
    return -np.log(-np.log(uniforms(values, seed=seed, position=position, stream=stream)))

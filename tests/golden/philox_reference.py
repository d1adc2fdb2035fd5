"""Philox of plain integers by its definition (Salmon et al., SC 2011), and a token's noise."""

import math
from functools import cache


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, ...]:
    """Return the four words of Philox4x32-10."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        h0, l0 = divmod(0xD2511F53 * c0, 2**32)
        h1, l1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = h1 ^ c1 ^ k0, l1, h0 ^ c3 ^ k1, l0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


@cache
def gumbel(v: int, *, seed: int, position: int, stream: int) -> float:
    """Return the noise of a token at an absolute position."""
    seed %= 2**64
    words = philox((v >> 2, position % 2**32, stream, 0), (seed % 2**32, seed >> 32))
    return -math.log(-math.log((words[v & 3] + 0.5) / 2**32))

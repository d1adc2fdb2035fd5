"""Keyed hashing: a secret makes sub-keys, a sub-key and a context make a seed, seeds make words.

A sub-key is six words of 32 bits, drawn from the secret by keyed BLAKE2b. A context of up to four
tokens is one block of Philox4x32-10: two words of the sub-key are its key, four are added to its
counter. Longer contexts are chained. The word of a token under a seed is laid out as in
`llm/philox.py`, so `uniforms(values, seed=..., position=0, purpose=Purpose.WATERMARK)` gives the
same numbers. Philox is a generator of high statistical quality, not a proven cryptographic one.
Letters: `k` sub-keys, `n` tokens.
"""

import hashlib
import sys
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64, Shaped, UInt32, UInt64

from llm.native.keyed_words import native_keyed_words
from llm.philox import Purpose

SUB_KEY_WORDS = 6
BLOCK_TOKENS = 4

_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_S0, _S1 = 0x9E3779B9, 0xBB67AE85
_LOW = 0xFFFFFFFF
_ROUNDS = 10

_LOW_WORD = np.uint64(_LOW)
_WORD_BITS = np.uint64(32)
_MULTIPLIERS = np.array([_M0, _M1], np.uint64)
_STEPS = np.arange(_ROUNDS, dtype=np.uint64)[:, None] * np.array([_S0, _S1], np.uint64)
_LOW_HALF, _HIGH_HALF = (0, 1) if sys.byteorder == "little" else (1, 0)
_PURPOSE = np.array(Purpose.WATERMARK, np.uint64)
_UNIT = 2.0**-32

SubKey = UInt64[np.ndarray, " 6"]
Block = tuple[int, int, int, int]


def sub_key(secret: bytes, label: str, number: int) -> SubKey:
    """Return the words of one sub-key; those of other labels or numbers tell nothing of it."""
    digest = hashlib.blake2b(
        f"{label}/{number}".encode(), key=secret, digest_size=4 * SUB_KEY_WORDS
    ).digest()
    return np.frombuffer(digest, "<u4").astype(np.uint64)


def block(counter: Block, key: tuple[int, int]) -> Block:
    """Return one block of Philox; for a single one this is faster than arrays."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _LOW, (p0 >> 32) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _S0) & _LOW, (k1 + _S1) & _LOW
    return c0, c1, c2, c3


def blocks(
    counter: Sequence[UInt64[np.ndarray, "..."]], key: Sequence[UInt64[np.ndarray, "..."]]
) -> tuple[Shaped[np.ndarray, "..."], ...]:
    """Return the four words of each block; counters and keys are broadcast against each other.

    Words have 32 bits, whatever the width of the array they come in.
    """
    shape = np.broadcast(*counter, *key).shape
    column = (2, *(1,) * len(shape))
    multipliers = _MULTIPLIERS.reshape(column)
    schedule = _schedule(key, len(shape))
    even, odd = np.empty((2, *shape), np.uint64), np.empty((2, *shape), np.uint32)
    even[0], odd[0], even[1], odd[1] = counter
    mixed = np.empty((2, *shape), np.uint32)
    # two 64-bit products, read as four halves: nothing is shifted or masked
    products = [np.empty((2, *shape), np.uint64) for _ in range(2)]
    halves = [p.view(np.uint32).reshape(2, *shape, 2)[::-1] for p in products]
    lows = [half[..., _LOW_HALF] for half in halves]
    highs = [half[..., _HIGH_HALF] for half in halves]
    for i, round_keys in enumerate(schedule):
        np.multiply(multipliers, even, products[i & 1])
        np.bitwise_xor(odd, highs[i & 1], mixed)
        np.bitwise_xor(mixed, round_keys, even)
        odd = lows[i & 1]
    return even[0], odd[0], even[1], odd[1]


def _schedule(
    key: Sequence[UInt64[np.ndarray, "..."]], num_axes: int
) -> UInt32[np.ndarray, "10 2 ..."]:
    """Return the keys of each round, of 32 bits."""
    if not key[0].ndim:
        words = np.array([[int(key[0])], [int(key[1])]], np.uint64)
    else:
        words = np.stack(key)
    words = words.reshape(2, *(1,) * (num_axes + 1 - words.ndim), *words.shape[1:])
    return (words + _STEPS.reshape(_ROUNDS, 2, *(1,) * num_axes)).astype(np.uint32)


def seed_of(context: Sequence[int], key: SubKey) -> int:
    """Return the seed of 64 bits of one context; the twin of `seeds_of`."""
    k = [int(word) for word in key]
    state = (k[0], k[1])
    for start in range(0, max(len(context), 1), BLOCK_TOKENS):
        part = [*context[start : start + BLOCK_TOKENS], 0, 0, 0, 0]
        c0, c1, c2, c3 = (part[i] ^ k[2 + i] for i in range(BLOCK_TOKENS))
        out = block((c0, c1, c2, c3), state)
        state = (out[0], out[1])
    return state[0] | state[1] << 32


def seeds_of(
    contexts: Int64[np.ndarray, "n h"], keys: UInt64[np.ndarray, "k 6"]
) -> UInt64[np.ndarray, "k n"]:
    """Return the seed of each context under each sub-key."""
    return _chained(contexts.T.astype(np.uint64), keys.T[:, :, None])


def seeds_of_each(
    contexts: Int64[np.ndarray, "k h"], keys: UInt64[np.ndarray, "k 6"]
) -> UInt64[np.ndarray, " k"]:
    """Return the seed of each context under the sub-key of its own."""
    return _chained(contexts.T.astype(np.uint64), keys.T)


def _chained(
    tokens: UInt64[np.ndarray, "h n"], key: UInt64[np.ndarray, "6 ..."]
) -> UInt64[np.ndarray, "..."]:
    state = [key[0], key[1]]
    none = np.zeros(tokens.shape[1], np.uint64)
    for start in range(0, max(len(tokens), 1), BLOCK_TOKENS):
        part = [*tokens[start : start + BLOCK_TOKENS], none, none, none, none]
        counter = [part[i] ^ key[2 + i] for i in range(BLOCK_TOKENS)]
        out = blocks(counter, state)
        state = [word.astype(np.uint64) for word in out[:2]]
    return state[0] | state[1] << _WORD_BITS


def words_of(
    token_ids: Int64[np.ndarray, "..."], seeds: UInt64[np.ndarray, "..."]
) -> UInt32[np.ndarray, "..."]:
    """Return the word of each token under its seed; the shapes are broadcast."""
    native = native_keyed_words()
    return twin_words_of(token_ids, seeds) if native is None else native.words(token_ids, seeds)


def twin_words_of(
    token_ids: Int64[np.ndarray, "..."], seeds: UInt64[np.ndarray, "..."]
) -> UInt32[np.ndarray, "..."]:
    """Return the same as `words_of` does, without compiled code."""
    ids = token_ids.astype(np.uint64)
    zero = np.zeros((), np.uint64)
    out = blocks(
        (ids >> np.uint64(2), zero, zero, _PURPOSE),
        (np.asarray(seeds & _LOW_WORD), np.asarray(seeds >> _WORD_BITS)),
    )
    is_odd = (token_ids & 1) != 0
    words = np.where(
        token_ids & 2, np.where(is_odd, out[3], out[2]), np.where(is_odd, out[1], out[0])
    )
    return words.astype(np.uint32)


def words_of_all(size: int, seeds: UInt64[np.ndarray, "..."]) -> UInt32[np.ndarray, "... v"]:
    """Return the words of the tokens 0 to `size` - 1, four from each block; see `words_of`."""
    zero = np.zeros((), np.uint64)
    out = blocks(
        (np.arange((size + 3) // 4, dtype=np.uint64), zero, zero, _PURPOSE),
        (np.asarray(seeds & _LOW_WORD)[..., None], np.asarray(seeds >> _WORD_BITS)[..., None]),
    )
    words = np.stack([word.astype(np.uint32) for word in out], axis=-1)
    return words.reshape(*words.shape[:-2], -1)[..., :size]


def units_of(words: UInt32[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """Return a number of the open interval (0, 1) for each word."""
    return (words.astype(np.float64) + 0.5) * _UNIT

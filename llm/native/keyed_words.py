"""The functions of `keyed_words.h` on numpy arrays. Knows addresses, no schemes."""

import ctypes
from ctypes import c_int32, c_int64, c_void_p
from functools import cache

import numpy as np
from jaxtyping import Float64, Int64, UInt32, UInt64

from llm.native.loader import load_library


class NativeKeyedWords:
    """Words of tokens and tournaments in C++; without state."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Take the compiled kernels.

        Raises:
            AttributeError: they were compiled before these functions were written.
        """
        # Without argtypes ctypes converts nothing: what is passed below is a C object already.
        self._words = library.causerie_keyed_words
        self._tournament = library.causerie_tournament
        self._words.restype = self._tournament.restype = None

    def words(
        self, token_ids: Int64[np.ndarray, "..."], seeds: UInt64[np.ndarray, "..."]
    ) -> UInt32[np.ndarray, "..."]:
        """Return the word of each token under its seed; the shapes are broadcast."""
        if seeds.size == 1 and seeds.ndim <= token_ids.ndim:
            shape, stride = token_ids.shape, 0
        else:
            shape, stride = np.broadcast_shapes(token_ids.shape, seeds.shape), 1
            seeds = np.broadcast_to(seeds, shape)
        ids = np.ascontiguousarray(np.broadcast_to(token_ids, shape), np.int64)
        seeds = np.ascontiguousarray(seeds, np.uint64)
        words = np.empty(shape, np.uint32)
        self._words(
            c_void_p(ids.ctypes.data),
            c_void_p(seeds.ctypes.data),
            c_int64(stride),
            c_int64(ids.size),
            c_void_p(words.ctypes.data),
        )
        return words

    def tournament(
        self, probs: Float64[np.ndarray, "r v"], words: UInt32[np.ndarray, "r v"], depth: int
    ) -> tuple[Float64[np.ndarray, "r v"], Float64[np.ndarray, " l"]]:
        """Return the winners' probabilities, and the mean sum of squares before each layer."""
        winners = np.array(probs, np.float64, order="C")  # a copy: it is worked on in place
        bits = np.ascontiguousarray(words, np.uint32)
        meetings = np.empty(depth)
        assert winners.shape == bits.shape
        self._tournament(
            c_void_p(winners.ctypes.data),
            c_void_p(bits.ctypes.data),
            c_int64(len(winners)),
            c_int64(winners.shape[1]),
            c_int32(depth),
            c_void_p(meetings.ctypes.data),
        )
        return winners, meetings


@cache
def native_keyed_words() -> NativeKeyedWords | None:
    """Return the compiled functions; None where they were not built."""
    library = load_library()
    if library is None or not hasattr(library, "causerie_keyed_words"):
        return None
    return NativeKeyedWords(library)

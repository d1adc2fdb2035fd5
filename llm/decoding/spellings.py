"""Which tokens contain, or begin with, given bytes; and masks of tokens as words.

Made once for a vocabulary, and then asked for each string of each request. Knows no request.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int64

from llm.decoding.phases import Mask


class Spellings:
    """The spellings of all tokens, in an order in which they can be found."""

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self.token_bytes = tuple(token_bytes)

    def containing(self, piece: bytes) -> Int64[np.ndarray, " n"]:
        """Return the tokens that have these bytes within, ascending."""
        assert piece
        text, ends = self._joined
        found: list[int] = []
        at = text.find(piece)
        while at >= 0:
            token = int(np.searchsorted(ends, at, side="right"))
            if at + len(piece) <= ends[token]:
                found.append(token)
                at = text.find(piece, int(ends[token]))
            else:
                at = text.find(piece, at + 1)
        return np.array(found, np.int64)

    def starting(self, piece: bytes) -> Int64[np.ndarray, " n"]:
        """Return the tokens that begin with these bytes."""
        assert piece
        return self.order[bisect_left(self.ranked, piece) : self._end(piece, 0)]

    def narrowed(self, piece: bytes, begin: int, end: int) -> tuple[int, int]:
        """Return the range within a range of ranks where tokens begin with these bytes."""
        low = bisect_left(self.ranked, piece, begin, end)
        return low, min(self._end(piece, low), end)

    def _end(self, piece: bytes, low: int) -> int:
        rest = piece.rstrip(b"\xff")
        if not rest:
            return len(self.ranked)
        return bisect_left(self.ranked, rest[:-1] + bytes([rest[-1] + 1]), low)

    @cached_property
    def order(self) -> Int64[np.ndarray, " v"]:
        """The tokens sorted by their bytes."""
        ids = range(len(self.token_bytes))
        return np.array(sorted(ids, key=self.token_bytes.__getitem__), np.int64)

    @cached_property
    def ranked(self) -> list[bytes]:
        """The spellings, sorted."""
        return sorted(self.token_bytes)

    @cached_property
    def _joined(self) -> tuple[bytes, Int64[np.ndarray, " v"]]:
        return b"".join(self.token_bytes), np.cumsum([len(data) for data in self.token_bytes])


def mask_of(tokens: Iterable[int] | Int64[np.ndarray, " n"], size: int) -> Mask:
    """Return the words, for `size` tokens, in which the bits of these are set."""
    bits = np.zeros((size + 31) // 32 * 32, np.uint8)
    bits[np.fromiter(tokens, np.int64)] = 1
    return np.packbits(bits, bitorder="little").view(np.int32)


def bits_of(mask: Mask, size: int) -> Bool[np.ndarray, " v"]:
    """Return a flag per token."""
    return np.unpackbits(mask.view(np.uint8), count=size, bitorder="little").view(np.bool_)

"""How much of the end of a history stood in it before, and what came next there.

Kept up to date with each token by one pass over an array, which is shorter than a vocabulary. Knows
nothing of penalties.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int32, Int64


class Repeats:
    """The earlier occurrences of the end of one history.

    Matches do not reach over a breaker.
    """

    __slots__ = ("_breakers", "_ids", "_lengths", "_size")

    def __init__(self, history: Sequence[int], breakers: Bool[np.ndarray, " v"]) -> None:
        """Take the tokens so far, and for each token whether it is a breaker."""
        self._breakers = breakers
        self._size = len(history)
        room = max(64, 2 * len(history))
        self._ids: Int32[np.ndarray, " room"] = np.zeros(room, np.int32)
        self._ids[: self._size] = history
        # _lengths[i]: how many tokens before i equal as many at the end of the history
        self._lengths: Int32[np.ndarray, " room"] = np.zeros(room, np.int32)
        self._lengths[: self._size] = self._matches(history)

    def _matches(self, history: Sequence[int]) -> list[int]:
        """Return the lengths, by the Z-algorithm on the reversed history."""
        n = len(history)
        back = list(reversed(history))
        since_breaker = next((i for i, token in enumerate(back) if self._breakers[token]), n)
        equal = [0] * n
        left = right = 0
        for i in range(1, n):
            length = min(right - i, equal[i - left]) if i < right else 0
            while i + length < n and back[length] == back[i + length]:
                length += 1
            equal[i] = length
            if i + length > right:
                left, right = i, i + length
        # What stands before place j begins, from behind, at n - j.
        return [0] + [min(equal[n - j], since_breaker) for j in range(1, n)] if n else []

    def take(self, token: int) -> None:
        """Append a token to the history."""
        n = self._size
        if n == len(self._ids):
            self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
            self._lengths = np.concatenate([self._lengths, np.zeros_like(self._lengths)])
        self._ids[n] = token
        self._size = n + 1
        if self._breakers[token]:
            self._lengths[: n + 1] = 0
            return
        same = self._ids[:n] == token
        self._lengths[1 : n + 1] = np.where(same, self._lengths[:n] + 1, 0)

    def continuations(self, least: int) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """Return the tokens that would prolong a match of `least` >= 1 tokens.

        Beside each stands the length of its longest match. Breakers are left out, tokens ascend.
        """
        lengths = self._lengths[: self._size]
        places = np.flatnonzero(lengths >= least)
        places = places[~self._breakers[self._ids[places]]]
        tokens, which = np.unique(self._ids[places], return_inverse=True)
        longest = np.zeros(len(tokens), np.int64)
        np.maximum.at(longest, which, lengths[places])
        return tokens.astype(np.int64), longest

    def fork(self) -> "Repeats":
        """Return an independent copy."""
        copy = object.__new__(Repeats)
        copy._breakers = self._breakers
        copy._size = self._size
        copy._ids = self._ids.copy()
        copy._lengths = self._lengths.copy()
        return copy

"""Contexts: the generated tokens before a position, from which its seed is made.

The first positions have no context, and one that was seen before in the same output gives no mark:
otherwise a loop would repeat the same noise, and a detector would count one coin many times.
Letters: `k` sub-keys, `n` tokens, `m` of them with a context, `h` tokens of a context.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64, UInt64

from llm.watermark.prf import SubKey, blocks, seed_of, seeds_of

SeedingKind = Literal["window", "min", "self"]
MAX_CONTEXT_WIDTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeding:
    """How the tokens before a position make its seed.

    "window" hashes the last `width` tokens in their order; of width 1 it is the left-hash. "min"
    takes the one of them whose own hash is lowest, so that edits of the others do not matter.
    "self" (arXiv 2306.04634) lets the candidate itself be one of the `width` tokens, pairs it with
    each, and takes the pair of the lowest hash.
    """

    kind: SeedingKind = "window"
    width: int = 4

    def __post_init__(self) -> None:
        if self.kind not in ("window", "min", "self"):
            raise ValueError(f"a seeding is 'window', 'min' or 'self', got {self.kind!r}")
        if not 1 <= self.width <= MAX_CONTEXT_WIDTH:
            raise ValueError(
                f"the width of a context must be in [1, {MAX_CONTEXT_WIDTH}], got {self.width}"
            )

    @property
    def num_previous(self) -> int:
        """How many tokens of an output have no context."""
        return self.width - 1 if self.kind == "self" else self.width

    @property
    def label(self) -> str:
        """What separates its hashes from those of other seedings."""
        return f"{self.kind}{self.width}"


class Contexts:
    """The contexts of one branch as it grows."""

    __slots__ = ("_current", "_key", "_recent", "_seeding", "_seen")

    def __init__(self, seeding: Seeding, key: SubKey) -> None:
        self._seeding = seeding
        self._key = key
        self._recent: tuple[int, ...] = ()
        self._seen: set[tuple[int, ...]] = set()
        self._current: tuple[int, ...] | None = None  # what tells this context from others

    @property
    def previous(self) -> tuple[int, ...]:
        """The tokens before the coming one."""
        return self._recent

    @property
    def num_seen(self) -> int:
        """How many contexts there were, the coming one not counted."""
        return len(self._seen)

    def is_fresh(self) -> bool:
        """Whether the coming token may be marked."""
        return len(self._recent) == self._seeding.num_previous and self._name() not in self._seen

    def seed(self) -> int:
        """Return the seed of the coming token; "self" has one for each candidate instead."""
        return seed_of(self._name(), self._key)

    def take(self, token: int) -> None:
        """Note a token that was taken."""
        num = self._seeding.num_previous
        if len(self._recent) == num:
            self._seen.add(self._name())
        self._recent = (*self._recent, token)[-num:] if num else ()
        self._current = None

    def fork(self, key: SubKey) -> "Contexts":
        """Return an independent copy whose seeds are made with another sub-key."""
        copy = Contexts(self._seeding, key)
        copy._recent = self._recent
        copy._seen = set(self._seen)
        return copy

    def _name(self) -> tuple[int, ...]:
        if self._current is None:
            if self._seeding.kind == "min":
                self._current = (min(self._recent, key=self._order),)
            else:
                self._current = self._recent
        return self._current

    def _order(self, token: int) -> int:
        return seed_of((token,), self._key)


def windows(token_ids: Int64[np.ndarray, " n"], num_previous: int) -> Int64[np.ndarray, "m h"]:
    """Return the previous tokens of each position that has enough of them."""
    count = max(len(token_ids) - num_previous, 0)
    return np.stack(
        [token_ids[i : i + count] for i in range(num_previous)] or [np.zeros((count, 0), np.int64)],
        axis=1,
    ).reshape(count, num_previous)


def context_seeds(
    token_ids: Int64[np.ndarray, " n"], seeding: Seeding, keys: UInt64[np.ndarray, "k 6"]
) -> UInt64[np.ndarray, "k m"]:
    """Return the seeds of a whole output, from its first position with a context."""
    before = windows(token_ids, seeding.num_previous)
    if seeding.kind != "min":
        return seeds_of(before, keys)
    tokens, which = np.unique(before, return_inverse=True)
    if not tokens.size:
        return np.zeros((len(keys), 0), np.uint64)
    own = seeds_of(tokens[:, None], keys)
    return own[:, which.reshape(before.shape)].min(axis=-1)


def pair_words(
    token_ids: Int64[np.ndarray, " n"],
    previous: Int64[np.ndarray, "n h"],
    keys: UInt64[np.ndarray, "k 6"],
) -> UInt64[np.ndarray, "k n 2"]:
    """Return the lowest hash among the pairs of each token with itself and those before it.

    The first word of two tells pairs apart, the second is the token's number.
    """
    partners = np.concatenate([token_ids[:, None], previous], axis=1).astype(np.uint64)
    own = token_ids[:, None].astype(np.uint64)
    k = keys.T[:, :, None, None]
    out = blocks((own ^ k[2], partners ^ k[3], k[4] ^ np.uint64(1), k[5]), (k[0], k[1]))
    order = out[0].astype(np.uint64) << np.uint64(32) | out[1]
    lowest = order.argmin(axis=-1)[..., None]
    picked = [
        np.take_along_axis(words, lowest, axis=-1)[..., 0]
        for words in (order, out[2].astype(np.uint64))
    ]
    return np.stack(picked, axis=-1)


def first_occurrences(names: UInt64[np.ndarray, "k n"]) -> Bool[np.ndarray, "k n"]:
    """Say where each name of a row occurs for the first time in it."""
    order = np.argsort(names, axis=1, kind="stable")
    ranked = np.take_along_axis(names, order, axis=1)
    is_new = np.ones(names.shape, np.bool_)
    is_new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    first = np.empty_like(is_new)
    np.put_along_axis(first, order, is_new, axis=1)
    return first

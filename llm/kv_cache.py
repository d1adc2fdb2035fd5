"""The keys and values of one sequence, contiguous, growing by doubling.

The plain cache that any cleverer one has to agree with. Letters: `b` batch, `kv` key/value heads,
`t` new positions, `s` positions so far, `d` head width.
"""

import threading
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

_FIRST_CAPACITY = 256
# A kept cache is handed over where this share of it is used, and copied from otherwise.
_TAKEN_OVER = 0.6
_WORTH_COPYING = 16
_ROOMY = 1.25


class KVCache:
    """Keys and values of all layers; `length` positions are valid."""

    def __init__(self, num_layers: int) -> None:
        self.length = 0
        self._keys: list[Tensor | None] = [None] * num_layers
        self._values: list[Tensor | None] = [None] * num_layers

    def extend(
        self, layer: int, keys: Float[Tensor, "b kv t d"], values: Float[Tensor, "b kv t d"]
    ) -> tuple[Float[Tensor, "b kv s d"], Float[Tensor, "b kv s d"]]:
        """Append to one layer and return all its keys and values.

        `length` moves only with `advance`, once every layer has been extended.
        """
        end = self.length + keys.shape[2]
        stored_keys = self._room(self._keys, layer, end, keys)
        stored_values = self._room(self._values, layer, end, values)
        stored_keys[:, :, self.length : end] = keys
        stored_values[:, :, self.length : end] = values
        return stored_keys[:, :, :end], stored_values[:, :, :end]

    def advance(self, num_positions: int) -> None:
        """Count positions that all layers have stored."""
        self.length += num_positions

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on."""
        if not 0 <= length <= self.length:
            raise ValueError(f"length must be in [0, {self.length}], got {length}")
        self.length = length

    @property
    def capacity(self) -> int:
        """How many positions memory is held for."""
        held = self._keys[0] if self._keys else None
        return 0 if held is None else held.shape[2]

    def fork(self, length: int) -> "KVCache":
        """Return a copy of the first `length` positions, which takes no more memory than they."""
        if not 0 <= length <= self.length:
            raise ValueError(f"length must be in [0, {self.length}], got {length}")
        copy = KVCache(len(self._keys))
        copy.length = length
        copy._keys = [None if k is None else k[:, :, :length].clone() for k in self._keys]
        copy._values = [None if v is None else v[:, :, :length].clone() for v in self._values]
        return copy

    def _room(self, store: list[Tensor | None], layer: int, end: int, like: Tensor) -> Tensor:
        held = store[layer]
        if held is not None and held.shape[2] >= end:
            return held
        capacity = max(_FIRST_CAPACITY, 1 << (end - 1).bit_length())
        b, kv, _, d = like.shape
        grown = torch.empty(b, kv, capacity, d, dtype=like.dtype, device=like.device)
        if held is not None:
            grown[:, :, : self.length] = held[:, :, : self.length]
        store[layer] = grown
        return grown


class RecentCaches:
    """The caches of the last sequences, so that the next turn pays only for its new tokens.

    A sequence that goes on where a kept one ended takes its cache over; one that only begins alike
    gets a copy of the beginning, and the kept cache stays for its own next turn. At most
    `max_tokens` positions of memory are kept in all, the oldest cache leaving first.
    """

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._kept: list[tuple[tuple[int, ...], KVCache]] = []
        self._lock = threading.Lock()

    def take(self, token_ids: Sequence[int]) -> KVCache | None:
        """Return a cache of the longest beginning that is kept; None if that is too short to copy.

        The last token is never taken from a cache, since its logits are needed.
        """
        with self._lock:
            shared = [_common_prefix(kept, token_ids[:-1]) for kept, _ in self._kept]
            if not shared or max(shared) == 0:
                return None
            best = max(range(len(shared)), key=shared.__getitem__)
            kept, kv_cache = self._kept[best]
            length = shared[best]
            if length >= _TAKEN_OVER * len(kept):
                del self._kept[best]
                kv_cache.truncate(length)
                return kv_cache
            return kv_cache.fork(length) if length >= _WORTH_COPYING else None

    def give(self, token_ids: Sequence[int], kv_cache: KVCache) -> None:
        """Keep a cache with the tokens of its positions, in no more memory than they need."""
        if not 0 < kv_cache.length <= min(len(token_ids), self._max_tokens):
            return
        if kv_cache.capacity > _ROOMY * kv_cache.length:
            kv_cache = kv_cache.fork(kv_cache.length)
        with self._lock:
            self._kept.append((tuple(token_ids[: kv_cache.length]), kv_cache))
            while sum(cache.capacity for _, cache in self._kept) > self._max_tokens:
                self._kept.pop(0)


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    length = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        length += 1
    return length

"""The keys and values of one sequence, contiguous, growing by doubling.

The plain cache that the paged one has to agree with (`tests/golden/test_paged_parity.py`).
Letters: `b` batch, `kv` key/value heads, `t` new positions, `s` positions so far, `d` head width.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_FIRST_CAPACITY = 256


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

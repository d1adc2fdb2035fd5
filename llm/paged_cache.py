"""Keys and values in blocks of 16 positions, whichever sequence they belong to.

A sequence's table says which blocks are its own, in order. Keys stand with their positions side by
side, so that one load takes sixteen keys' i-th number; values the other way round. Letters: `l`
layers, `n` blocks, `kv` key/value heads, `d` head width; 16 positions a block.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from llm.config import ModelConfig

BLOCK = 16


class PagedCache:
    """The memory of all blocks; untouched pages cost nothing."""

    def __init__(
        self,
        config: ModelConfig,
        num_blocks: int,
        *,
        dtype: torch.dtype = torch.float16,
        device: str = "cpu",
    ) -> None:
        """Reserve `num_blocks` blocks.

        Raises:
            ValueError: fewer than one block.
        """
        if num_blocks < 1:
            raise ValueError(f"num_blocks must be >= 1, got {num_blocks}")
        layers, kv, d = config.num_hidden_layers, config.num_key_value_heads, config.head_dim
        self.num_blocks = num_blocks
        self.keys: Float[Tensor, "l n kv d 16"] = torch.zeros(
            layers, num_blocks, kv, d, BLOCK, dtype=dtype, device=device
        )
        self.values: Float[Tensor, "l n kv 16 d"] = torch.zeros(
            layers, num_blocks, kv, BLOCK, d, dtype=dtype, device=device
        )

    @property
    def nbytes(self) -> int:
        """Memory when every block has been used."""
        return self.keys.nbytes + self.values.nbytes

    def copy(self, copies: Iterable[tuple[int, int]]) -> None:
        """Copy whole blocks, (source, target) each, in all layers."""
        for source, target in copies:
            self.keys[:, target] = self.keys[:, source]
            self.values[:, target] = self.values[:, source]


def block_bytes(config: ModelConfig, dtype: torch.dtype = torch.float16) -> int:
    """Return the memory of one block in all layers."""
    per_position = 2 * config.num_key_value_heads * config.head_dim * dtype.itemsize
    return config.num_hidden_layers * BLOCK * per_position

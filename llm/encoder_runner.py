"""What computes an encoder: texts as token ids in, one unit row each out; torch's in float32.

Letters: `n` texts, `b` batch, `t` positions, `c` hidden size.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32

from llm.encoder import BertEncoder, mean_pool


@runtime_checkable
class EncoderRunner(Protocol):
    """Computes one encoder; a text's numbers do not depend on the texts beside it (torch: barely).

    `batch_tokens` is how many tokens a call should hold at most: others wait meanwhile.
    """

    hidden_size: int
    longest: int
    kernels: str
    batch_tokens: int

    def vectors(self, rows: Sequence[Sequence[int]]) -> Float32[np.ndarray, "n c"]:
        """Return the mean of each text's token states, as a unit row."""
        ...

    def states(self, rows: Sequence[Sequence[int]]) -> list[Float32[np.ndarray, "t c"]]:
        """Return the last layer's states of each text's tokens."""
        ...


class TorchEncoderRunner:
    """Padded batches in float32: the obvious twin of the compiled path."""

    def __init__(self, encoder: BertEncoder) -> None:
        self._encoder = encoder
        self.hidden_size = encoder.config.hidden_size
        self.longest = encoder.config.max_position_embeddings
        self.kernels = "torch-float32"
        self.batch_tokens = 1024

    @torch.inference_mode()
    def vectors(self, rows: Sequence[Sequence[int]]) -> Float32[np.ndarray, "n c"]:
        """Return the mean of each text's token states, as a unit row."""
        states, is_token = self._forward(rows)
        return torch.nn.functional.normalize(mean_pool(states, is_token), dim=-1).numpy()

    @torch.inference_mode()
    def states(self, rows: Sequence[Sequence[int]]) -> list[Float32[np.ndarray, "t c"]]:
        """Return the last layer's states of each text's tokens."""
        states, _ = self._forward(rows)
        return [states[i, : len(row)].numpy() for i, row in enumerate(rows)]

    def _forward(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(map(len, rows))
        input_ids = torch.zeros(len(rows), longest, dtype=torch.int64)
        is_token = torch.zeros(len(rows), longest, dtype=torch.bool)
        for i, row in enumerate(rows):
            input_ids[i, : len(row)] = torch.tensor(row)
            is_token[i, : len(row)] = True
        return self._encoder(input_ids, is_token), is_token

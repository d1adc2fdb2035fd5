"""The decoder's output matrix by rows: what one token's logit is made with.

The logit of token v is E_v . h, so whoever needs the logits of a few tokens multiplies their rows
alone. Holds a view of the weights, not a copy. Letters: `v` vocabulary, `c` hidden size, `k` tokens
asked for.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor

from llm.quantization import OUTPUTS, QuantizedLinear

_PART = 128  # rows at a time: they stay in the cache, and a whole vocabulary is never copied


class Unembedding:
    """Rows of the output matrix of one model; immutable."""

    __slots__ = ("_rows", "hidden_size", "size")

    def __init__(self, rows: Callable[[Tensor], Tensor], size: int, hidden_size: int) -> None:
        """Take a function from token ids to rows; `of_weight` and `of_linear` make it."""
        self._rows = rows
        self.size = size  # tokens
        self.hidden_size = hidden_size

    @classmethod
    def of_weight(cls, weight: Float[Tensor, "v c"]) -> "Unembedding":
        """Read an ordinary weight, in whatever precision."""
        size, hidden_size = weight.shape
        whole = weight.detach()
        return cls(lambda ids: _picked(whole, ids).float().cpu(), size, hidden_size)

    @classmethod
    def of_linear(cls, linear: QuantizedLinear, size: int) -> "Unembedding":
        """Read the first `size` outputs of an int8 linear, dequantised as they are asked for."""
        assert size <= linear.outputs

        def rows(ids: Tensor) -> Tensor:
            codes = linear.codes[ids // OUTPUTS, :, ids % OUTPUTS]  # one output of its tile
            return codes.reshape(len(ids), linear.inputs).float() * linear.scales[ids][:, None]

        return cls(rows, size, linear.inputs)

    def rows(self, token_ids: Int64[np.ndarray, " k"]) -> Float32[np.ndarray, "k c"]:
        """Return the rows of some tokens; a new array.

        Raises:
            IndexError: a token beyond the vocabulary.
        """
        if len(token_ids) and not 0 <= token_ids.min() <= token_ids.max() < self.size:
            raise IndexError(f"a token id beyond the {self.size} of the vocabulary")
        rows: Float32[np.ndarray, "k c"] = self._rows(torch.from_numpy(token_ids)).numpy()
        return rows

    def products(
        self, token_ids: Int64[np.ndarray, " k"], state: Float32[np.ndarray, " c"]
    ) -> Float64[np.ndarray, " k"]:
        """Return E_v . `state` for some tokens: their logits, if it is a hidden state.

        A token's product has the same bits whichever tokens are asked for with it.
        """
        out, wide = np.empty(len(token_ids)), state.astype(np.float64)
        for start in range(0, len(token_ids), _PART):
            part = slice(start, start + _PART)
            rows = self.rows(token_ids[part]).astype(np.float64)
            # einsum adds each row on its own; a BLAS picks its kernel by the number of rows, and
            # its threads wait for one another.
            out[part] = np.einsum("kc,c->k", rows, wide)
        return out


def _picked(whole: Float[Tensor, "v c"], ids: Tensor) -> Float[Tensor, "k c"]:
    # several times faster than whole[ids]
    return whole.index_select(0, ids.to(whole.device))

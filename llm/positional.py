"""Rotary positions (RoPE, arXiv 2104.09864), with Llama 3's stretching of long wavelengths.

Letters: `t` positions, `h` heads, `b` batch, `d` head width.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int32
from torch import Tensor

from llm.config import RopeScaling


def inverse_frequencies(
    head_dim: int, theta: float, scaling: RopeScaling | None = None
) -> Float[Tensor, " half"]:
    """Return the d/2 inverse frequencies theta^(-2i/d), in float32.

    With `scaling`, wavelengths longer than L/low are divided by the factor, those shorter than
    L/high are kept, and those between are blended (L is the original context length).
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim
    inv = 1.0 / (theta**exponents)
    if scaling is None:
        return inv
    length = scaling.original_max_position_embeddings
    wavelength = 2 * math.pi / inv
    blend = (length / wavelength - scaling.low_freq_factor) / (
        scaling.high_freq_factor - scaling.low_freq_factor
    )
    blend = blend.clamp(0, 1)
    return (1 - blend) * inv / scaling.factor + blend * inv


class RotaryEmbedding:
    """Tables of cos and sin up to `max_positions`, and the rotation."""

    def __init__(
        self,
        head_dim: int,
        theta: float,
        max_positions: int,
        scaling: RopeScaling | None = None,
    ) -> None:
        inv = inverse_frequencies(head_dim, theta, scaling)
        angles = torch.outer(torch.arange(max_positions, dtype=torch.float32), inv)
        both = torch.cat([angles, angles], dim=-1)  # [positions, d]
        self._cos = both.cos()
        self._sin = both.sin()

    def tables(
        self, positions: Int[Tensor, " t"]
    ) -> tuple[Float[Tensor, "t d"], Float[Tensor, "t d"]]:
        """Return cos and sin at these positions."""
        return self._cos[positions], self._sin[positions]


class RotaryTable:
    """Cosines and sines of a rotation for rows at any positions, as arrays of d/2 angles each.

    Positions past the model's own length are computed when they come up: a rolling cache goes on
    counting.
    """

    def __init__(
        self, head_dim: int, theta: float, max_positions: int, scaling: RopeScaling | None = None
    ) -> None:
        self._inverse = inverse_frequencies(head_dim, theta, scaling)
        self._cosines, self._sines = self._angles(0, max_positions)

    def rows(
        self, positions: Int32[np.ndarray, " r"]
    ) -> tuple[Float32[np.ndarray, "r half"], Float32[np.ndarray, "r half"]]:
        """Return cosines and sines, a row for each position."""
        last = int(positions.max()) if len(positions) else 0
        if last >= len(self._cosines):
            more = self._angles(len(self._cosines), max(last + 1, 2 * len(self._cosines)))
            self._cosines = np.concatenate([self._cosines, more[0]])
            self._sines = np.concatenate([self._sines, more[1]])
        return self._cosines[positions], self._sines[positions]

    def _angles(
        self, start: int, stop: int
    ) -> tuple[Float32[np.ndarray, "s half"], Float32[np.ndarray, "s half"]]:
        # float32 angles, as the models were trained with; up to 2^24 positions are exact
        angles = torch.outer(torch.arange(start, stop, dtype=torch.float32), self._inverse)
        return angles.cos().numpy(), angles.sin().numpy()


def rotate(
    x: Float[Tensor, "b h t d"], cos: Float[Tensor, "t d"], sin: Float[Tensor, "t d"]
) -> Float[Tensor, "b h t d"]:
    """Rotate the pairs (x_i, x_{i+d/2}) by the angles of their positions."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin

"""Rotary positions (RoPE, arXiv 2104.09864), with Llama 3's stretching of long wavelengths.

Letters: `t` positions, `h` heads, `b` batch, `d` head width.
"""

import math

import torch
from jaxtyping import Float, Int
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


def rotate(
    x: Float[Tensor, "b h t d"], cos: Float[Tensor, "t d"], sin: Float[Tensor, "t d"]
) -> Float[Tensor, "b h t d"]:
    """Rotate the pairs (x_i, x_{i+d/2}) by the angles of their positions."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin

"""A few vectors for each chunk, for comparing a query with its words and not with its mean alone.

They are int8 with one scale a chunk. Values only. Letters: `m` vectors of a chunk, `d` their width.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int8

_TOP = 127


class Span(NamedTuple):
    """A chunk, as those name it who found it."""

    document_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenVectors:
    """The vectors of one chunk, `scale * codes`."""

    codes: Int8[np.ndarray, "m d"]
    scale: float

    def __post_init__(self) -> None:
        if self.codes.ndim != 2 or 0 in self.codes.shape or self.codes.dtype != np.int8:
            raise ValueError(
                f"token vectors are rows of int8, got {self.codes.dtype} of the shape"
                f" {self.codes.shape}"
            )
        if not 0 < self.scale < np.inf:
            raise ValueError(f"the scale of token vectors must be positive, got {self.scale}")

    @classmethod
    def of(cls, x: Float[np.ndarray, "m d"]) -> "TokenVectors":
        """Round vectors to multiples of a 127th of their largest component.

        Raises:
            ValueError: there are none, or a component is not finite.
        """
        top = float(np.abs(x).max(initial=0.0))
        if not np.isfinite(top):
            raise ValueError("a token vector has components that are not finite")
        scale = top / _TOP if top > 0 else 1.0
        codes = np.rint(np.asarray(x) / scale).astype(np.int8)
        return cls(codes=codes, scale=float(np.float32(scale)))

    def floats(self) -> Float32[np.ndarray, "m d"]:
        """Return the vectors, rounded as they are."""
        return self.codes * np.float32(self.scale)

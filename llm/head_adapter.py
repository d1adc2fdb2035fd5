"""A low-rank change of the final hidden state, before the head: h becomes h + B (A h).

A head adapter is to the head what LoRA (arXiv 2106.09685) is to the layers, at the one place that
needs no other forward: the logit of token v changes by E_v . B (A h). Two of them are an expert and
an anti-expert. Shared between requests, never changed. Letters: `r` rank, `c` hidden size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from llm.errors import HeadError

Tensors = Mapping[str, np.ndarray[Any, np.dtype[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadAdapter:
    """`down` is A, `up` is B."""

    down: Float32[np.ndarray, "r c"]
    up: Float32[np.ndarray, "c r"]

    def __post_init__(self) -> None:
        if self.down.ndim != 2 or self.up.shape != self.down.shape[::-1]:
            raise ValueError(
                f"A {self.down.shape} and B {self.up.shape} do not belong together: B must have"
                " the shape of A transposed"
            )
        if not (np.isfinite(self.down).all() and np.isfinite(self.up).all()):
            raise ValueError("the weights of an adapter are not finite; train it again")
        self.down.flags.writeable = False
        self.up.flags.writeable = False

    @property
    def hidden_size(self) -> int:
        """Of the decoder that it belongs to."""
        return self.down.shape[1]

    @property
    def rank(self) -> int:
        """Of the change."""
        return self.down.shape[0]

    def nudge(self, hidden: Float32[np.ndarray, " c"]) -> Float32[np.ndarray, " c"]:
        """Return B (A h), which is added to h."""
        # einsum: too small for the threads of a BLAS
        inner = np.einsum("rc,c->r", self.down, hidden)
        change: Float32[np.ndarray, " c"] = np.einsum("cr,r->c", self.up, inner)
        return change

    def tensors(self) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        """Return the weights in half precision, to be kept in a file."""
        return {"down": self.down.astype(np.float16), "up": self.up.astype(np.float16)}

    @classmethod
    def of(cls, tensors: Tensors) -> "HeadAdapter":
        """Make an adapter of what `tensors` returned.

        Raises:
            HeadError: they are no such arrays.
        """
        try:
            return cls(down=tensors["down"].astype(np.float32), up=tensors["up"].astype(np.float32))
        except (KeyError, TypeError, ValueError) as error:
            raise HeadError(f"these arrays are no head adapter: {error}") from None

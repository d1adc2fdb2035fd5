"""The port to whatever turns text into vectors."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Float

TextKind = Literal["query", "passage"]


class Embedder(Protocol):
    """Text in, unit vectors out."""

    @property
    def name(self) -> str:
        """Return the name of the model."""
        ...

    @property
    def fingerprint(self) -> str:
        """Return what changes whenever the same text would get another vector."""
        ...

    @property
    def dim(self) -> int:
        """Return the width of a vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Return the length of the longest passage it reads."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included."""
        ...

    def encode(self, texts: Sequence[str], kind: TextKind) -> Float[np.ndarray, "n d"]:
        """Return one L2-normalised float32 row per text, in order.

        A query longer than `max_tokens` is read in windows whose vectors are averaged; a passage
        that long is a `ValueError`, since nothing is cut in silence.
        """
        ...

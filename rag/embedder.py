"""The port to whatever turns text into vectors."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Float

TextKind = Literal["query", "passage"]


class Embedder(Protocol):
    """Text in, unit vectors out.

    `fingerprint` changes whenever the same text would get another vector; `max_tokens` is the
    longest passage it reads.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included."""
        ...

    def encode(self, texts: Sequence[str], kind: TextKind) -> Float[np.ndarray, "n d"]:
        """Return one L2-normalised float32 row per text, in order.

        A query longer than `max_tokens` is read in windows whose vectors are averaged; a passage
        that long is a `ValueError`, since nothing is cut in silence.
        """
        ...

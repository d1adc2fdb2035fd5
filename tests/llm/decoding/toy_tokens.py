"""Vocabularies whose tokens are given by hand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from llm.decoding.pipeline import Pipeline
from llm.decoding.sampler import BatchSampler


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyTokens:
    """Token 0 ends a text."""

    token_bytes: tuple[bytes, ...]
    eos_ids: frozenset[int] = frozenset([0])

    @property
    def size(self) -> int:
        return len(self.token_bytes)


def spelled(*pieces: str) -> ToyTokens:
    return ToyTokens(token_bytes=(b"", *(piece.encode() for piece in pieces)))


def numbered(size: int) -> ToyTokens:
    return ToyTokens(token_bytes=(b"", *(f"<{i}>".encode() for i in range(1, size))))


def toy_pipeline(tokens: ToyTokens) -> Pipeline:
    return Pipeline(BatchSampler(None), tokens)


def logits_of(p: Sequence[float]) -> Float32[np.ndarray, "1 v"]:
    with np.errstate(divide="ignore"):
        row: Float32[np.ndarray, "1 v"] = np.log(np.array([p])).astype(np.float32)
    return row

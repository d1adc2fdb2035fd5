"""The order of a decoding step, as types: what each phase takes and what it gives.

P1 makes `FeasibleLogits` of `RawLogits`, P2 `ShapedLogits` of those, P3 `ComposedLogits`, P4
`SteeredLogits`, P5 `Survivors`, which P6 may reweight and P7 draws from. Each type can be had from
its phase alone, so the type checker refuses phases in a wrong order. Knows no phase's content.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NewType, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int32, Int64

# One row of the vocabulary's size, float32. A phase may write into the row that it is given.
RawLogits = NewType("RawLogits", np.ndarray[Any, np.dtype[np.float32]])
FeasibleLogits = NewType("FeasibleLogits", np.ndarray[Any, np.dtype[np.float32]])
ShapedLogits = NewType("ShapedLogits", np.ndarray[Any, np.dtype[np.float32]])
ComposedLogits = NewType("ComposedLogits", np.ndarray[Any, np.dtype[np.float32]])
SteeredLogits = NewType("SteeredLogits", np.ndarray[Any, np.dtype[np.float32]])

Mask = Int32[np.ndarray, " words"]  # a bit per token, the lowest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Whose logits a row are: those of a branch of a request, so many drafted tokens ahead."""

    request: int
    branch: int = 0
    draft_offset: int = 0

    def __post_init__(self) -> None:
        assert self.request >= 0
        assert 0 <= self.branch < 2**32
        assert self.draft_offset >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivors:
    """The tokens that may be drawn, most probable first, with tempered log-probabilities.

    The log-probabilities are those before truncation: they sum to one over the whole vocabulary.
    """

    token_ids: Int64[np.ndarray, " n"]
    log_probs: Float64[np.ndarray, " n"]


@runtime_checkable
class Tokens(Protocol):
    """The tokens of a model, as a pipeline needs them; `size` is the width of the logits."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    @property
    def eos_ids(self) -> frozenset[int]:
        """Those that end a text."""
        ...

    @property
    def token_bytes(self) -> tuple[bytes, ...]:
        """What each stands for; nothing for a special one."""
        ...


@runtime_checkable
class Constraint(Protocol):
    """What may come next in one branch (P1), besides the clauses of `llm/decoding/feasible.py`."""

    def fill(self, mask: Mask) -> None:
        """Write the tokens that may come next."""
        ...

    def advance(self, token: int) -> None:
        """Take a token.

        Raises:
            ConstraintConflictError: it cannot come next, although `fill` offered it; then `fill`
                leaves it out and another is drawn. Nothing has changed.
        """
        ...

    def rollback(self, num_tokens: int) -> None:
        """Take back the last tokens."""
        ...

    def fork(self) -> "Constraint":
        """Return an independent copy."""
        ...


@runtime_checkable
class Restrictor(Protocol):
    """P1: leaves the tokens that may come."""

    def restrict(self, logits: RawLogits) -> FeasibleLogits:
        """Make the others impossible, in place."""
        ...


@runtime_checkable
class Shaper(Protocol):
    """P2: raises and lowers logits by what was written before."""

    def shape(self, logits: FeasibleLogits) -> ShapedLogits:
        """Change a row in place."""
        ...


@runtime_checkable
class Composer(Protocol):
    """P3: combines the forwards of several models; its coefficients sum to 1."""

    def compose(self, logits: Sequence[ShapedLogits]) -> ComposedLogits:
        """Return the combination of one row of each model."""
        ...


@runtime_checkable
class Steerer(Protocol):
    """P4: multiplies in the probability that the text will be as wanted."""

    def steer(self, logits: ComposedLogits) -> SteeredLogits:
        """Change a row in place; a token without a factor becomes impossible."""
        ...


@runtime_checkable
class Mark(Protocol):
    """P6: reweights the survivors so that the text can be recognised."""

    def reweight(self, survivors: Survivors) -> Survivors:
        """Return the same tokens with other log-probabilities."""
        ...


def unrestricted(logits: RawLogits) -> FeasibleLogits:
    """Pass a row on that nothing constrains."""
    return FeasibleLogits(logits)


def unshaped(logits: FeasibleLogits) -> ShapedLogits:
    """Pass a row on without penalties or biases."""
    return ShapedLogits(logits)


def uncomposed(logits: ShapedLogits) -> ComposedLogits:
    """Pass a row on that one forward decides alone."""
    return ComposedLogits(logits)


def unsteered(logits: ComposedLogits) -> SteeredLogits:
    """Pass a row on that nothing steers."""
    return SteeredLogits(logits)

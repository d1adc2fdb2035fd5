"""The order of a decoding step, as types: what each phase takes and what it gives.

P1 makes `FeasibleLogits` of `RawLogits`, P2 `ShapedLogits` of those, P3 `ComposedLogits`, P4
`SteeredLogits`, P5 `Survivors`, which P6 may reweight and P7 draws from. Each type can be had from
its phase alone, so the type checker refuses phases in a wrong order. Knows no phase's content.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NewType, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from llm.decoding.spec import MAX_CANDIDATES

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwards:
    """What the model's forwards say of one row besides its logits.

    `hidden` is the state from which the head makes the logits, `exit_hidden` the one of the early
    exit (after the final norm), `baseline` the logits of the same continuation under the request's
    other prompt, after P1 and P2. What was not computed is None.
    """

    hidden: Float32[np.ndarray, " c"] | None = None
    exit_hidden: Float32[np.ndarray, " c"] | None = None
    baseline: ShapedLogits | None = None


@runtime_checkable
class Composer(Protocol):
    """P3: another forward, with coefficients that sum to 0, for one branch.

    What all composers of a row keep is intersected and what they add is added, so their order has
    no meaning.
    """

    def least(self, logits: ShapedLogits) -> float:
        """Return the lowest logit of the model itself that keeps its token; -inf keeps all."""
        ...

    def shift(
        self,
        token_ids: Int64[np.ndarray, " k"],
        logits: Float32[np.ndarray, " k"],
        forwards: Forwards,
    ) -> Float64[np.ndarray, " k"]:
        """Return what is added to the logits of these tokens, up to a constant of the row."""
        ...

    def take(self, token: int) -> None:
        """Note a token that was taken."""
        ...

    def fork(self) -> "Composer":
        """Return an independent copy."""
        ...


@runtime_checkable
class Factor(Protocol):
    """P4: the probability that the text will be as wanted, for one branch."""

    def weigh(
        self, token_ids: Int64[np.ndarray, " k"], forwards: Forwards
    ) -> Float64[np.ndarray, " k"]:
        """Return what is added to the log-probabilities of these candidates, weight included."""
        ...

    def take(self, token: int) -> None:
        """Note a token that was taken."""
        ...

    def fork(self) -> "Factor":
        """Return an independent copy."""
        ...


@runtime_checkable
class Mark(Protocol):
    """P6 and P7: makes a text recognisable, for one branch; by weights or by noise, never both."""

    def reweight(self, survivors: Survivors) -> Survivors:
        """Return the same tokens with other log-probabilities."""
        ...

    def noise(self, token_ids: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"] | None:
        """Return the Gumbel noise of these tokens; None leaves the draw to the request's seed."""
        ...

    def take(self, token: int) -> None:
        """Note a token that was taken."""
        ...

    def fork(self, stream: int) -> "Mark":
        """Return an independent copy for a branch of another number."""
        ...


@runtime_checkable
class KeyedNoise(Protocol):
    """A mark that lies in the noise alone, as Philox(seed, token) of the purpose WATERMARK."""

    def noise_seed(self) -> int | None:
        """Return the seed of the coming draw; None leaves it to the request's."""
        ...


@runtime_checkable
class Witness(Protocol):
    """A mark that predicts how well it will be found."""

    @property
    def wants_survivors(self) -> bool:
        """Whether it wants to know what the next token was drawn from."""
        ...

    def witness(self, survivors: Survivors | None, token: int) -> None:
        """Note a drawn token, before it is taken, and what could have come where that was asked."""
        ...


@runtime_checkable
class Drafter(Protocol):
    """Guesses the next tokens of one branch."""

    def propose(self, most: int) -> Sequence[int]:
        """Return at most so many tokens that may come next."""
        ...

    def take(self, token: int) -> None:
        """Note a token that was taken, drafted or not."""
        ...

    def fork(self) -> "Drafter":
        """Return an independent copy."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """What guides one branch besides its sampling parameters; its own, none shared.

    The factors look at the `candidates` most probable tokens.
    """

    grammar: Constraint | None = None
    composers: tuple[Composer, ...] = ()
    factors: tuple[Factor, ...] = ()
    mark: Mark | None = None
    candidates: int = MAX_CANDIDATES

    def fork(self, stream: int) -> "Guidance":
        """Return an independent copy for a branch of another number; the grammar stays behind."""
        return Guidance(
            composers=tuple(composer.fork() for composer in self.composers),
            factors=tuple(factor.fork() for factor in self.factors),
            mark=None if self.mark is None else self.mark.fork(stream),
            candidates=self.candidates,
        )

    def take(self, token: int) -> None:
        """Note a token that was taken; the grammar is told by whoever drew it."""
        for composer in self.composers:
            composer.take(token)
        for factor in self.factors:
            factor.take(token)
        if self.mark is not None:
            self.mark.take(token)


UNGUIDED = Guidance()


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

"""What a search over branches is given and gives, and the crank that turns one.

A search is driven: whoever owns the branches (rows of the engine, a table in a test) scores the
live ones, and the search says which of their continuations live on. So a search knows no model, no
cache and no grammar, and `run` serves any search over any branches.
Letters: k candidate tokens of one hypothesis.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int64

Reason = Literal["stop", "length", "cancelled", "deadline"]
_ROUNDING = 1e-5  # by so much the logarithm of a probability may come out above 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The tokens that may follow one live hypothesis, in any order, each once.

    `log_probs` are those of the whole row after P4 (not renormalised over the tokens that are
    left). `is_final` marks tokens that end the hypothesis and belong to it (the grammar can only
    end after them); tokens of `eos_ids` always end it and never belong to it. A beam of width w
    needs the 2w most probable and every one that ends; a stochastic beam samples from what it is
    given, renormalised, so it wants all that are feasible.
    """

    token_ids: Int64[np.ndarray, " k"]
    log_probs: Float64[np.ndarray, " k"]
    is_final: Bool[np.ndarray, " k"]

    def __post_init__(self) -> None:
        if not len(self.token_ids) == len(self.log_probs) == len(self.is_final):
            raise ValueError(
                f"candidates need as many tokens as values and marks, got {len(self.token_ids)},"
                f" {len(self.log_probs)} and {len(self.is_final)}"
            )
        if not np.all(np.isfinite(self.log_probs) & (self.log_probs <= _ROUNDING)):
            raise ValueError("log_probs must be finite and at most 0; leave out what cannot come")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """A live text: `perturbed` is its Gumbel of a stochastic beam, `location` that Gumbel's."""

    token_ids: tuple[int, ...] = ()
    log_prob: float = 0.0
    group: int = 0
    perturbed: float = 0.0
    location: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished text, without its end token (whose log-probability counts).

    `score` is log_prob / ((5 + n) / 6) ** length_penalty for its n tokens (arXiv 1609.08144).
    """

    token_ids: tuple[int, ...]
    log_prob: float
    score: float
    reason: Reason
    group: int = 0
    perturbed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A continuation that lives on: which live hypothesis it came from, by which token."""

    parent: int
    token: int
    log_prob: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A continuation that ended in this step."""

    parent: int
    finished: Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """What became of the live hypotheses in one step.

    `children` are the live ones from now on, in this order, so several of one parent are a fork and
    a parent of none is dropped.
    """

    children: tuple[Child, ...]
    ended: tuple[Ended, ...]


@runtime_checkable
class Branches(Protocol):
    """Copies of one text that can be continued, each known by a number."""

    def fork(self, branch: int) -> int:
        """Copy a branch and return the number of the copy."""
        ...

    def step(self, branch: int, token: int) -> bool:
        """Append a token; tell whether that ended the text (a stop string)."""
        ...

    def score(self, branches: Sequence[int]) -> Sequence[Candidates]:
        """Return what may follow each."""
        ...

    def drop(self, branch: int) -> None:
        """Forget a branch; its number is not used again."""
        ...


@runtime_checkable
class Driver(Protocol):
    """A search that is told what may follow and says what shall."""

    @property
    def done(self) -> bool:
        """Whether nothing is live."""
        ...

    def expand(self, candidates: Sequence[Candidates]) -> Expansion:
        """Continue the live hypotheses, given what may follow each of them."""
        ...

    def end(self, indices: Collection[int], reason: Reason = "stop") -> tuple[int, ...]:
        """End live hypotheses as they are; return which of the live ones remain so."""
        ...

    def best(self) -> list[Finished]:
        """Return the finished hypotheses, best first."""
        ...


def run(search: Driver, branches: Branches, *, root: int = 0) -> list[Finished]:
    """Turn the crank until nothing is live; return the finished hypotheses, best first.

    `root` is the branch to begin with. Every branch is dropped in the end, and those that do not
    live on are dropped before others are forked.
    """
    live = [root]
    while not search.done:
        expansion = search.expand(branches.score(live))
        live, stopped = _advance(branches, live, expansion)
        if stopped:
            kept = search.end(stopped)
            for i in set(range(len(live))).difference(kept):
                branches.drop(live[i])
            live = [live[i] for i in kept]
    for branch in live:  # a search that was done before it began
        branches.drop(branch)
    return search.best()


def _advance(
    branches: Branches, live: list[int], expansion: Expansion
) -> tuple[list[int], list[int]]:
    """Make the children of the live branches; return them, and which of them ended by a step."""
    left = Counter(child.parent for child in expansion.children)
    for i, branch in enumerate(live):
        if i not in left:
            branches.drop(branch)
    moved: list[int] = []
    for child in expansion.children:
        left[child.parent] -= 1
        branch = live[child.parent]
        moved.append(branches.fork(branch) if left[child.parent] else branch)
    # stepped last: a fork must be of the parent, not of its child
    stopped = [
        i for i, child in enumerate(expansion.children) if branches.step(moved[i], child.token)
    ]
    return moved, stopped

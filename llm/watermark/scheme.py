"""What every scheme has in common: it marks a branch, scores a text, and tells what to expect.

Letters: `k` sub-keys, `n` tokens, `v` candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped, UInt64

from llm.decoding.phases import Mark, Survivors
from llm.watermark.contexts import first_occurrences
from llm.watermark.null_laws import Law
from llm.watermark.prf import sub_key

MAX_SUB_KEYS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The evidence of each token under each sub-key, and whether it counts.

    A token counts where it has a context and the coin that it shows was not shown before; `coins`
    tells coins apart.
    """

    values: Float64[np.ndarray, "k n"]
    is_scored: Bool[np.ndarray, "k n"]
    coins: UInt64[np.ndarray, "k n"]

    def totals(self) -> Float64[np.ndarray, " k"]:
        """Return the summed evidence of what counts."""
        return np.where(self.is_scored, self.values, 0.0).sum(axis=1)

    def counts(self) -> Int64[np.ndarray, " k"]:
        """Return how many tokens count."""
        return self.is_scored.sum(axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The evidence that a marked token will have, given what could have been drawn.

    `third` is the third central moment. All three add up over independent tokens.
    """

    mean: float
    variance: float
    third: float = 0.0


@runtime_checkable
class TextMark(Mark, Protocol):
    """A mark that also says how much the coming token will tell."""

    def counts(self, token: int) -> bool:
        """Whether a detector will count this token if it comes now; costs nothing."""
        ...

    def values(self, token_ids: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"] | None:
        """Return the evidence that each of these would be; None where none would count."""
        ...

    def expect(self, survivors: Survivors, token: int) -> Expectation | None:
        """Return what a detector will find on average; None where this token does not count.

        Called before `take`. Where no other token could come, that is what chance gives.
        """
        ...


@runtime_checkable
class Scheme(Protocol):
    """One way to mark a text and to find the mark again."""

    @property
    def label(self) -> str:
        """Its name and settings; another label has unrelated sub-keys."""
        ...

    @property
    def num_sub_keys(self) -> int:
        """How many sub-keys a detector has to try for each key."""
        ...

    @property
    def law(self) -> Law:
        """The evidence of a token that counts, over a random key."""
        ...

    def start(self, secret: bytes, *, seed: int, stream: int = 0) -> TextMark:
        """Return the mark of one branch before its first token."""
        ...

    def score(self, token_ids: Int64[np.ndarray, " n"], keys: UInt64[np.ndarray, "k 6"]) -> Scores:
        """Return the evidence of an output's tokens."""
        ...

    def expect(self, probs: Float64[np.ndarray, " v"], *, seed: int = 0) -> Expectation:
        """Return what a token drawn from these probabilities, which sum to 1, gives."""
        ...


def probs_of(survivors: Survivors) -> Float64[np.ndarray, " n"]:
    """Return the probabilities with which the survivors are drawn; they sum to 1."""
    weights = np.exp(survivors.log_probs - survivors.log_probs.max())
    return weights / weights.sum()


def coin_expectation(chance: float) -> Expectation:
    """Return the moments of a coin."""
    variance = chance * (1 - chance)
    return Expectation(mean=chance, variance=variance, third=variance * (1 - 2 * chance))


def sub_keys(scheme: Scheme, secret: bytes) -> UInt64[np.ndarray, "k 6"]:
    """Return all sub-keys of a secret for a scheme."""
    keys = [sub_key(secret, scheme.label, number) for number in range(scheme.num_sub_keys)]
    return np.stack(keys)


def check_num_sub_keys(num: int) -> None:
    """Raise a ValueError for a number that no scheme takes."""
    if not 1 <= num <= MAX_SUB_KEYS:
        raise ValueError(f"a scheme has 1 to {MAX_SUB_KEYS} sub-keys, got {num}")


def scores_of(
    values: Shaped[np.ndarray, "k m"],
    coins: UInt64[np.ndarray, "k m"],
    is_scored: Bool[np.ndarray, "k m"],
    num_tokens: int,
) -> Scores:
    """Return the scores of a text whose first tokens have no context, from those of the others."""
    missing = ((0, 0), (num_tokens - values.shape[1], 0))
    return Scores(
        values=np.pad(values.astype(np.float64), missing),
        is_scored=np.pad(is_scored, missing),
        coins=np.pad(coins, missing),
    )


def once_among(texts: Sequence[Scores]) -> list[Scores]:
    """Return the scores of several texts of which each coin counts once, where it comes first."""
    if not texts:
        return []
    counted = np.concatenate([scores.is_scored for scores in texts], axis=1)
    coins = np.concatenate([scores.coins for scores in texts], axis=1)
    # what does not count gets names of its own, so that it hides nothing
    names = np.where(counted, coins, np.arange(coins.shape[1], dtype=np.uint64))
    counted &= first_occurrences(names)
    bounds = np.cumsum([scores.coins.shape[1] for scores in texts])[:-1]
    parts = np.split(counted, bounds, axis=1)
    return [replace(scores, is_scored=p) for scores, p in zip(texts, parts, strict=True)]

"""One list of green tokens for a key, whatever the context (Unigram, arXiv 2306.17439).

No edit of the text around a token changes what it says, so this mark is the hardest to remove; but
whoever sees enough text learns the list. Tokens are scored once each: against a random list of
exactly round(gamma N) of N tokens the green ones among m distinct tokens are hypergeometric, of
which the threshold in the paper is the normal approximation. Letters: `k` sub-keys, `n` tokens,
`v` candidates.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt64

from llm.decoding.phases import Survivors
from llm.watermark.contexts import first_occurrences
from llm.watermark.kgw import GreenLists, lift, lowest
from llm.watermark.null_laws import HypergeometricLaw, Law
from llm.watermark.prf import SubKey, seed_of, sub_key, words_of_all
from llm.watermark.scheme import Expectation, Scores, coin_expectation, probs_of, scores_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Unigram:
    """A fixed list of round(`gamma` `vocabulary_size`) tokens that are raised by `delta`."""

    vocabulary_size: int
    gamma: float = 0.5
    delta: float = 2.0

    def __post_init__(self) -> None:
        self._lists()

    @property
    def label(self) -> str:
        """See `Scheme`."""
        return f"unigram{self.vocabulary_size}-{self.num_green}"

    @property
    def num_sub_keys(self) -> int:
        """See `Scheme`; the list is one."""
        return 1

    @property
    def num_green(self) -> int:
        """How many tokens are green."""
        return round(self.gamma * self.vocabulary_size)

    @property
    def law(self) -> Law:
        """See `Scheme`."""
        return HypergeometricLaw(num_green=self.num_green, size=self.vocabulary_size)

    def start(self, secret: bytes, *, seed: int, stream: int = 0) -> "UnigramMark":
        """See `Scheme`."""
        del seed, stream
        return UnigramMark(self.green(sub_key(secret, self.label, 0)), self.delta)

    def green(self, key: SubKey) -> Bool[np.ndarray, " v"]:
        """Say which tokens are green."""
        seed = np.array(seed_of((), key), np.uint64)
        return lowest(words_of_all(self.vocabulary_size, seed), self.num_green)

    def score(self, token_ids: Int64[np.ndarray, " n"], keys: UInt64[np.ndarray, "k 6"]) -> Scores:
        """See `Scheme`."""
        is_green = np.stack([self.green(key)[token_ids] for key in keys])
        coins = np.broadcast_to(token_ids.astype(np.uint64), is_green.shape)
        return scores_of(is_green, coins, first_occurrences(coins), len(token_ids))

    def expect(self, probs: Float64[np.ndarray, " v"], *, seed: int = 0) -> Expectation:
        """Return the chance of a new token to be green."""
        return self._lists().expect(probs, seed=seed)

    def _lists(self) -> GreenLists:
        return GreenLists(gamma=self.gamma, delta=self.delta, vocabulary_size=self.vocabulary_size)


class UnigramMark:
    """The list of one key."""

    __slots__ = ("_delta", "_is_green", "_seen")

    def __init__(
        self, is_green: Bool[np.ndarray, " v"], delta: float, seen: frozenset[int] = frozenset()
    ) -> None:
        self._is_green = is_green
        self._delta = delta
        self._seen = set(seen)

    def reweight(self, survivors: Survivors) -> Survivors:
        """See `Mark`."""
        if len(survivors.token_ids) == 1:
            return survivors
        return lift(survivors, self._is_green[survivors.token_ids], self._delta)

    def noise(self, token_ids: Int64[np.ndarray, " n"]) -> None:
        """Leave the noise: this mark is in the weights."""

    def counts(self, token: int) -> bool:
        """See `TextMark`."""
        return token not in self._seen

    def values(self, token_ids: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"] | None:
        """See `TextMark`."""
        if all(token in self._seen for token in token_ids.tolist()):
            return None
        return self._is_green[token_ids].astype(np.float64)

    def expect(self, survivors: Survivors, token: int) -> Expectation | None:
        """See `TextMark`; a token that was written before does not count again."""
        if token in self._seen:
            return None
        is_green = self._is_green[survivors.token_ids]
        probs = probs_of(lift(survivors, is_green, self._delta))
        is_new = ~np.isin(survivors.token_ids, list(self._seen))
        chance = float(probs[is_green & is_new].sum() / probs[is_new].sum())
        return coin_expectation(chance)

    def take(self, token: int) -> None:
        """See `Mark`."""
        self._seen.add(token)

    def fork(self, stream: int) -> "UnigramMark":
        """See `Mark`."""
        del stream
        return UnigramMark(self._is_green, self._delta, frozenset(self._seen))

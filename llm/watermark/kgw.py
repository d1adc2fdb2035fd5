"""Green lists: a keyed share of the vocabulary is preferred (KGW, arXiv 2301.10226, 2306.04634).

The soft list adds `delta` to the logits of green tokens, the hard one (`delta` infinite) forbids
the others. Stateless lists ask for each token whether its own word is below gamma (SBW); exact ones
hold the round(gamma V) tokens of the lowest words, as in the paper, at the cost of a word for each
token of the vocabulary. With the seeding "self" each candidate has a list of its own and is asked
for in no other, so both have the same law and the stateless one is taken.

A request's seed already gives another text here, so one sub-key is enough by default. Letters: `k`
sub-keys, `n` tokens, `v` candidates.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt32, UInt64

from llm.decoding.phases import Survivors
from llm.watermark.contexts import (
    Contexts,
    Seeding,
    context_seeds,
    first_occurrences,
    pair_words,
    windows,
)
from llm.watermark.null_laws import BinomialLaw, Law
from llm.watermark.prf import SubKey, seeds_of, sub_key, words_of, words_of_all
from llm.watermark.sampled import most_likely, words_for
from llm.watermark.scheme import (
    Expectation,
    Scores,
    check_num_sub_keys,
    coin_expectation,
    probs_of,
    scores_of,
)

MAX_DELTA = 50.0
_WORDS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class GreenLists:
    """A new list of green tokens for each context; `vocabulary_size` makes the lists exact.

    `min_entropy` (in nats) marks only where the survivors' entropy reaches it, which a detector can
    use only if it is given the entropies (SWEET, arXiv 2305.15060).
    """

    gamma: float = 0.5
    delta: float = 2.0
    seeding: Seeding = field(default_factory=Seeding)
    vocabulary_size: int | None = None
    min_entropy: float = 0.0
    num_sub_keys: int = 1

    def __post_init__(self) -> None:
        check_num_sub_keys(self.num_sub_keys)
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma must be in (0, 1), got {self.gamma}")
        if not (0 <= self.delta <= MAX_DELTA or self.delta == math.inf):
            raise ValueError(f"delta must be in [0, {MAX_DELTA}] or inf, got {self.delta}")
        if not (math.isfinite(self.min_entropy) and self.min_entropy >= 0):
            raise ValueError(f"min_entropy must be >= 0 nats, got {self.min_entropy}")
        size = self.vocabulary_size
        if size is not None and not 0 < round(self.gamma * size) < size:
            raise ValueError(
                f"of {size} tokens gamma {self.gamma} makes all or none green; take a larger"
                " vocabulary or another gamma"
            )

    @property
    def label(self) -> str:
        """See `Scheme`."""
        kind = "sbw" if self.is_stateless else f"kgw{self.vocabulary_size}"
        return f"{kind}-{self.seeding.label}"

    @property
    def is_stateless(self) -> bool:
        """Whether a token is green whatever the others are."""
        return self.vocabulary_size is None or self.seeding.kind == "self"

    @property
    def share(self) -> float:
        """The chance of a token to be green, as the lists realise gamma."""
        if self.is_stateless:
            return self.limit * 2.0**-32
        return round(self.gamma * self._size) / self._size

    @property
    def limit(self) -> int:
        """Words below it are green in a stateless list."""
        return min(max(round(self.gamma * 2.0**32), 1), 2**32 - 1)

    @property
    def law(self) -> Law:
        """See `Scheme`."""
        return BinomialLaw(chance=self.share)

    def start(self, secret: bytes, *, seed: int, stream: int = 0) -> "GreenMark":
        """See `Scheme`; all streams of a request have the same lists."""
        del stream
        key = sub_key(secret, self.label, seed % self.num_sub_keys)
        return GreenMark(self, key, Contexts(self.seeding, key))

    def score(self, token_ids: Int64[np.ndarray, " n"], keys: UInt64[np.ndarray, "k 6"]) -> Scores:
        """See `Scheme`."""
        num = self.seeding.num_previous
        asked = token_ids[num:]
        if self.seeding.kind == "self":
            before = windows(token_ids, num)
            pairs = pair_words(asked, before, keys)
            coins = pairs[..., 0]
            is_green = pairs[..., 1] < np.uint64(self.limit)
            is_first = first_occurrences(seeds_of(before, keys)) & first_occurrences(coins)
        else:
            coins = context_seeds(token_ids, self.seeding, keys)
            is_first = first_occurrences(coins)
            is_green = self._listed(asked, coins, is_first)
        return scores_of(is_green, coins, is_first, len(token_ids))

    def green(
        self, candidates: Int64[np.ndarray, " v"], contexts: Contexts, key: SubKey
    ) -> Bool[np.ndarray, " v"]:
        """Say which candidates are green at a branch's coming position."""
        if self.seeding.kind == "self":
            previous = np.array(contexts.previous, np.int64)
            before = np.broadcast_to(previous, (len(candidates), len(previous)))
            return pair_words(candidates, before, key[None])[0, :, 1] < np.uint64(self.limit)
        seed = np.array([contexts.seed()], np.uint64)
        if self.is_stateless:
            return words_of(candidates, seed) < np.uint32(self.limit)
        return self._exact_list(seed)[candidates]

    def expect(self, probs: Float64[np.ndarray, " v"], *, seed: int = 0) -> Expectation:
        """Return the chance to be green, averaged over a few random lists of these candidates."""
        if len(probs) < 2 or _entropy(probs) < self.min_entropy:
            return coin_expectation(self.share)
        likely = most_likely(probs)
        is_green = words_for(likely, seed) < np.uint32(round(self.share * 2.0**32))
        mass = np.where(is_green, likely, 0.0).sum(axis=1)
        mass = np.minimum(mass, 1.0)
        # the mean of the mass is known: what these few lists miss of it is taken off
        red = math.exp(-self.delta)
        slope = red / (red + (1 - red) * self.share) ** 2
        chance = float((_lifted(mass, self.delta) - slope * (mass - self.share)).mean())
        chance = min(max(chance, 0.0), 1.0)
        return coin_expectation(chance)

    def _listed(
        self,
        token_ids: Int64[np.ndarray, " n"],
        seeds: UInt64[np.ndarray, "k n"],
        is_asked: Bool[np.ndarray, "k n"],
    ) -> Bool[np.ndarray, "k n"]:
        if self.is_stateless:
            return words_of(token_ids, seeds) < np.uint32(self.limit)
        is_green = np.zeros(seeds.shape, np.bool_)
        asked = np.argwhere(is_asked)
        at_once = max(_WORDS_AT_ONCE // self._size, 1)
        for start in range(0, len(asked), at_once):
            rows, positions = asked[start : start + at_once].T
            words = words_of_all(self._size, seeds[rows, positions])
            is_green[rows, positions] = self._is_low(words, token_ids[positions])
        return is_green

    def _is_low(
        self, words: UInt32[np.ndarray, "n v"], token_ids: Int64[np.ndarray, " n"]
    ) -> Bool[np.ndarray, " n"]:
        """Say of one token of each row whether it is in the row's list; see `lowest`."""
        own = np.take_along_axis(words, token_ids[:, None], axis=1)
        num_before = (words < own).sum(axis=1)
        is_tie = (words == own) & (np.arange(words.shape[1]) < token_ids[:, None])
        return num_before + is_tie.sum(axis=1) < round(self.gamma * self._size)

    @property
    def _size(self) -> int:
        assert self.vocabulary_size is not None
        return self.vocabulary_size

    def _exact_list(self, seed: UInt64[np.ndarray, " one"]) -> Bool[np.ndarray, " v"]:
        words = words_of_all(self._size, seed)[0]
        return lowest(words, round(self.gamma * self._size))


class GreenMark:
    """The lists of one branch."""

    __slots__ = ("_contexts", "_key", "_scheme")

    def __init__(self, scheme: GreenLists, key: SubKey, contexts: Contexts) -> None:
        self._scheme = scheme
        self._key = key
        self._contexts = contexts

    def reweight(self, survivors: Survivors) -> Survivors:
        """See `Mark`; without a fresh context or a choice nothing changes."""
        if len(survivors.token_ids) == 1 or not self._contexts.is_fresh():
            return survivors
        if self._scheme.min_entropy and entropy_of(survivors) < self._scheme.min_entropy:
            return survivors
        is_green = self._scheme.green(survivors.token_ids, self._contexts, self._key)
        return lift(survivors, is_green, self._scheme.delta)

    def noise(self, token_ids: Int64[np.ndarray, " n"]) -> None:
        """Leave the noise: this mark is in the weights."""

    def counts(self, token: int) -> bool:
        """See `TextMark`."""
        del token
        return self._contexts.is_fresh()

    def values(self, token_ids: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"] | None:
        """See `TextMark`."""
        if not self._contexts.is_fresh():
            return None
        return self._scheme.green(token_ids, self._contexts, self._key).astype(np.float64)

    def expect(self, survivors: Survivors, token: int) -> Expectation | None:
        """See `TextMark`."""
        del token
        if not self._contexts.is_fresh():
            return None
        return self._scheme.expect(probs_of(survivors), seed=self._contexts.num_seen)

    def take(self, token: int) -> None:
        """See `Mark`."""
        self._contexts.take(token)

    def fork(self, stream: int) -> "GreenMark":
        """See `Mark`."""
        del stream
        return GreenMark(self._scheme, self._key, self._contexts.fork(self._key))


def lift(survivors: Survivors, is_green: Bool[np.ndarray, " n"], delta: float) -> Survivors:
    """Return the survivors with green ones raised by `delta`; where none is green, as they were."""
    if not is_green.any() or is_green.all():
        return survivors
    log_probs = survivors.log_probs.copy()
    if delta == math.inf:
        log_probs[~is_green] = -math.inf
    else:
        log_probs[is_green] += delta
    return Survivors(token_ids=survivors.token_ids, log_probs=log_probs)


def lowest(words: UInt32[np.ndarray, " v"], num: int) -> Bool[np.ndarray, " v"]:
    """Say which tokens have the `num` lowest words, ties going to the lower id."""
    chosen = np.zeros(len(words), np.bool_)
    ranked = words.astype(np.uint64) << np.uint64(32) | np.arange(len(words), dtype=np.uint64)
    chosen[np.argpartition(ranked, num - 1)[:num]] = True
    return chosen


def entropy_of(survivors: Survivors) -> float:
    """Return the entropy in nats of what may be drawn."""
    return _entropy(probs_of(survivors))


def _entropy(probs: Float64[np.ndarray, " n"]) -> float:
    possible = probs[probs > 0]
    return -float((possible * np.log(possible)).sum())


def _lifted(mass: Float64[np.ndarray, " j"], delta: float) -> Float64[np.ndarray, " j"]:
    """Return the mass of the green tokens after they were lifted."""
    red = (1 - mass) * math.exp(-delta)
    # of no green token nothing is lifted, and a hard list then forbids nothing
    return np.where(mass > 0, mass / np.where(mass + red > 0, mass + red, 1.0), 0.0)

"""Tournament sampling (SynthID-Text, Nature 634, 818-823): layers of keyed bits, each a contest.

A token has `depth` bits g_l(v), all from one word of (context, v, key). In each layer `leaves`
candidates meet and one with a 1 wins if there is any, which changes p_v by a factor that depends
on the mass of the ones: for two leaves p_v (1 + g_v - sum_u p_u g_u). Over keys that leaves p as it
is (more leaves do not: they favour rare tokens); the bits of the drawn token are 1 more often than
not. Letters: `k` sub-keys, `n` tokens,
`v` candidates.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64, Shaped, UInt32, UInt64

from llm.decoding.phases import Survivors
from llm.native.keyed_words import native_keyed_words
from llm.watermark.contexts import Contexts, Seeding, context_seeds, first_occurrences
from llm.watermark.null_laws import BinomialLaw, Law, WeightedBitsLaw
from llm.watermark.prf import SubKey, sub_key, words_of
from llm.watermark.sampled import most_likely, words_for
from llm.watermark.scheme import Expectation, Scores, check_num_sub_keys, probs_of, scores_of

MAX_DEPTH = 30
MAX_LEAVES = 16

Statistic = Literal["mean", "weighted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthID:
    """A tournament of `depth` layers between `leaves` candidates each.

    A detector adds the bits up: with equal weights ("mean", exact), or with weights that fall from
    10 to 1 over the layers ("weighted"), since later layers have less left to decide.
    """

    depth: int = MAX_DEPTH
    leaves: int = 2
    statistic: Statistic = "weighted"
    seeding: Seeding = field(default_factory=Seeding)
    num_sub_keys: int = 1

    def __post_init__(self) -> None:
        check_num_sub_keys(self.num_sub_keys)
        if not 1 <= self.depth <= MAX_DEPTH:
            raise ValueError(f"depth must be in [1, {MAX_DEPTH}], got {self.depth}")
        if not 2 <= self.leaves <= MAX_LEAVES:
            raise ValueError(f"leaves must be in [2, {MAX_LEAVES}], got {self.leaves}")
        if self.statistic not in ("mean", "weighted"):
            raise ValueError(f"the statistic is 'mean' or 'weighted', got {self.statistic!r}")
        if self.seeding.kind == "self":
            raise ValueError(
                "a tournament needs one context for all candidates; take the seeding 'window' or"
                " 'min'"
            )

    @property
    def label(self) -> str:
        """See `Scheme`."""
        return f"synthid-{self.seeding.label}"

    @property
    def weights(self) -> tuple[float, ...]:
        """What each layer's bit counts; they sum to `depth`."""
        if self.statistic == "mean":
            return (1.0,) * self.depth
        falling = np.linspace(10.0, 1.0, self.depth)
        return tuple((falling * (self.depth / falling.sum())).tolist())

    @property
    def law(self) -> Law:
        """See `Scheme`."""
        if self.statistic == "mean":
            return BinomialLaw(chance=0.5, trials=self.depth)
        return WeightedBitsLaw(weights=self.weights)

    def start(self, secret: bytes, *, seed: int, stream: int = 0) -> "TournamentMark":
        """See `Scheme`; all streams of a request have the same bits."""
        del stream
        key = sub_key(secret, self.label, seed % self.num_sub_keys)
        return TournamentMark(self, key, Contexts(self.seeding, key))

    def bits(
        self, token_ids: Int64[np.ndarray, " n"], keys: UInt64[np.ndarray, "k 6"]
    ) -> UInt32[np.ndarray, "k m"]:
        """Return the word of bits of each token that has a context, the first layer lowest."""
        seeds = context_seeds(token_ids, self.seeding, keys)
        return words_of(token_ids[self.seeding.num_previous :], seeds)

    def score(self, token_ids: Int64[np.ndarray, " n"], keys: UInt64[np.ndarray, "k 6"]) -> Scores:
        """See `Scheme`."""
        seeds = context_seeds(token_ids, self.seeding, keys)
        words = words_of(token_ids[self.seeding.num_previous :], seeds)
        return scores_of(self.value_of(words), seeds, first_occurrences(seeds), len(token_ids))

    def value_of(self, words: UInt32[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        """Return the weighted sum of the bits of each word."""
        if self.statistic == "mean":
            used = words & np.uint32((1 << self.depth) - 1)
            return np.bitwise_count(used).astype(np.float64)
        value = np.zeros(words.shape)
        for number, values in enumerate(_values_of_bytes(self.weights)):
            value += values[words >> np.uint32(8 * number) & np.uint32(0xFF)]
        return value

    def expect(self, probs: Float64[np.ndarray, " v"], *, seed: int = 0) -> Expectation:
        """Return the moments over a few random keys.

        Of two leaves the mean is known up to how often both are the same token: a layer that meets
        the distribution p gives a bit of 1/2 + (1 - sum p^2) / 4 on average.
        """
        if len(probs) < 2 or self.leaves != 2:
            return self.expect_of(probs, self.value_of, self.law, seed=seed)
        likely = most_likely(probs)
        words = words_for(likely, seed)
        marked, meetings = contests(np.broadcast_to(likely, words.shape), words, self.depth)
        mean = float((np.array(self.weights) * (0.75 - 0.25 * meetings)).sum())
        return _moments(mean, marked, self.value_of(words))

    def expect_of(
        self,
        probs: Float64[np.ndarray, " v"],
        value_of: Callable[[UInt32[np.ndarray, "..."]], Float64[np.ndarray, "..."]],
        law: Law,
        *,
        seed: int,
    ) -> Expectation:
        """Return the moments of any evidence that is made of the bits, over some random keys."""
        if len(probs) < 2:
            return Expectation(mean=law.mean, variance=law.variance)
        likely = most_likely(probs)
        words = words_for(likely, seed)
        values = value_of(words)
        marked = tournament(np.broadcast_to(likely, words.shape), words, self.depth, self.leaves)
        # without the tournament the mean is known: what these few keys miss of it is taken off
        mean = law.mean + float(((marked - likely) * values).sum(axis=1).mean())
        return _moments(mean, marked, values)


class TournamentMark:
    """The bits of one branch."""

    __slots__ = ("_contexts", "_key", "_scheme")

    def __init__(self, scheme: SynthID, key: SubKey, contexts: Contexts) -> None:
        self._scheme = scheme
        self._key = key
        self._contexts = contexts

    def reweight(self, survivors: Survivors) -> Survivors:
        """See `Mark`; without a fresh context or a choice nothing changes."""
        if len(survivors.token_ids) == 1 or not self._contexts.is_fresh():
            return survivors
        words = words_of(survivors.token_ids, np.array(self._contexts.seed(), np.uint64))
        marked = tournament(probs_of(survivors), words, self._scheme.depth, self._scheme.leaves)
        with np.errstate(divide="ignore"):
            return Survivors(token_ids=survivors.token_ids, log_probs=np.log(marked))

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
        words = words_of(token_ids, np.array(self._contexts.seed(), np.uint64))
        return self._scheme.value_of(words)

    def expect(self, survivors: Survivors, token: int) -> Expectation | None:
        """See `TextMark`."""
        del token
        if not self._contexts.is_fresh():
            return None
        return self._scheme.expect(probs_of(survivors), seed=self._contexts.num_seen)

    def take(self, token: int) -> None:
        """See `Mark`."""
        self._contexts.take(token)

    def fork(self, stream: int) -> "TournamentMark":
        """See `Mark`."""
        del stream
        return TournamentMark(self._scheme, self._key, self._contexts.fork(self._key))


@cache
def _values_of_bytes(weights: tuple[float, ...]) -> tuple[Float64[np.ndarray, " 256"], ...]:
    """Return what each value of each byte of a word counts, the lowest byte first."""
    numbers = np.arange(256, dtype=np.uint32)
    tables = []
    for start in range(0, len(weights), 8):
        values = np.zeros(256)
        for layer, weight in enumerate(weights[start : start + 8]):
            values += weight * (numbers >> np.uint32(layer) & np.uint32(1))
        tables.append(values)
    return tuple(tables)


def tournament(
    probs: Shaped[np.ndarray, "... v"],
    words: UInt32[np.ndarray, "... v"],
    depth: int,
    leaves: int = 2,
) -> Float64[np.ndarray, "... v"]:
    """Return the probabilities of the winners of all layers; `probs` sum to 1."""
    if leaves == 2 and (native := native_keyed_words()) is not None:
        shape = words.shape
        rows = np.broadcast_to(probs, shape).reshape(-1, shape[-1])
        return native.tournament(rows, words.reshape(rows.shape), depth)[0].reshape(shape)
    p = probs.astype(np.float64)
    for after in rounds(probs, words, depth, leaves):
        p = after
    return p / p.sum(axis=-1, keepdims=True)


def contests(
    probs: Float64[np.ndarray, "k v"], words: UInt32[np.ndarray, "k v"], depth: int
) -> tuple[Float64[np.ndarray, "k v"], Float64[np.ndarray, " l"]]:
    """Return what `tournament` does for two leaves, and how often both of a layer are one token.

    That is the sum of p^2 before the layer, as a mean over the rows.
    """
    native = native_keyed_words()
    if native is not None:
        return native.tournament(probs, words, depth)
    return twin_contests(probs, words, depth)


def twin_contests(
    probs: Float64[np.ndarray, "k v"], words: UInt32[np.ndarray, "k v"], depth: int
) -> tuple[Float64[np.ndarray, "k v"], Float64[np.ndarray, " l"]]:
    """Return the same as `contests` does, without compiled code."""
    *entering, winners = rounds(probs, words, depth, 2)
    meetings = np.array([(p**2).sum(axis=1).mean() for p in entering])
    return winners / winners.sum(axis=1, keepdims=True), meetings


def rounds(
    probs: Shaped[np.ndarray, "... v"],
    words: UInt32[np.ndarray, "... v"],
    depth: int,
    leaves: int,
) -> Iterator[Float64[np.ndarray, "... v"]]:
    """Return the probabilities before the first layer and after each."""
    p = probs.astype(np.float64)
    layers = np.arange(depth, dtype=np.uint32).reshape(depth, *(1,) * words.ndim)
    bits = (words >> layers & np.uint32(1)).astype(np.float64)
    yield p
    for ones in bits:
        mass = np.minimum((p * ones).sum(axis=-1, keepdims=True), 1.0)
        if leaves == 2:
            p = p * (ones + (1 - mass))
        else:
            p = p * np.where(ones > 0, _share_of_ones(mass, leaves), (1 - mass) ** (leaves - 1))
        yield p


def _moments(
    mean: float, marked: Float64[np.ndarray, "k v"], values: Float64[np.ndarray, "k v"]
) -> Expectation:
    away = values - mean
    weighted = marked * away * away  # and not powers, which cost a hundred times as much
    num = len(marked)
    return Expectation(
        mean=mean,
        variance=float(weighted.sum()) / num,
        third=float((weighted * away).sum()) / num,
    )


def _share_of_ones(mass: Float64[np.ndarray, "... 1"], leaves: int) -> Float64[np.ndarray, "... 1"]:
    """Return (1 - (1 - m)^N) / m, which is N at m = 0, without dividing."""
    share = np.zeros_like(mass)
    for power in range(leaves):
        share += (1 - mass) ** power
    return share

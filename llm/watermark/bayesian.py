"""The Bayesian detector of tournament marks (SynthID-Text, Nature 634, supplement).

In layer l two different tokens met with probability p2 = sigmoid(beta_l + sum_{j<l} delta_lj g_j):
the earlier bits say how much choice was left. Then P(g_l | marked) = ((g_l + 1/2) p2 + 1 - p2) / 2
against 1/2 without a mark. A token's evidence is the sum of the logarithms of their ratios. Its law
over random keys has no form; it is known by its values on the words of a code in which any six bits
are independent, so that a long text is not off by the sampling error of a mean. Letters: `k`
sub-keys, `n` tokens, `l` layers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int64, UInt32, UInt64

from llm.watermark.null_laws import Law, SampledLaw
from llm.watermark.sampled import random_words
from llm.watermark.scheme import Expectation, Scores, TextMark
from llm.watermark.step_probs import step_probs
from llm.watermark.synthid import MAX_DEPTH, SynthID, tournament

_GROUP = 16  # neighbouring values of the null law that are told by their mean
_EPOCHS = 300
_RATE = 0.05
_FITTED_ON = (0.3, 0.6, 1.0, 1.5, 2.5)  # nats
_FITTED_EACH = 200
_WORDS_AT_ONCE = 1 << 14
_DECAY = 0.02  # with less it learns its sample and finds fewer marks than the weighted mean


@dataclass(frozen=True, slots=True, kw_only=True)
class BayesianSynthID:
    """A tournament mark scored by likelihood; marks as `base` does and shares its sub-keys.

    `delta` is strictly lower triangular, row by row.
    """

    base: SynthID
    beta: tuple[float, ...]
    delta: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        depth = self.base.depth
        if len(self.beta) != depth or [len(row) for row in self.delta] != list(range(depth)):
            raise ValueError(
                f"beta must have {depth} entries and delta rows of 0 to {depth - 1}, as many as the"
                " layers before each"
            )
        if self.base.leaves != 2:
            raise ValueError("the likelihood is that of tournaments of two leaves")

    @property
    def label(self) -> str:
        """See `Scheme`."""
        return self.base.label

    @property
    def num_sub_keys(self) -> int:
        """See `Scheme`."""
        return self.base.num_sub_keys

    @property
    def law(self) -> Law:
        """See `Scheme`."""
        return _null_law(self)

    def start(self, secret: bytes, *, seed: int, stream: int = 0) -> TextMark:
        """See `Scheme`."""
        return self.base.start(secret, seed=seed, stream=stream)

    def score(self, token_ids: Int64[np.ndarray, " n"], keys: UInt64[np.ndarray, "k 6"]) -> Scores:
        """See `Scheme`."""
        plain = self.base.score(token_ids, keys)
        num = self.base.seeding.num_previous
        values = np.zeros(plain.values.shape)
        values[:, num:] = self.log_ratios(self.base.bits(token_ids, keys))
        return Scores(values=values, is_scored=plain.is_scored, coins=plain.coins)

    def expect(self, probs: Float64[np.ndarray, " v"], *, seed: int = 0) -> Expectation:
        """See `Scheme`."""
        return self.base.expect_of(probs, self.log_ratios, self.law, seed=seed)

    def log_ratios(self, words: UInt32[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        """Return ln P(bits | marked) / P(bits | not) of each word of bits."""
        flat, ratios = words.reshape(-1), np.empty(words.size)
        beta, delta = np.array(self.beta), _matrix(self.delta).T
        for start in range(0, len(flat), _WORDS_AT_ONCE):  # a long text would take much memory
            bits = _bits(flat[start : start + _WORDS_AT_ONCE], self.base.depth)
            met = _sigmoid(bits @ delta + beta)
            ratios[start : start + len(bits)] = np.log1p(met * (bits - 0.5)).sum(axis=-1)
        return ratios.reshape(words.shape)

    def posterior(self, total: float, prior: float = 0.5) -> float:
        """Return the probability of the mark, given the evidence and a prior probability."""
        if not 0 < prior < 1:
            raise ValueError(f"a prior probability must be in (0, 1), got {prior}")
        return 0.5 * (1 + math.tanh(0.5 * (total + math.log(prior / (1 - prior)))))


@lru_cache(maxsize=8)
def _null_law(scheme: BayesianSynthID) -> SampledLaw:
    """Return the law of a token's evidence over random bits, in groups of near values."""
    values = np.sort(scheme.log_ratios(independent_words()))
    return SampledLaw(values=tuple(values.reshape(-1, _GROUP).mean(axis=1).tolist()))


def independent_words() -> UInt32[np.ndarray, " n"]:
    """Return 2^15 words of 30 bits of which any six take all their values equally often.

    They are the words of the dual of the BCH code of length 31 and distance 7: bit i is the parity
    of some of 15 bits, those of a^i, a^3i and a^5i in the field of 32 elements. A mean over them is
    exact for whatever no more than six bits decide together.
    """
    powers = [1]
    while len(powers) < 31:  # a is a root of x^5 + x^2 + 1
        twice = powers[-1] << 1
        powers.append(twice ^ 0b100101 if twice & 32 else twice)
    numbers = np.arange(1 << 15, dtype=np.uint32)
    words = np.zeros(len(numbers), np.uint32)
    for i in range(MAX_DEPTH):
        chosen = powers[i] | powers[3 * i % 31] << 5 | powers[5 * i % 31] << 10
        parity = np.bitwise_count(numbers & np.uint32(chosen)) & np.uint8(1)
        words |= parity.astype(np.uint32) << np.uint32(i)
    return words


def fit(
    base: SynthID, distributions: Sequence[Float64[np.ndarray, " _"]], *, seed: int = 0
) -> BayesianSynthID:
    """Return the detector for texts whose tokens were drawn from such distributions.

    Marked tokens are drawn under random keys, then beta and delta climb their likelihood.
    """
    rng = np.random.default_rng(seed)
    words = []
    for number, probs in enumerate(distributions):
        offered = random_words(len(probs), seed, number)
        winners = tournament(probs, offered, base.depth)
        words.append(offered[rng.choice(len(probs), p=winners)])
    bits = _bits(np.array(words, np.uint32), base.depth)
    beta, delta = np.zeros(base.depth), np.zeros((base.depth, base.depth))
    for _ in range(_EPOCHS):
        met = _sigmoid(bits @ delta.T + beta)
        slope = (bits - 0.5) / (1 + met * (bits - 0.5)) * met * (1 - met)
        beta += _RATE * base.depth * slope.mean(axis=0)
        step = slope.T @ bits / len(bits) - _DECAY * delta
        delta += np.tril(_RATE * base.depth * step, -1)
    return BayesianSynthID(
        base=base,
        beta=tuple(beta.tolist()),
        delta=tuple(tuple(delta[i, :i].tolist()) for i in range(base.depth)),
    )


@lru_cache(maxsize=4)
def bayesian_synthid(seed: int = 0) -> BayesianSynthID:
    """Return the detector of any model's texts, fitted on made-up distributions.

    They have several entropies, as a model's have. Those of one model would be fitted better; the
    p-values are as true under any fit.
    """
    rng = np.random.default_rng(seed)
    offers = [step_probs(entropy, _FITTED_EACH, rng) for entropy in _FITTED_ON]
    return fit(SynthID(), list(np.concatenate(offers)), seed=seed)


def _bits(words: UInt32[np.ndarray, "..."], depth: int) -> Float64[np.ndarray, "... l"]:
    return (words[..., None] >> np.arange(depth, dtype=np.uint32) & np.uint32(1)).astype(np.float64)


def _matrix(rows: Sequence[Sequence[float]]) -> Float64[np.ndarray, "l l"]:
    matrix = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        matrix[i, :i] = row
    return matrix


def _sigmoid(x: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    return 0.5 * (1 + np.tanh(0.5 * x))

"""What evidence is without the key: the law of one scored token over a random key.

The key is random and the text is given, whatever it says: so the laws hold for any text, as long as
no coin is counted twice. Letters: `n` tokens.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from llm.watermark.p_values import (
    SLACK,
    binomial_log_tails,
    gamma_log_tail,
    hypergeometric_log_tails,
    saddlepoint_log_tail,
)


@runtime_checkable
class Law(Protocol):
    """The evidence of one scored token over a random key."""

    @property
    def mean(self) -> float:
        """What a token has on average."""
        ...

    @property
    def variance(self) -> float:
        """How much that varies."""
        ...

    @property
    def step(self) -> float:
        """By how much two totals differ at least; 0 where they are dense."""
        ...

    def log_tail(self, total: float, num: int) -> float:
        """Return ln P(the evidence of `num` tokens >= `total`)."""
        ...

    def cumulants(self, s: float) -> tuple[float, float, float]:
        """Return ln E[exp(s x)] of one token and two derivatives; inf where it has none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BinomialLaw:
    """`trials` coins of this chance for each token."""

    chance: float
    trials: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.chance < 1:
            raise ValueError(f"the chance of a coin must be in (0, 1), got {self.chance}")

    @property
    def mean(self) -> float:
        """See `Law`."""
        return self.trials * self.chance

    @property
    def variance(self) -> float:
        """See `Law`."""
        return self.trials * self.chance * (1 - self.chance)

    @property
    def step(self) -> float:
        """See `Law`."""
        return 1.0

    def log_tail(self, total: float, num: int) -> float:
        """See `Law`."""
        least = max(math.ceil(total - SLACK), 0)
        coins = num * self.trials
        return float(binomial_log_tails(coins, self.chance)[min(least, coins + 1)])

    def cumulants(self, s: float) -> tuple[float, float, float]:
        """See `Law`."""
        value, tilted = _coin(s, self.chance)
        n = self.trials
        return n * value, n * tilted, n * tilted * (1 - tilted)


@dataclass(frozen=True, slots=True)
class ExponentialLaw:
    """A standard exponential for each token; their sum is Gamma(num, 1)."""

    @property
    def mean(self) -> float:
        """See `Law`."""
        return 1.0

    @property
    def variance(self) -> float:
        """See `Law`."""
        return 1.0

    @property
    def step(self) -> float:
        """See `Law`."""
        return 0.0

    def log_tail(self, total: float, num: int) -> float:
        """See `Law`."""
        return gamma_log_tail(total, num)

    def cumulants(self, s: float) -> tuple[float, float, float]:
        """See `Law`."""
        if s >= 1:
            return math.inf, math.inf, math.inf
        return -math.log1p(-s), 1 / (1 - s), 1 / (1 - s) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HypergeometricLaw:
    """Distinct tokens against a list that holds exactly `num_green` of `size`."""

    num_green: int
    size: int

    def __post_init__(self) -> None:
        if not 0 < self.num_green < self.size:
            raise ValueError(
                f"a list must hold some of {self.size} tokens and not all, got {self.num_green}"
            )

    @property
    def mean(self) -> float:
        """See `Law`."""
        return self.num_green / self.size

    @property
    def variance(self) -> float:
        """Return that of a single token."""
        return self.mean * (1 - self.mean)

    @property
    def step(self) -> float:
        """See `Law`."""
        return 1.0

    def log_tail(self, total: float, num: int) -> float:
        """See `Law`."""
        least = max(math.ceil(total - SLACK), 0)
        tails = hypergeometric_log_tails(num, self.num_green, self.size)
        return float(tails[min(least, num + 1)])

    def cumulants(self, s: float) -> tuple[float, float, float]:
        """Return those of a single token."""
        value, tilted = _coin(s, self.mean)
        return value, tilted, tilted * (1 - tilted)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedBitsLaw:
    """A weighted sum of fair bits for each token."""

    weights: tuple[float, ...]

    @property
    def mean(self) -> float:
        """See `Law`."""
        return sum(self.weights) / 2

    @property
    def variance(self) -> float:
        """See `Law`."""
        return sum(w * w for w in self.weights) / 4

    @property
    def step(self) -> float:
        """See `Law`."""
        return 0.0

    def log_tail(self, total: float, num: int) -> float:
        """See `Law`."""

        def cumulants(s: float) -> tuple[float, float, float]:
            value, first, second = self.cumulants(s)
            return num * value, num * first, num * second

        if num == 0:
            return 0.0
        most = num * sum(w for w in self.weights if w > 0)
        if total >= most - SLACK:
            return num * len(self.weights) * math.log(0.5) if total <= most + SLACK else -math.inf
        return saddlepoint_log_tail(cumulants, total)

    def cumulants(self, s: float) -> tuple[float, float, float]:
        """See `Law`."""
        w = np.asarray(self.weights)
        t = s * w
        tilted = 0.5 * (1 + np.tanh(t / 2))
        value = np.logaddexp(0.0, t) - math.log(2)
        spread = tilted * (1 - tilted)
        return float(value.sum()), float((w * tilted).sum()), float((w * w * spread).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledLaw:
    """Any evidence, known by values that it took under the null."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """See `Law`."""
        return float(np.mean(self.values))

    @property
    def variance(self) -> float:
        """See `Law`."""
        return float(np.var(self.values))

    @property
    def step(self) -> float:
        """See `Law`."""
        return 0.0

    def log_tail(self, total: float, num: int) -> float:
        """See `Law`."""
        x = np.asarray(self.values)

        def cumulants(s: float) -> tuple[float, float, float]:
            value, first, second = _sampled(s, x)
            return num * value, num * first, num * second

        if total >= num * float(x.max()):
            return -num * math.log(len(x)) if total <= num * float(x.max()) else -math.inf
        return saddlepoint_log_tail(cumulants, total)

    def cumulants(self, s: float) -> tuple[float, float, float]:
        """See `Law`."""
        return _sampled(s, np.asarray(self.values))


def z_score(law: Law, total: float, num: int) -> float:
    """Return by how many standard deviations the evidence exceeds what chance gives."""
    return 0.0 if num == 0 else (total - num * law.mean) / math.sqrt(num * law.variance)


def weighted_log_tail(law: Law, weights: Float64[np.ndarray, " n"], total: float) -> float:
    """Return ln P(the weighted sum of independent tokens' evidence >= `total`)."""
    levels, counts = np.unique(weights[weights > 0], return_counts=True)
    if not len(levels):
        return 0.0

    def cumulants(s: float) -> tuple[float, float, float]:
        parts = [law.cumulants(float(w) * s) for w in levels]
        value = sum(int(c) * p[0] for c, p in zip(counts, parts, strict=True))
        terms = zip(levels, counts, parts, strict=True)
        first, second = 0.0, 0.0
        for w, c, part in terms:
            first += int(c) * float(w) * part[1]
            second += int(c) * float(w) ** 2 * part[2]
        return value, first, second

    highest = 1 / float(levels.max()) if math.isinf(law.cumulants(1.0)[0]) else math.inf
    return saddlepoint_log_tail(cumulants, total, highest)


def _coin(s: float, chance: float) -> tuple[float, float]:
    """Return ln E[exp(s x)] of a coin and its chance under the tilt."""
    if s > 0:
        value = s + math.log(chance + (1 - chance) * math.exp(-s))
    else:
        value = math.log1p(chance * math.expm1(s))
    return value, chance * math.exp(s - value)


def _sampled(s: float, x: Float64[np.ndarray, " n"]) -> tuple[float, float, float]:
    t = s * x
    peak = float(t.max())
    weight = np.exp(t - peak)
    mass = float(weight.sum())
    weight /= mass
    first = float((weight * x).sum())
    second = float((weight * (x - first) ** 2).sum())
    return peak + math.log(mass / len(x)), first, second

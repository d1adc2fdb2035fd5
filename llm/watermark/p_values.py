"""Exact tails of what a detector adds up: how likely so much evidence is without the key.

All are natural logarithms, since the tail of a long text is below what a float holds. Binomial and
hypergeometric tails are sums in log space, the Gamma tail is the Poisson sum that a whole shape
allows. Weighted sums have no such form: they use the saddle point (Lugannani and Rice, 1980), whose
relative error is a few per cent at most where there are some ten terms. Letters: `n` terms.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Float64

_TINY = 1e-12
SLACK = 1e-9  # of a total that is a sum of roundings
_MAX_STEPS = 200
_NEAR_MEAN = 0.01  # standard deviations

Cumulants = Callable[[float], tuple[float, float, float]]


def log_sum(values: Float64[np.ndarray, " n"]) -> float:
    """Return ln of the sum of exponentials."""
    peak = float(values.max(initial=-math.inf))
    if not math.isfinite(peak):
        return peak
    return peak + math.log(float(np.exp(values - peak).sum()))


@lru_cache(maxsize=64)
def log_factorials(num: int) -> Float64[np.ndarray, " n"]:
    """Return ln 0! to ln num!, rounded once each."""
    return np.array([math.lgamma(i + 1.0) for i in range(num + 1)])


@lru_cache(maxsize=256)
def binomial_log_tails(num: int, chance: float) -> Float64[np.ndarray, " n"]:
    """Return ln P(X >= x) for x = 0..num+1 successes among `num`."""
    assert 0 < chance < 1
    x = np.arange(num + 1)
    facts = log_factorials(num)
    log_pmf = facts[num] - facts[x] - facts[num - x] + x * math.log(chance)
    return _tails(log_pmf + (num - x) * math.log1p(-chance))


@lru_cache(maxsize=256)
def hypergeometric_log_tails(num: int, num_green: int, size: int) -> Float64[np.ndarray, " n"]:
    """Return ln P(X >= x) for x = 0..num+1 green ones among `num` drawn without replacement."""
    assert 0 <= num_green <= size
    assert num <= size
    facts = log_factorials(size)
    x = np.arange(num + 1)
    log_pmf = np.full(num + 1, -math.inf)
    can = (x <= num_green) & (num - x <= size - num_green)
    x = x[can]
    chosen = facts[num_green] - facts[x] - facts[num_green - x]
    others = facts[size - num_green] - facts[num - x] - facts[size - num_green - num + x]
    log_pmf[can] = chosen + others - (facts[size] - facts[num] - facts[size - num])
    return _tails(log_pmf)


def poisson_binomial_log_tail(chances: Float64[np.ndarray, " n"], least: int) -> float:
    """Return ln P(at least `least` successes) of coins that have these chances."""
    masses = np.zeros(len(chances) + 1)
    masses[0] = 1.0
    for chance in chances:
        masses[1:] = masses[1:] * (1 - chance) + masses[:-1] * chance
        masses[0] *= 1 - chance
    tail = float(masses[max(least, 0) :].sum())
    return math.log(min(tail, 1.0)) if tail > 0 else -math.inf


def gamma_log_tail(total: float, num: int) -> float:
    """Return ln P(a sum of `num` standard exponentials >= `total`)."""
    if total <= 0 or num == 0:
        return 0.0 if total <= 0 else -math.inf
    k = np.arange(num)
    return min(log_sum(k * math.log(total) - log_factorials(num)[:num]) - total, 0.0)


def saddlepoint_log_tail(cumulants: Cumulants, total: float, highest: float = math.inf) -> float:
    """Return ln P(X >= total) from the cumulants of X (Lugannani and Rice).

    `highest` bounds the argument from above where the cumulants end.
    """
    _, mean, variance = cumulants(0.0)
    if variance <= 0:
        return 0.0 if total <= mean + SLACK else -math.inf
    s = _saddle(cumulants, total, highest)
    value, _, curvature = cumulants(s)
    depth = s * total - value
    w = math.copysign(math.sqrt(max(2 * depth, 0.0)), s)
    u = s * math.sqrt(curvature)
    if abs(w) < _NEAR_MEAN:  # where the formula is 0/0: take the middle of both sides
        away = 2 * _NEAR_MEAN * math.sqrt(variance)
        sides = (saddlepoint_log_tail(cumulants, mean + d, highest) for d in (-away, away))
        below, above = map(math.exp, sides)
        return math.log(below + (above - below) * ((total - mean) / away + 1) / 2)
    if w < 0:
        return math.log(min(max(normal_tail(w) + _density(w) * (1 / u - 1 / w), _TINY), 1.0))
    # phi(w) (Mills(w) + 1/u - 1/w), so that it does not underflow
    ratio = _mills(w) + 1 / u - 1 / w
    bound = -depth  # Chernoff's, never below the tail
    if ratio <= 0:
        return bound
    return min(-0.5 * w * w - 0.5 * math.log(2 * math.pi) + math.log(ratio), bound, 0.0)


def normal_tail(z: float) -> float:
    """Return P(Z >= z) of a standard normal."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def best_of(log_p: float, num: int) -> float:
    """Return ln of the p-value of the lowest of `num` independent ones (Sidak's correction).

    Sub-keys and keys are independent, so this is exact, not only a bound.
    """
    assert num >= 1
    if log_p >= 0:
        return 0.0
    p = math.exp(log_p)
    if p < _TINY:
        return min(log_p + math.log(num), 0.0)
    return math.log(-math.expm1(num * math.log1p(-p)))


def share_of(alpha: float, num: int) -> float:
    """Return the level of one of `num` independent tests that together have the level `alpha`."""
    return -math.expm1(math.log1p(-alpha) / num)


def fisher_log(log_ps: list[float]) -> float:
    """Return ln of Fisher's combination of independent p-values."""
    return gamma_log_tail(-sum(log_ps), len(log_ps)) if log_ps else 0.0


def _tails(log_pmf: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " m"]:
    summed = np.logaddexp.accumulate(log_pmf[::-1])[::-1]
    return np.append(np.minimum(summed - max(float(summed[0]), 0.0), 0.0), -math.inf)


def _saddle(cumulants: Cumulants, total: float, highest: float) -> float:
    """Solve K'(s) = total by Newton's steps within a bracket; K' grows."""
    low, high = -1.0, 1.0 if math.isinf(highest) else highest * (1 - _TINY)
    for _ in range(60):
        if cumulants(low)[1] <= total:
            break
        low *= 2
    if math.isinf(highest):
        for _ in range(60):
            if cumulants(high)[1] >= total:
                break
            high *= 2
    s = min(max(0.0, low), high)
    for _ in range(_MAX_STEPS):
        _, slope, curvature = cumulants(s)
        if slope < total:
            low = s
        else:
            high = s
        # Newton's step, or half of the bracket where that leads out of it
        step = s + (total - slope) / curvature if curvature > 0 else low
        s, last = (step if low < step < high else 0.5 * (low + high)), s
        if abs(s - last) <= _TINY * max(abs(s), abs(last)) or high - low <= _TINY * abs(s):
            break
    return s


def _density(w: float) -> float:
    return math.exp(-0.5 * w * w) / math.sqrt(2 * math.pi)


def _mills(w: float) -> float:
    """Return P(Z >= w) / density(w) for w > 0."""
    if w < 20:
        return normal_tail(w) / _density(w)
    square = w * w
    return (1 - 1 / square + 3 / square**2 - 15 / square**3) / w

"""Predicted power: the chance that a reply will be recognised, from what could have been drawn.

The evidence of the tokens that count adds up to a variable with the moments of `Scheme.expect`. Its
chance to exceed the exact threshold of the detector is that of a Gamma variable with the same three
moments (by Wilson and Hilferty's cube root): short sums are skewed too much for a normal one. That
a reply is short and certain of its words is then said beforehand instead of being found out.
"""

import math
from dataclasses import dataclass

from llm.watermark.null_laws import Law
from llm.watermark.p_values import normal_tail, share_of
from llm.watermark.scheme import Expectation, Scheme

DEFAULT_ALPHA = 0.01
LEAST_POWER = 0.5  # below it a reply is called not detectable
_ALWAYS = 16
_LEAST_SKEWNESS = 1e-3
_BISECTIONS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """The chance `value` to detect a reply at a share `alpha` of false positives."""

    value: float
    alpha: float
    num_scored: int

    @property
    def is_detectable(self) -> bool:
        """Whether a detector will rather find the mark than not."""
        return self.value >= LEAST_POWER


class PowerMeter:
    """Adds up what the tokens of one reply are expected to say.

    To keep the cost low, expectations may be given for a share of the tokens: `wants` says for
    which, and they then stand for the others.
    """

    __slots__ = (
        "_mean",
        "_num",
        "_num_measured",
        "_num_tests",
        "_scheme",
        "_stride",
        "_third",
        "_variance",
    )

    def __init__(self, scheme: Scheme, *, num_keys: int = 1, stride: int = 1) -> None:
        if num_keys < 1 or stride < 1:
            raise ValueError(f"num_keys and stride must be >= 1, got {num_keys} and {stride}")
        self._scheme = scheme
        self._num_tests = num_keys * scheme.num_sub_keys
        self._stride = stride
        self._num = 0
        self._num_measured = 0.0
        self._mean = 0.0
        self._variance = 0.0
        self._third = 0.0

    @property
    def wants(self) -> bool:
        """Whether the next token that counts should come with its expectation."""
        return self._num < _ALWAYS or self._num % self._stride == 0

    def add(self, expected: Expectation | None) -> None:
        """Note a token that counts."""
        if expected is not None:
            weight = 1.0 if self._num < _ALWAYS else float(self._stride)
            self._num_measured += weight
            self._mean += weight * expected.mean
            self._variance += weight * expected.variance
            self._third += weight * expected.third
        self._num += 1

    def fork(self) -> "PowerMeter":
        """Return an independent copy."""
        copy = object.__new__(PowerMeter)
        for name in PowerMeter.__slots__:
            setattr(copy, name, getattr(self, name))
        return copy

    def power(self, alpha: float = DEFAULT_ALPHA) -> Power:
        """Return the predicted power."""
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be in (0, 1), got {alpha}")
        if not self._num_measured:
            return Power(value=0.0, alpha=alpha, num_scored=self._num)
        scale = self._num / self._num_measured
        total = Expectation(
            mean=self._mean * scale, variance=self._variance * scale, third=self._third * scale
        )
        value = predicted_power(
            self._scheme.law, total, self._num, alpha=alpha, num_tests=self._num_tests
        )
        return Power(value=value, alpha=alpha, num_scored=self._num)


def predicted_power(
    law: Law, total: Expectation, num: int, *, alpha: float, num_tests: int = 1
) -> float:
    """Return the chance that evidence of these moments exceeds the threshold of `num` tokens."""
    if num == 0:
        return 0.0
    level = share_of(alpha, num_tests)
    threshold = critical_total(law, num, level)
    if math.isinf(threshold):
        return 0.0
    own = _skewed_tail(threshold, total)
    # another sub-key may pass by chance
    return 1 - (1 - own) * (1 - level) ** (num_tests - 1)


def _skewed_tail(threshold: float, total: Expectation) -> float:
    deviation = math.sqrt(max(total.variance, 1e-12))
    z = (threshold - total.mean) / deviation
    skewness = total.third / deviation**3
    if abs(skewness) < _LEAST_SKEWNESS:
        return normal_tail(z)
    base = 1 + skewness * z / 2
    if base <= 0:  # beyond the end of that Gamma variable
        return 0.0 if skewness < 0 else 1.0
    return normal_tail((base ** (1 / 3) - 1) * 6 / skewness + skewness / 6)


def critical_total(law: Law, num: int, alpha: float) -> float:
    """Return the evidence from which on `num` tokens are detected at the level `alpha`.

    Of a law on steps it is half a step below the first total that is enough; infinity where none
    is.
    """
    wanted = math.log(alpha)
    low = num * law.mean
    high = low + 4 * math.sqrt(num * law.variance) + law.step
    for _ in range(_BISECTIONS):
        if law.log_tail(high, num) <= wanted:
            break
        low, high = high, high + 2 * (high - num * law.mean)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if law.log_tail(middle, num) <= wanted:
            high = middle
        else:
            low = middle
    if not law.step:
        return high
    # the tail falls just above each total that can be, the last one that is not enough
    return math.inf if math.isinf(law.log_tail(high, num)) else round(high) + law.step / 2

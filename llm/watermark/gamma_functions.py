"""The derivatives of ln Gamma for arguments of at least 1, by recurrence and series.

Up to `_SHIFT` by f(x) = f(x + 1) -+ ..., then the asymptotic series (Abramowitz and Stegun, 6.3.18,
6.4.12 and 6.4.13). Letters: `n` arguments.
"""

import numpy as np
from jaxtyping import Float64

EULER_GAMMA = 0.5772156649015328606
APERY = 1.2020569031595942854  # the sum of 1 / n^3
_SHIFT = 8


def digamma(x: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the derivative of ln Gamma."""
    y = x + _SHIFT
    inverse = 1 / y**2
    series = inverse * (1 / 12 - inverse * (1 / 120 - inverse * (1 / 252 - inverse / 240)))
    result = np.log(y) - 0.5 / y - series
    for i in range(_SHIFT):
        result -= 1 / (x + i)
    return result


def trigamma(x: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the second derivative of ln Gamma."""
    y = x + _SHIFT
    inverse = 1 / y**2
    series = (1 / 6 - inverse * (1 / 30 - inverse * (1 / 42 - inverse / 30))) * inverse / y
    result = 1 / y + 0.5 * inverse + series
    for i in range(_SHIFT):
        result += 1 / (x + i) ** 2
    return result


def tetragamma(x: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the third derivative of ln Gamma, which is negative."""
    y = x + _SHIFT
    inverse = 1 / y**2
    series = inverse**2 * (1 / 2 - inverse * (1 / 6 - inverse * (1 / 6 - inverse * 3 / 10)))
    result = -inverse - inverse / y - series
    for i in range(_SHIFT):
        result -= 2 / (x + i) ** 3
    return result

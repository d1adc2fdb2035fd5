"""Exponential and logarithm as fixed sequences of IEEE additions, multiplications and divisions.

The library's own differ in the last bit between CPUs and versions, and from those of any compiler.
These give the same bits in numpy and in `llm/native/sampling_arithmetic.h`, so a seed draws the
same tokens with and without a compiler, on every machine. Knows nothing of tokens.
"""

import numpy as np
from jaxtyping import Float32, Float64, Int64

# Probabilities are added as integers: no order of summation, histogram or thread matters then.
MASS_BITS = 44  # the mass of e^0
_FARTHEST = -64.0  # e^-64 rounds to no mass
_LOG2_E = float.fromhex("0x1.71547652b82fep+0")
# 2^f on [-1/2, 1/2], interpolated at Chebyshev's nodes: relative error below 1e-15
_EXP2 = tuple(
    float.fromhex(digits)
    for digits in (
        "0x1.e5e9f548e5725p-28",
        "0x1.b6571de2f2351p-24",
        "0x1.62bfe46117445p-20",
        "0x1.ffcb76789860fp-17",
        "0x1.4309130378460p-13",
        "0x1.5d87fe908f88ap-10",
        "0x1.3b2ab6fba385fp-7",
        "0x1.c6b08d7044119p-5",
        "0x1.ebfbdff82c590p-3",
        "0x1.62e42fefa39f7p-1",
        "0x1p+0",
    )
)
# the same in float32, relative error below 2e-7, for sums that need no more
ROUGH_BITS = 32
_ROUGH_FARTHEST = np.float32(-23.0)  # e^-23 rounds to nothing in this unit
_ROUGH_LOG2_E = np.float32(float.fromhex("0x1.715476p+0"))
_ROUGH_EXP2 = tuple(
    np.float32(float.fromhex(digits))
    for digits in (
        "0x1.444000p-13",
        "0x1.5f48c0p-10",
        "0x1.3b2a1cp-7",
        "0x1.c6aeccp-5",
        "0x1.ebfbe0p-3",
        "0x1.62e430p-1",
        "0x1p+0",
    )
)
# the natural logarithm of fdlibm (e_log.c)
_LOG = (
    1.479819860511658591e-01,
    1.531383769920937332e-01,
    1.818357216161805012e-01,
    2.222219843214978396e-01,
    2.857142874366239149e-01,
    3.999999999940941908e-01,
    6.666666666666735130e-01,
)
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_SQRT_HALF = 0x3FE6A09E00000000  # its upper bits
_ONE = 0x3FF0000000000000
_MANTISSA = 0x000FFFFFFFFFFFFF


def masses(tempered: Float64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return e^x for x <= 0 in units of 2^-44, rounded to even."""
    scaled = np.maximum(tempered, _FARTHEST) * _LOG2_E
    whole = np.rint(scaled)
    fraction = scaled - whole
    power = np.full_like(fraction, _EXP2[0])
    for coefficient in _EXP2[1:]:
        power *= fraction
        power += coefficient
    return np.rint(np.ldexp(power, whole.astype(np.int32) + MASS_BITS)).astype(np.int64)


def rough_total(logits: Float32[np.ndarray, " n"], peak: np.float32) -> int:
    """Return the sum of e^(x - peak), peak being the highest, in units of 2^-32.

    Each term is rounded to that and made in float32: the sum of a row is right to 1e-6.
    """
    x = logits - peak
    scaled = x[x > _ROUGH_FARTHEST] * _ROUGH_LOG2_E
    whole = np.rint(scaled)
    fraction = scaled - whole
    power = np.full_like(fraction, _ROUGH_EXP2[0])
    for coefficient in _ROUGH_EXP2[1:]:
        power *= fraction
        power += coefficient
    mass = np.ldexp(power, whole.astype(np.int32) + ROUGH_BITS).astype(np.float64)
    return int(np.rint(mass).astype(np.int64).sum())


def log(x: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return ln x of positive numbers that are neither subnormal nor infinite."""
    raised = x.view(np.int64) + (_ONE - _SQRT_HALF)
    k = ((raised >> 52) - 1023).astype(np.float64)
    f = ((raised & _MANTISSA) + _SQRT_HALF).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    series = np.full_like(z, _LOG[0])
    for coefficient in _LOG[1:]:
        series *= z
        series += coefficient
    half_square = 0.5 * f * f
    low = s * (half_square + series * z) + k * _LN2_LOW
    return k * _LN2_HIGH - ((half_square - low) - f)


def log_of(x: float) -> float:
    """Return ln x of one number; see `log`."""
    return float(log(np.array([x]))[0])

"""The moments of a Gumbel mark's evidence, from a table: what `Gumbel.expect` computes exactly.

Three polygamma functions for each candidate of each token cost more than a draw does. The raw
moments of the evidence of a token of probability p are smooth in ln p, so they are tabulated there
once and read by lines between neighbours; the error is below 1e-5 of each moment.
Letters: `v` candidates, `m` nodes.
"""

import math
from functools import cache

import numpy as np
from jaxtyping import Float64

from llm.watermark.gamma_functions import APERY, EULER_GAMMA, digamma, tetragamma, trigamma
from llm.watermark.scheme import Expectation

_PER_NAT = 128
_FARTHEST = 24  # nats: rarer tokens count as those of e^-24, and weigh nothing
_ORIGIN = float(_FARTHEST * _PER_NAT)


def conditional_moments(
    probs: Float64[np.ndarray, " v"],
) -> tuple[Float64[np.ndarray, " v"], Float64[np.ndarray, " v"], Float64[np.ndarray, " v"]]:
    """Return mean, variance and third central moment of -ln(1 - r), where r is Beta(1 / p, 1)."""
    x = 1 + 1 / probs
    means = digamma(x) + EULER_GAMMA
    variances = math.pi**2 / 6 - trigamma(x)
    thirds = 2 * APERY + tetragamma(x)
    return means, variances, thirds


def read_moments(log_probs: Float64[np.ndarray, " v"]) -> Expectation:
    """Return the moments where tokens are drawn with these log-probabilities, up to a constant."""
    near = log_probs - log_probs.max()
    weights = np.exp(near)
    total = float(weights.sum())
    place = (near - math.log(total)) * _PER_NAT + _ORIGIN
    np.maximum(place, 0.0, out=place)
    left = place.astype(np.int64)
    nodes, slopes = _table()
    rows = nodes.take(left, axis=0)
    rows += slopes.take(left, axis=0) * (place - left)[:, None]
    mean, second, third = (weights @ rows / total).tolist()
    return Expectation(
        mean=mean,
        variance=second - mean * mean,
        third=third - 3 * mean * second + 2 * mean**3,
    )


@cache
def _table() -> tuple[Float64[np.ndarray, "m 3"], Float64[np.ndarray, "m 3"]]:
    """Return the raw moments at each node, and what they gain up to the next one."""
    steps = np.arange(_FARTHEST * _PER_NAT + 1)
    mean, variance, third = conditional_moments(np.exp(steps / _PER_NAT - _FARTHEST))
    raw = np.stack([mean, variance + mean**2, third + 3 * mean * variance + mean**3], axis=1)
    return raw, np.append(np.diff(raw, axis=0), np.zeros((1, 3)), axis=0)

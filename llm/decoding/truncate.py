"""Temperature, then truncation: which tokens may be drawn, and their log-probabilities.

One sort serves all cuts. Each cut is a set of tokens of the same tempered distribution, and the
sets are intersected, so their order has no meaning. Definitions: top-k keeps the first k; top-p the
smallest prefix whose mass reaches p (arXiv 1904.09751); min-p all with p_v >= m * max p
(arXiv 2407.01082). Ties are broken by the lower token id. This is the obvious twin of
`llm/native/sampling.cpp`, which decides on the same numbers to the bit: logits are read as float32,
probabilities added as integers (`masses`).
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64, Shaped

from llm.decoding.elementary import MASS_BITS, log_of, masses
from llm.native.sampling import MAX_VOCABULARY
from llm.sampling_params import SamplingParams

GREEDY_BELOW = 1e-5
_SIGN = np.uint32(0x80000000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivors:
    """The tokens that may be drawn, most probable first, with tempered log-probabilities.

    The log-probabilities are those before truncation: they sum to one over the whole vocabulary.
    """

    token_ids: Int64[np.ndarray, " n"]
    log_probs: Float64[np.ndarray, " n"]


def truncate(logits: Shaped[np.ndarray, " v"], params: SamplingParams) -> Survivors:
    """Return the survivors of one row; at temperature 0 the arg max alone.

    Raises:
        ValueError: the logits hold a NaN or +inf, or nothing finite.
    """
    assert len(logits) <= MAX_VOCABULARY
    z = logits.astype(np.float32)
    peak = float(z.max())
    if not math.isfinite(peak):
        raise ValueError("the logits are not finite: the weights or the input are damaged")
    if params.temperature < GREEDY_BELOW:
        best = np.array([int(z.argmax())], dtype=np.int64)
        return Survivors(token_ids=best, log_probs=np.zeros(1))
    tempered = (z.astype(np.float64) - peak) * (1.0 / params.temperature)
    mass = masses(tempered)
    total = int(mass.sum())
    order = _by_rank(z)
    keep = _number_kept(tempered[order], mass[order], total, params)
    token_ids = order[:keep]
    log_total = log_of(float(total) * 2.0**-MASS_BITS)
    return Survivors(token_ids=token_ids, log_probs=tempered[token_ids] - log_total)


def _by_rank(z: Float32[np.ndarray, " v"]) -> Int64[np.ndarray, " v"]:
    """Sort by descending logit, then ascending id: words of both, as numpy sorts integers fast."""
    bits = (z + np.float32(0)).view(np.uint32)  # one zero, not two
    descending = np.where(bits & _SIGN, bits, ~(bits | _SIGN))
    words = (descending.astype(np.uint64) << np.uint64(32)) | np.arange(len(z), dtype=np.uint64)
    words.sort()
    return (words & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _number_kept(
    ranked: Float64[np.ndarray, " v"],
    mass: Int64[np.ndarray, " v"],
    total: int,
    params: SamplingParams,
) -> int:
    """Every cut keeps a prefix of the sorted row, so their intersection is the shortest."""
    keep = int(np.isfinite(ranked).sum())
    if params.top_k:
        keep = min(keep, params.top_k)
    if params.top_p < 1:
        wanted = min(math.ceil(params.top_p * float(total)), total)
        keep = min(keep, int(np.searchsorted(np.cumsum(mass), wanted)) + 1)
    if params.min_p > 0:
        keep = min(keep, int((ranked >= log_of(params.min_p)).sum()))
    return max(keep, 1)

"""Temperature, then truncation: which tokens may be drawn, and their log-probabilities.

One sort serves all cuts. Each cut is a set of tokens of the same tempered distribution, and the
sets are intersected, so their order has no meaning; if they share no token, the most probable one
is kept. Top-k keeps the first k; top-p the smallest prefix whose mass reaches p (arXiv 1904.09751);
min-p all with p_v >= m * max p (arXiv 2407.01082); typical the smallest set, by distance of the
surprise -ln p_v from the entropy H, whose mass reaches p (arXiv 2202.00666); epsilon all with
p_v >= e and eta all with p_v >= min(e, sqrt(e) * exp(-H)) (arXiv 2210.15191); top-n-sigma all with
z_v >= max z - n * sigma, untempered (arXiv 2411.07641); mirostat all whose surprise in bits is at
most its ceiling (arXiv 2007.14966). Ties are broken by the lower token id. For the first three this
is the obvious twin of `llm/native/sampling.cpp`, which decides on the same numbers to the bit:
logits are read as float32, probabilities added as integers (`masses`).
"""

import math

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, Shaped

from llm.decoding.elementary import MASS_BITS, log_of, masses
from llm.decoding.phases import Survivors
from llm.native.sampling import MAX_VOCABULARY
from llm.sampling_params import SamplingParams

GREEDY_BELOW = 1e-5
# A greedy text is marked by weights among its likeliest tokens; nothing is drawn.
MARKED_GREEDY = SamplingParams(temperature=1.0, top_k=64)
_LN2 = log_of(2.0)
_SIGMA_BITS = 44
_SIGN = np.uint32(0x80000000)


def needs_twin(params: SamplingParams) -> bool:
    """Whether a row asks for a cut that only this module knows."""
    return params.temperature >= GREEDY_BELOW and (
        params.typical_p < 1
        or params.epsilon_cutoff > 0
        or params.eta_cutoff > 0
        or params.top_n_sigma > 0
        or params.mirostat is not None
    )


def truncate(
    logits: Shaped[np.ndarray, " v"], params: SamplingParams, *, most_bits: float = math.inf
) -> Survivors:
    """Return the survivors of one row; at temperature 0 the arg max alone.

    `most_bits` is mirostat's ceiling.

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
    order = _by_rank(z)
    row = _Ranked(
        z=z[order],
        tempered=tempered[order],
        mass=mass[order],
        total=int(mass.sum()),
        finite=int(np.isfinite(z).sum()),
    )
    keep = _number_kept(row, params)
    if needs_twin(params):
        keep = min(keep, _number_above(row, params, most_bits))
    token_ids, log_probs = order[:keep], row.log_probs[:keep]
    if params.typical_p < 1:
        typical = _typical(row, params.typical_p)[:keep]
        if typical.any():
            token_ids, log_probs = token_ids[typical], log_probs[typical]
        else:
            keep = 0
    if not keep:
        token_ids, log_probs = order[:1], row.log_probs[:1]
    return Survivors(token_ids=token_ids, log_probs=log_probs)


class _Ranked:
    """A row in the order of its ranks."""

    def __init__(
        self,
        *,
        z: Float32[np.ndarray, " v"],
        tempered: Float64[np.ndarray, " v"],
        mass: Int64[np.ndarray, " v"],
        total: int,
        finite: int,
    ) -> None:
        self.z = z
        self.tempered = tempered
        self.mass = mass
        self.total = total
        self.finite = finite  # how many are possible; the others are behind
        self.log_probs = tempered - log_of(float(total) * 2.0**-MASS_BITS)

    def entropy(self) -> float:
        """Return it in nats; its terms are added as integers too."""
        x = self.tempered[: self.finite]
        terms = np.rint(self.mass[: self.finite].astype(np.float64) * -x).astype(np.int64)
        return float(self.tempered[0] - self.log_probs[0]) + int(terms.sum()) / self.total

    def sigma(self) -> float:
        """Return the standard deviation of the possible logits; see `entropy`."""
        below = float(self.z[0]) - self.z[: self.finite].astype(np.float64)
        farthest = float(below[-1])
        if farthest == 0:
            return 0.0
        unit = 2.0**_SIGMA_BITS
        u = below / farthest
        mean = int(np.rint(u * unit).astype(np.int64).sum()) / (self.finite * unit)
        square = int(np.rint(u * u * unit).astype(np.int64).sum()) / (self.finite * unit)
        return farthest * math.sqrt(max(square - mean * mean, 0.0))


def _by_rank(z: Float32[np.ndarray, " v"]) -> Int64[np.ndarray, " v"]:
    """Sort by descending logit, then ascending id: words of both, as numpy sorts integers fast."""
    bits = (z + np.float32(0)).view(np.uint32)  # one zero, not two
    descending = np.where(bits & _SIGN, bits, ~(bits | _SIGN))
    words = (descending.astype(np.uint64) << np.uint64(32)) | np.arange(len(z), dtype=np.uint64)
    words.sort()
    return (words & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _number_kept(row: _Ranked, params: SamplingParams) -> int:
    """Each of these keeps a prefix of the sorted row, so their intersection is the shortest."""
    keep = row.finite
    if params.top_k:
        keep = min(keep, params.top_k)
    if params.top_p < 1:
        keep = min(keep, _number_for(params.top_p, row.mass, row.total))
    if params.min_p > 0:
        keep = min(keep, int((row.tempered >= log_of(params.min_p)).sum()))
    return max(keep, 1)


def _number_for(p: float, mass: Int64[np.ndarray, " v"], total: int) -> int:
    """Return how many of the first masses reach a share of the total."""
    wanted = min(math.ceil(p * float(total)), total)
    return int(np.searchsorted(np.cumsum(mass), wanted)) + 1


def _number_above(row: _Ranked, params: SamplingParams, most_bits: float) -> int:
    """These keep prefixes as well: all tokens above some probability or logit."""
    least = -math.inf
    if params.epsilon_cutoff > 0:
        least = max(least, log_of(params.epsilon_cutoff))
    if params.eta_cutoff > 0:
        log_eta = log_of(params.eta_cutoff)
        least = max(least, min(log_eta, 0.5 * log_eta - row.entropy()))
    if params.mirostat is not None:
        least = max(least, -most_bits * _LN2)
    above = row.log_probs >= least
    if params.top_n_sigma > 0:
        lowest = float(row.z[0]) - params.top_n_sigma * row.sigma()
        above &= row.z.astype(np.float64) >= lowest
    return int(above.sum())


def _typical(row: _Ranked, p: float) -> Bool[np.ndarray, " v"]:
    entropy = row.entropy()
    distance = np.abs(-row.log_probs - entropy)
    nearest = np.argsort(distance, kind="stable")
    keep = np.zeros(len(nearest), np.bool_)
    keep[nearest[: _number_for(p, row.mass[nearest], row.total)]] = True
    return keep

"""Temperature, then truncation: which tokens may be drawn, and their log-probabilities.

One sort serves all cuts. Each cut is a set of tokens of the same tempered distribution, and the
sets are intersected, so their order has no meaning. Definitions: top-k keeps the first k; top-p the
smallest prefix whose mass reaches p (arXiv 1904.09751); min-p all with p_v >= m * max p
(arXiv 2407.01082). Ties are broken by the lower token id.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from llm.sampling_params import SamplingParams

GREEDY_BELOW = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivors:
    """The tokens that may be drawn, most probable first, with tempered log-probabilities."""

    token_ids: Int64[np.ndarray, " n"]
    log_probs: Float64[np.ndarray, " n"]


def truncate(logits: Shaped[np.ndarray, " v"], params: SamplingParams) -> Survivors:
    """Return the survivors of one row; at temperature 0 the arg max alone.

    Raises:
        ValueError: the logits hold a NaN, or nothing finite.
    """
    z = logits.astype(np.float64)
    if np.isnan(z).any() or not np.isfinite(z).any():
        raise ValueError("the logits are not finite: the weights or the input are damaged")
    if params.temperature < GREEDY_BELOW:
        best = np.array([int(z.argmax())], dtype=np.int64)
        return Survivors(token_ids=best, log_probs=np.zeros(1))
    z /= params.temperature
    log_probs = z - z.max()
    log_probs -= np.log(np.exp(log_probs).sum())
    # A stable sort of the negative keeps the lower id first among equals.
    order = np.argsort(-log_probs, kind="stable")
    ranked = log_probs[order]
    keep = _number_kept(ranked, params)
    return Survivors(token_ids=order[:keep].astype(np.int64), log_probs=ranked[:keep])


def _number_kept(ranked: Float64[np.ndarray, " v"], params: SamplingParams) -> int:
    """Every cut keeps a prefix of the sorted row, so their intersection is the shortest."""
    keep = int(np.isfinite(ranked).sum())
    if params.top_k:
        keep = min(keep, params.top_k)
    if params.top_p < 1:
        mass = np.cumsum(np.exp(ranked))
        keep = min(keep, int(np.searchsorted(mass, params.top_p)) + 1)
    if params.min_p > 0:
        floor = ranked[0] + np.log(params.min_p)
        keep = min(keep, int((ranked >= floor).sum()))
    return max(keep, 1)

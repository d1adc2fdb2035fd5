"""The parts of a long text, and which of them has the most evidence.

Letters: `p` parts.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from llm.watermark.null_laws import Law
from llm.watermark.scheme import Scores

LEAST_PART = 64
_TRIED = 16  # parts of one length whose tails are computed, those of the highest z-scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The tokens from `start` to `stop` and how likely their evidence is without the key."""

    start: int
    stop: int
    log_p: float


def parts_of(num_tokens: int) -> Int64[np.ndarray, "p 2"]:
    """Return starts and stops: lengths of `LEAST_PART` times powers of two, moved by quarters.

    The whole text is the first.
    """
    parts = [(0, num_tokens)]
    length = LEAST_PART
    while length < num_tokens:
        starts = range(0, num_tokens - length + length // 4, length // 4)
        parts += [(start, min(start + length, num_tokens)) for start in starts]
        length *= 2
    return np.array(parts, np.int64)


def best_part(scores: Scores, row: int, parts: Int64[np.ndarray, "p 2"], law: Law) -> Part:
    """Return the part with the lowest tail under one sub-key."""
    is_scored = scores.is_scored[row]
    values = np.where(is_scored, scores.values[row], 0.0)
    totals = np.concatenate([[0.0], np.cumsum(values)])
    counts = np.concatenate([[0], np.cumsum(is_scored)])
    total = totals[parts[:, 1]] - totals[parts[:, 0]]
    count = counts[parts[:, 1]] - counts[parts[:, 0]]
    z = (total - count * law.mean) / np.sqrt(np.maximum(count, 1) * law.variance)
    lengths = parts[:, 1] - parts[:, 0]
    best = Part(start=0, stop=int(parts[0, 1]), log_p=math.inf)
    for length in np.unique(lengths):
        those = np.flatnonzero(lengths == length)
        for i in those[np.argsort(-z[those], kind="stable")[:_TRIED]]:
            log_p = law.log_tail(float(total[i]), int(count[i]))
            if log_p < best.log_p:
                best = Part(start=int(parts[i, 0]), stop=int(parts[i, 1]), log_p=log_p)
    return best

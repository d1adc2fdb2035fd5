"""How far a head's probabilities can be trusted, on texts that it did not learn from.

Letters: `n` prefixes.
"""

from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from llm.training.prefix_data import Prefixes

LENGTHS = ((1, 4), (5, 8), (9, 16), (17, 64))  # of prefixes, in tokens, both ends included
_BINS = 10
_FACTORS = np.geomspace(0.1, 5.0, 80)


def best_temperature(scores: Float64[np.ndarray, " n"], labels: Float32[np.ndarray, " n"]) -> float:
    """Return the factor for logits (one over the temperature) of the highest likelihood."""
    if len(scores) == 0:
        return 1.0
    signed = scores * (2 * labels - 1)
    losses = [np.logaddexp(0, -factor * signed).mean() for factor in _FACTORS]
    return float(_FACTORS[int(np.argmin(losses))])


def metric_of(prefixes: Prefixes, scores: Float64[np.ndarray, " n"]) -> dict[str, Any]:
    """Return accuracy and AUC on whole held-out texts, and the calibration error by length."""
    held = prefixes.is_held_out
    whole = held & prefixes.is_whole
    errors: dict[str, float | None] = {}
    for low, high in LENGTHS:
        rows = held & (prefixes.lengths >= low) & (prefixes.lengths <= high)
        error = calibration_error(scores[rows], prefixes.labels[rows])
        errors[f"{low}-{high}"] = round(error, 4) if rows.any() else None
    right = (scores[whole] > 0) == (prefixes.labels[whole] == 1)
    return {
        "accuracy": round(float(right.mean()), 4) if len(right) else None,
        "auc": round(area_under_curve(scores[whole], prefixes.labels[whole]), 4),
        "held_out_texts": int(whole.sum()),
        "held_out_prefixes": int(held.sum()),
        "expected_calibration_error_by_prefix_tokens": errors,
    }


def area_under_curve(scores: Float64[np.ndarray, " n"], labels: Float32[np.ndarray, " n"]) -> float:
    """Return the probability that a positive scores above a negative; ties count one half."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    if not (len(positive) and len(negative)):
        return float("nan")
    order = np.sort(negative)
    below = np.searchsorted(order, positive, "left")
    upto = np.searchsorted(order, positive, "right")
    return float((below + upto).sum() / (2 * len(positive) * len(negative)))


def calibration_error(
    scores: Float64[np.ndarray, " n"], labels: Float32[np.ndarray, " n"]
) -> float:
    """Return the expected calibration error over ten bins of P(positive) (arXiv 1706.04599)."""
    if len(scores) == 0:
        return float("nan")
    p = 1 / (1 + np.exp(-scores))
    bins = np.minimum((p * _BINS).astype(int), _BINS - 1)
    gaps = [
        abs(float((p[bins == i] - labels[bins == i]).mean())) * (bins == i).mean()
        for i in np.unique(bins)
    ]
    return float(sum(gaps))

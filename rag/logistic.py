"""Logistic regression with a ridge penalty, by Newton's method: few features, any machine."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_MAX_STEPS = 50
_MAX_LOGIT = 30.0
_NEVER_VARIES = 1e-9  # rounding
_STILL = 1e-8  # a step that moves nothing any more


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LogisticModel:
    """p = 1 / (1 + exp(-(rows @ weights + bias)))."""

    weights: Float[np.ndarray, " f"]
    bias: float

    def logits(self, rows: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
        """Return the log-odds of each row."""
        found: Float[np.ndarray, " n"] = rows @ self.weights + self.bias
        return found

    def probabilities(self, rows: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
        """Return the probability of each row."""
        return sigmoid(self.logits(rows))


def sigmoid(logits: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the probabilities of log-odds, those beyond 30 as if they were 30."""
    p: Float[np.ndarray, " n"] = 1 / (1 + np.exp(-np.clip(logits, -_MAX_LOGIT, _MAX_LOGIT)))
    return p


def fit_logistic(
    rows: Float[np.ndarray, "n f"], truth: Float[np.ndarray, " n"], *, ridge: float
) -> LogisticModel:
    """Fit a model; `ridge` is in units of standardised features.

    A feature that never varies has weight 0.

    Raises:
        ValueError: there are no rows, or not as many as truths.
    """
    if not len(rows) or len(rows) != len(truth):
        raise ValueError(f"a fit needs rows and as many truths, got {len(rows)} and {len(truth)}")
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    varies = spread > _NEVER_VARIES
    scale = np.where(varies, spread, 1.0)
    x = np.concatenate([(rows - mean) / scale, np.ones((len(rows), 1))], axis=1)
    penalty = np.diag([*np.where(varies, ridge, 1e9), 1e-6])
    at = np.zeros(x.shape[1])
    for _ in range(_MAX_STEPS):
        p = sigmoid(x @ at)
        slope = x.T @ (p - truth) + penalty @ at
        step = np.linalg.solve((x.T * (p * (1 - p))) @ x + penalty, slope)
        at -= step
        if np.abs(step).max() < _STILL:
            break
    weights = np.where(varies, at[:-1] / scale, 0.0)
    return LogisticModel(weights=weights, bias=float(at[-1] - weights @ mean))

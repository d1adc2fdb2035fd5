"""Who judges steered texts: a logistic classifier on sentence vectors that no steering head knows.

It is trained on the part of the labelled sentences that heads are not trained on, and measured on a
part of that which it did not see either. Letters: `n` texts, `d` vector width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from llm.embedding import SentenceTransformerEncoder, TextEncoder
from llm.training.labelled_texts import LabelledText, part_of, read_labelled

HEAD_SHARE = 0.6  # of the sentences go to the heads; what their cards call "share"
_HELD_OUT = 0.25
_PENALTY = 1.0
_STEPS = 50

Encoder = TextEncoder | SentenceTransformerEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """P(positive | text) by a linear classifier; `num_right` of `num_held_out` it judged right."""

    encode: Callable[[Sequence[str]], Float64[np.ndarray, "n d"]]
    weights: Float64[np.ndarray, " d"]
    bias: float
    num_right: int
    num_held_out: int

    def positive(self, texts: Sequence[str]) -> Float64[np.ndarray, " n"]:
        """Return the probability that each text is positive."""
        return _sigmoid(self.encode(texts) @ self.weights + self.bias)


def train_judge(folder: Path, encoder: Encoder) -> Judge:
    """Train a judge on the sentences of a folder that no head has seen.

    Raises:
        TrainingDataError: the folder holds no such sentences.
    """

    def encode(texts: Sequence[str]) -> Float64[np.ndarray, "n d"]:
        return encoder.encode(texts, "query").astype(np.float64)

    unseen = [
        text
        for text in read_labelled([folder], label="1", against="0", is_ascii_only=True)
        if part_of(text.text) >= HEAD_SHARE
    ]
    held_out = [text for text in unseen if part_of(text.text, "judge") < _HELD_OUT]
    learnt = [text for text in unseen if part_of(text.text, "judge") >= _HELD_OUT]
    weights, bias = _fit(encode(_texts(learnt)), _labels(learnt))
    said = encode(_texts(held_out)) @ weights + bias > 0
    return Judge(
        encode=encode,
        weights=weights,
        bias=bias,
        num_right=int((said == (_labels(held_out) == 1)).sum()),
        num_held_out=len(held_out),
    )


def _texts(labelled: Sequence[LabelledText]) -> list[str]:
    return [one.text for one in labelled]


def _labels(labelled: Sequence[LabelledText]) -> Float64[np.ndarray, " n"]:
    return np.array([float(one.is_positive) for one in labelled])


def _fit(
    x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, " d"], float]:
    """Newton's method for logistic regression with an L2 penalty on all but the bias."""
    wide = np.column_stack([x, np.ones(len(x))])
    penalty = np.full(wide.shape[1], _PENALTY)
    penalty[-1] = 0
    w = np.zeros(wide.shape[1])
    for _ in range(_STEPS):
        p = _sigmoid(wide @ w)
        slope = wide.T @ (p - y) + penalty * w
        curve = (wide * (p * (1 - p))[:, None]).T @ wide + np.diag(penalty)
        change = np.linalg.solve(curve, slope)
        w -= change
        if np.abs(change).max() < 1e-8:
            break
    return w[:-1], float(w[-1])


def _sigmoid(x: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    found: Float64[np.ndarray, " n"] = 1 / (1 + np.exp(-np.clip(x, -500, 500)))
    return found

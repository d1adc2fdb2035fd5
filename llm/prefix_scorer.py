"""Scores of prefixes: how surely a text that goes on with a token has an attribute (FUDGE).

A scorer gives a logit s(x v) for each candidate v after a prefix x; P(attribute | x v) is its
sigmoid (arXiv 2104.05218). The bilinear one reads the decoder's own hidden state and has none of
its own; the GRU reads the tokens. Scorers are shared between requests and never change. Letters:
`k` candidates, `c` hidden size, `r` rank, `v` vocabulary, `p` width of the GRU's input, `g` of its
state, `g3` of its three gates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from llm.unembedding import Unembedding

State = Float32[np.ndarray, " g"]
_STATELESS = np.empty(0, np.float32)
_PART = 4096  # rows of the vocabulary at a time


@runtime_checkable
class PrefixScorer(Protocol):
    """Scores candidates after a prefix; immutable, the state is the caller's to keep."""

    def start(self, token_ids: Sequence[int]) -> State:
        """Return the state after a prompt."""
        ...

    def step(self, state: State, token: int) -> State:
        """Return the state after one token more; the one given stays as it is."""
        ...

    def scores(
        self,
        state: State,
        hidden: Float32[np.ndarray, " c"] | None,
        token_ids: Int64[np.ndarray, " k"],
    ) -> Float32[np.ndarray, " k"]:
        """Return a logit for each candidate; `hidden` is the state that the decoder's head reads.

        Raises:
            ValueError: this scorer needs the hidden state and there is none.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BilinearWeights:
    """What is learnt: s = (U h + u) . (W e) + w . e + c . h + b, e being the token's embedding."""

    query: Float32[np.ndarray, "r c"]
    query_bias: Float32[np.ndarray, " r"]
    key: Float32[np.ndarray, "r c"]
    token: Float32[np.ndarray, " c"]
    prefix: Float32[np.ndarray, " c"]
    bias: float

    def __post_init__(self) -> None:
        rank, width = self.query.shape
        fits = self.key.shape == (rank, width) and self.query_bias.shape == (rank,)
        if not (fits and self.token.shape == self.prefix.shape == (width,)):
            raise ValueError("the weights of a bilinear head do not fit each other")


class BilinearScorer:
    """A low-rank bilinear form of the decoder's hidden state and the candidate's embedding."""

    def __init__(self, weights: BilinearWeights, unembedding: Unembedding) -> None:
        """Take the weights, and the rows of the decoder's head as the embeddings.

        Raises:
            ValueError: the weights are for another hidden size.
        """
        # One product a row then does for everything: [U h + u, 1] . [W e, w . e] + (c . h + b).
        self._table = _products(unembedding, np.concatenate([weights.key, weights.token[None]]))
        self._reader = np.concatenate([weights.query, weights.prefix[None]]).astype(np.float32)
        self._offset = np.append(weights.query_bias, weights.bias).astype(np.float32)

    def start(self, token_ids: Sequence[int]) -> State:
        """Return nothing: the decoder's hidden state says it all."""
        del token_ids
        return _STATELESS

    def step(self, state: State, token: int) -> State:
        """Return the state as it is."""
        del token
        return state

    def scores(
        self,
        state: State,
        hidden: Float32[np.ndarray, " c"] | None,
        token_ids: Int64[np.ndarray, " k"],
    ) -> Float32[np.ndarray, " k"]:
        """Return a logit for each candidate."""
        del state
        if hidden is None:
            raise ValueError("a bilinear head needs the decoder's hidden state")
        query = self._reader @ hidden
        query += self._offset
        base = query[-1]
        query[-1] = 1.0
        found: Float32[np.ndarray, " k"] = self._table.take(token_ids, axis=0) @ query
        found += base
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class GRUWeights:
    """A GRU (arXiv 1406.1078) over projected embeddings, in the gate order reset, update, new.

    `start` is the state before any token; `output` and `bias` make the logit of a state.
    """

    projection: Float32[np.ndarray, "p c"]
    into: Float32[np.ndarray, "g3 p"]
    into_bias: Float32[np.ndarray, " g3"]
    recurrent: Float32[np.ndarray, "g3 g"]
    recurrent_bias: Float32[np.ndarray, " g3"]
    start: Float32[np.ndarray, " g"]
    output: Float32[np.ndarray, " g"]
    bias: float

    def __post_init__(self) -> None:
        gates, size = self.recurrent.shape
        fits = gates == 3 * size and self.into.shape == (gates, len(self.projection))
        biases = self.into_bias.shape == self.recurrent_bias.shape == (gates,)
        if not (fits and biases and self.start.shape == self.output.shape == (size,)):
            raise ValueError("the weights of a GRU head do not fit each other")


class GRUScorer:
    """A small unidirectional GRU that reads the tokens by itself; what it read is its state."""

    def __init__(self, weights: GRUWeights, unembedding: Unembedding) -> None:
        """Take the weights, and the rows of the decoder's head as the embeddings.

        Raises:
            ValueError: the weights are for another hidden size.
        """
        self._weights = weights
        # What a token says to the gates does not depend on the text, so it is computed once.
        projected = _products(unembedding, weights.projection)
        self._table = (projected @ weights.into.T + weights.into_bias).astype(np.float32)

    def start(self, token_ids: Sequence[int]) -> State:
        """Return the state after a prompt."""
        state = self._weights.start
        for token in token_ids:
            state = self.step(state, token)
        return state

    def step(self, state: State, token: int) -> State:
        """Return the state after one token more."""
        return self._after(state, np.array([token]))[0]

    def scores(
        self,
        state: State,
        hidden: Float32[np.ndarray, " c"] | None,
        token_ids: Int64[np.ndarray, " k"],
    ) -> Float32[np.ndarray, " k"]:
        """Return a logit for each candidate."""
        del hidden
        found: Float32[np.ndarray, " k"] = self._after(state, token_ids) @ self._weights.output
        return found + np.float32(self._weights.bias)

    def _after(
        self, state: State, token_ids: Int64[np.ndarray, " k"]
    ) -> Float32[np.ndarray, "k g"]:
        w = self._weights
        size = len(state)
        inside = w.recurrent @ state + w.recurrent_bias
        outside = self._table[token_ids]
        gates = _sigmoid(outside[:, : 2 * size] + inside[: 2 * size])
        reset, update = gates[:, :size], gates[:, size:]
        new = np.tanh(outside[:, 2 * size :] + reset * inside[2 * size :])
        found: Float32[np.ndarray, "k g"] = new + update * (state - new)
        return found


def _products(
    unembedding: Unembedding, matrix: Float32[np.ndarray, "r c"]
) -> Float32[np.ndarray, "v r"]:
    if matrix.shape[1] != unembedding.hidden_size:
        raise ValueError(
            f"a head for a hidden size of {matrix.shape[1]} cannot read {unembedding.hidden_size}"
        )
    table = np.empty((unembedding.size, len(matrix)), np.float32)
    turned = np.ascontiguousarray(matrix.T, np.float32)
    for start in range(0, unembedding.size, _PART):
        ids = np.arange(start, min(start + _PART, unembedding.size), dtype=np.int64)
        np.matmul(unembedding.rows(ids), turned, out=table[start : start + len(ids)])
    return table


def _sigmoid(x: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    return np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))

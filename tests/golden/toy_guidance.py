"""Composers, factors and marks that mean nothing, each in two forms.

One is a branch object that is told of tokens as they come and of candidates alone, the other a
function of the whole output and of every token. Letters: `v` vocabulary, `k` candidate tokens.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int64

from llm.decoding.phases import Forwards, ShapedLogits, Survivors
from tests.golden.pipeline_reference import Composer, Factor, History, Noise, Reweight, Row


def _table(number: int, output: History, size: int) -> Row:
    table: Row = np.random.default_rng([number, len(output), *output]).normal(size=size)
    return table


class ToyFactor:
    """A random number <= 0 for each output and token, and what a hidden state adds to it."""

    def __init__(self, number: int, size: int, output: Sequence[int] = ()) -> None:
        self.number = number
        self.size = size
        self.output = list(output)

    def weigh(
        self, token_ids: Int64[np.ndarray, " k"], forwards: Forwards
    ) -> Float64[np.ndarray, " k"]:
        weight: Row = factor_reference(self.number, self.size)(self.output, forwards)[token_ids]
        return weight

    def take(self, token: int) -> None:
        self.output.append(token)

    def fork(self) -> "ToyFactor":
        return ToyFactor(self.number, self.size, self.output)


def factor_reference(number: int, size: int) -> Factor:
    def weight(output: History, forwards: Forwards) -> Row:
        hidden = 0.0 if forwards.hidden is None else forwards.hidden.astype(np.float64).sum()
        said: Row = -np.abs(_table(number, output, size)) * (1.5 + math.sin(hidden))
        return said

    return weight


class ToyComposer:
    """A head of `head` times the highest probability, and `weight` times the way from a baseline.

    Without a baseline, that from random logits.
    """

    def __init__(
        self, number: int, size: int, weight: float, head: float, output: Sequence[int] = ()
    ) -> None:
        self.number = number
        self.size = size
        self.weight = weight
        self.head = head
        self.output = list(output)

    def least(self, logits: ShapedLogits) -> float:
        return float(logits.max()) + math.log(self.head) if self.head > 0 else -math.inf

    def shift(
        self,
        token_ids: Int64[np.ndarray, " k"],
        logits: Float32[np.ndarray, " k"],
        forwards: Forwards,
    ) -> Float64[np.ndarray, " k"]:
        other = _table(self.number, self.output, self.size)
        if forwards.baseline is not None:
            other = forwards.baseline.astype(np.float64)
        moved: Row = self.weight * (logits.astype(np.float64) - other[token_ids])
        return moved

    def take(self, token: int) -> None:
        self.output.append(token)

    def fork(self) -> "ToyComposer":
        return ToyComposer(self.number, self.size, self.weight, self.head, self.output)


def composer_reference(number: int, size: int, weight: float, head: float) -> Composer:
    def composed(output: History, z: Row, forwards: Forwards) -> tuple[float, Row]:
        other = _table(number, output, size)
        if forwards.baseline is not None:
            other = forwards.baseline.astype(np.float64)
        with np.errstate(invalid="ignore"):
            shift: Row = weight * (z - other)
        return (z.max() + math.log(head) if head > 0 else -math.inf), shift

    return composed


class ToyMark:
    """Adds `delta` to half of the tokens, by the last one; or noise of its own."""

    def __init__(
        self, number: int, size: int, *, by_noise: bool, delta: float = 1.5, last: int = -1
    ) -> None:
        self.number = number
        self.size = size
        self.by_noise = by_noise
        self.delta = delta
        self.last = last

    def reweight(self, survivors: Survivors) -> Survivors:
        if self.by_noise:
            return survivors
        green = _green(self.number, self.last, self.size)[survivors.token_ids]
        moved = survivors.log_probs + self.delta * green
        return Survivors(token_ids=survivors.token_ids, log_probs=moved)

    def noise(self, token_ids: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"] | None:
        return _keyed(self.number, self.last, self.size)[token_ids] if self.by_noise else None

    def take(self, token: int) -> None:
        self.last = token

    def fork(self, stream: int) -> "ToyMark":
        return ToyMark(
            self.number + stream,
            self.size,
            by_noise=self.by_noise,
            delta=self.delta,
            last=self.last,
        )


def _green(number: int, last: int, size: int) -> Row:
    return np.random.default_rng([number, last + 1]).integers(0, 2, size).astype(np.float64)


def _keyed(number: int, last: int, size: int) -> Row:
    return np.random.default_rng([number, last + 1]).gumbel(size=size)


def reweight_reference(number: int, size: int, delta: float = 1.5) -> Reweight:
    def reweighted(output: History, log_probs: dict[int, float]) -> dict[int, float]:
        green = _green(number, output[-1] if output else -1, size)
        return {v: x + delta * float(green[v]) for v, x in log_probs.items()}

    return reweighted


def noise_reference(number: int, size: int) -> Noise:
    return lambda output: _keyed(number, output[-1] if output else -1, size)

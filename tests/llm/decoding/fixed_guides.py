"""Guides that say the same at every step, and one step of a small pipeline with them.

Letters: `v` vocabulary, `k` candidate tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from llm.decoding.phases import (
    Forwards,
    Guidance,
    Survivors,
)
from llm.sampling_params import SamplingParams
from tests.llm.decoding.toy_tokens import numbered, toy_pipeline

P = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
Z: Float32[np.ndarray, " v"] = np.log(P).astype(np.float32)
NONE = Forwards()

Row = Float32[np.ndarray, " v"]


@dataclass(slots=True)
class Weights:
    """A factor: so much for each token, whatever was written."""

    values: Float64[np.ndarray, " v"]

    def weigh(
        self, token_ids: Int64[np.ndarray, " k"], forwards: Forwards
    ) -> Float64[np.ndarray, " k"]:
        del forwards
        chosen: Float64[np.ndarray, " k"] = self.values[token_ids]
        return chosen

    def take(self, token: int) -> None: ...

    def fork(self) -> "Weights":
        return self


@dataclass(slots=True)
class Advantage:
    """An amateur: so much less than the decoder says of each token."""

    values: Float64[np.ndarray, " v"]

    def advantage(
        self, token_ids: Int64[np.ndarray, " k"], forwards: Forwards
    ) -> Float64[np.ndarray, " k"]:
        del forwards
        chosen: Float64[np.ndarray, " k"] = self.values[token_ids]
        return chosen

    def take(self, token: int) -> None: ...

    def fork(self) -> "Advantage":
        return self


@dataclass(slots=True)
class Lift:
    """A mark that adds `delta` to some tokens and draws the highest, without noise."""

    green: frozenset[int]
    delta: float

    def reweight(self, survivors: Survivors) -> Survivors:
        added = [self.delta * (v in self.green) for v in survivors.token_ids.tolist()]
        return Survivors(token_ids=survivors.token_ids, log_probs=survivors.log_probs + added)

    def noise(self, token_ids: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"] | None:
        return np.zeros(len(token_ids))

    def take(self, token: int) -> None: ...

    def fork(self, stream: int) -> "Lift":
        del stream
        return self


def told(
    params: dict[str, object],
    guidance: Guidance | None = None,
    *,
    z: Row = Z,
    prompt: Sequence[int] = (4,),
    taken: Sequence[int] = (),
    forwards: Forwards = NONE,
) -> dict[int, float]:
    """Return the survivors of one step with their final probabilities."""
    pipeline = toy_pipeline(numbered(len(z)))
    asked = SamplingParams(
        **{"temperature": 1.0, **params},  # type: ignore[arg-type]
        logprobs=True,
        top_logprobs=20,
        logprobs_mode="final",
    )
    row = pipeline.join(asked, 0, prompt, guidance or Guidance())
    for token in taken:
        row.take(token)
    result = pipeline.draw(z[None].copy(), [row], [forwards])
    assert not result.errors
    return {v: float(np.exp(x)) for v, x in result.logprobs[0].top}


def kept(params: dict[str, object], guidance: Guidance | None = None, **where: object) -> list[int]:
    return sorted(told(params, guidance, **where))  # type: ignore[arg-type]


def best(params: dict[str, object], guidance: Guidance | None = None, **where: object) -> int:
    """Return the most probable token at the end."""
    found = told(params, guidance, **where)  # type: ignore[arg-type]
    return max(found, key=found.__getitem__)


def plus(z: Row, more: dict[int, float]) -> Row:
    return np.array([x + more.get(v, 0.0) for v, x in enumerate(z)], np.float32)


def top_p(p: Float64[np.ndarray, " v"], mass: float) -> list[int]:
    order = np.argsort(-p, kind="stable")
    return sorted(order[: int(np.searchsorted(np.cumsum(p[order]), mass)) + 1].tolist())


def marked(params: dict[str, object], mark: Lift, *, z: Row = Z) -> int:
    pipeline = toy_pipeline(numbered(len(z)))
    asked = SamplingParams(**{"temperature": 1.0, **params})  # type: ignore[arg-type]
    row = pipeline.join(asked, 0, (4,), Guidance(mark=mark))
    return int(pipeline.draw(z[None].copy(), [row]).token_ids[0])

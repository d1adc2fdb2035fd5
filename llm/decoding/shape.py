"""P2: penalties on what was written before, and finite biases.

Repetition (arXiv 1909.05858) divides a positive logit and multiplies a negative one, once per
distinct token, on the model's own logits; then presence and frequency are subtracted for tokens of
the output, then DRY, and biases are added. All are functions of the history: what is counted as
tokens come can be counted again from the start. A penalty is finite, so none empties a row.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from llm.decoding.phases import FeasibleLogits, ShapedLogits
from llm.decoding.repeats import Repeats
from llm.sampling_params import Dry, SamplingParams

MOST_DRY = 1e4  # more than any logit


class Shape:
    """The penalties and biases of one branch, with the counts that they need."""

    def __init__(
        self,
        params: SamplingParams,
        prompt_ids: Sequence[int],
        *,
        breakers: Bool[np.ndarray, " v"] | None = None,
    ) -> None:
        """Count a prompt; `breakers` flags the tokens that break a match, where `dry` is on."""
        self._params = params
        self._bias_ids = np.array([token for token, _ in params.finite_bias], np.int64)
        self._biases = np.array([bias for _, bias in params.finite_bias])
        repeats = params.repetition_penalty != 1
        self._seen = _Counts() if repeats else None
        if self._seen is not None and params.repetition_scope == "all":
            self._seen.update(prompt_ids)
        counted = params.presence_penalty != 0 or params.frequency_penalty != 0
        self._written = _Counts() if counted else None
        self._repeats: Repeats | None = None
        if params.dry is not None and params.dry.multiplier > 0:
            assert breakers is not None
            self._repeats = Repeats(prompt_ids, breakers)

    @property
    def is_needed(self) -> bool:
        """Whether it would ever change a logit."""
        parts = (self._seen, self._written, self._repeats)
        return len(self._bias_ids) > 0 or any(part is not None for part in parts)

    def shape(self, logits: FeasibleLogits) -> ShapedLogits:
        """Apply all of it in place; what is impossible stays so."""
        params = self._params
        if self._seen is not None:
            ids = self._seen.ids
            z = logits[ids].astype(np.float64)
            r = params.repetition_penalty
            logits[ids] = _finite(np.where(z > 0, z / r, z * r), logits[ids])
        if self._written is not None:
            less = params.presence_penalty + params.frequency_penalty * self._written.counts
            _subtract(logits, self._written.ids, less)
        if self._repeats is not None and params.dry is not None:
            tokens, lengths = self._repeats.continuations(params.dry.allowed_length)
            if len(tokens):
                _subtract(logits, tokens, dry_penalty(lengths, params.dry))
        if len(self._bias_ids):
            _subtract(logits, self._bias_ids, -self._biases)
        return ShapedLogits(logits)

    def take(self, token: int) -> None:
        """Count a token of the output."""
        for counts in (self._seen, self._written):
            if counts is not None:
                counts.update((token,))
        if self._repeats is not None:
            self._repeats.take(token)

    def fork(self) -> "Shape":
        """Return an independent copy."""
        copy = object.__new__(Shape)
        copy._params = self._params
        copy._bias_ids = self._bias_ids
        copy._biases = self._biases
        copy._seen = None if self._seen is None else self._seen.fork()
        copy._written = None if self._written is None else self._written.fork()
        copy._repeats = None if self._repeats is None else self._repeats.fork()
        return copy


def dry_penalty(lengths: Int64[np.ndarray, " n"], dry: Dry) -> Float64[np.ndarray, " n"]:
    """Return what tokens lose that would prolong matches of these lengths."""
    return np.array(
        [_power(dry.multiplier, dry.base, n - dry.allowed_length) for n in lengths.tolist()]
    )


def _power(multiplier: float, base: float, exponent: int) -> float:
    """Return their product; by multiplication alone, as powers differ between machines."""
    value = multiplier
    for _ in range(exponent if base > 1 else 0):
        value *= base
        if value >= MOST_DRY:
            return MOST_DRY
    return value


def _subtract(
    logits: FeasibleLogits, ids: Int64[np.ndarray, " n"], less: Float64[np.ndarray, " n"]
) -> None:
    logits[ids] = _finite(logits[ids] - less, logits[ids])


def _finite(
    changed: Float64[np.ndarray, " n"], before: Float32[np.ndarray, " n"]
) -> Float32[np.ndarray, " n"]:
    """Round, but let nothing that was finite become infinite."""
    limit = float(np.finfo(np.float32).max)
    bounded = np.clip(changed, -limit, limit).astype(np.float32)
    return np.where(np.isfinite(before), bounded, before)


class _Counts:
    """The distinct tokens of a text in the order of their first occurrence, and how often each."""

    __slots__ = ("_counts", "_ids", "_places")

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._ids: Int64[np.ndarray, " room"] = np.zeros(64, np.int64)
        self._counts: Int64[np.ndarray, " room"] = np.zeros(64, np.int64)

    @property
    def ids(self) -> Int64[np.ndarray, " n"]:
        return self._ids[: len(self._places)]

    @property
    def counts(self) -> Int64[np.ndarray, " n"]:
        return self._counts[: len(self._places)]

    def update(self, tokens: Iterable[int]) -> None:
        for token in tokens:
            place = self._places.setdefault(token, len(self._places))
            if place == len(self._ids):
                self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
                self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
            self._ids[place] = token
            self._counts[place] += 1

    def fork(self) -> "_Counts":
        copy = _Counts()
        copy._places = self._places.copy()
        copy._ids = self._ids.copy()
        copy._counts = self._counts.copy()
        return copy

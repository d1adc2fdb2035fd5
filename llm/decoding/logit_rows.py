"""What is done to a whole row of logits besides drawing from it: masks, best candidates, its total.

Compiled code does it where there is some, in one pass each; the numpy twin gives the same bits.
Totals are sums of integers (`elementary.rough_total`), so no order of summation matters. Knows no
phase. Letters: `v` vocabulary, `k` candidates, `n` those found.
"""

import ctypes
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from llm.decoding.elementary import ROUGH_BITS, log_of, rough_total
from llm.decoding.phases import Mask
from llm.errors import EngineFailureError
from llm.native.logit_rows import NativeLogitRows

_BLOCKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The most probable tokens of a row, by ascending id, and ln of the sum of e^logit over it."""

    token_ids: Int64[np.ndarray, " n"]
    logits: Float32[np.ndarray, " n"]
    log_total: float


class LogitRows:
    """Works on single rows. For one thread at a time."""

    def __init__(self, library: ctypes.CDLL | None, *, path: str | None = None) -> None:
        """Take the compiled kernels; None, or some without these functions: the numpy twin."""
        self._native: NativeLogitRows | None = None
        if library is not None and hasattr(library, "causerie_best"):
            self._native = NativeLogitRows(library, path=path)

    def forbid(self, logits: Float32[np.ndarray, " v"], mask: Mask | None) -> bool:
        """Make impossible, in place, the tokens that have no bit; None forbids nothing.

        False if the row held a NaN or +inf, or nothing finite, before.
        """
        if self._native is not None:
            return self._native.forbid(logits, mask)
        is_sound = math.isfinite(logits.max())
        if mask is not None:
            bits = np.unpackbits(mask.view(np.uint8), count=len(logits), bitorder="little")
            np.copyto(logits, np.float32(-np.inf), where=bits == 0)
        return is_sound

    def best(self, logits: Float32[np.ndarray, " v"], k: int) -> Best:
        """Return the `k` highest finite logits; of equals the lower ids.

        Raises:
            ValueError: the row holds a NaN or +inf, or nothing finite.
        """
        if self._native is None:
            token_ids = best(logits, k)
            return Best(
                token_ids=token_ids, logits=logits[token_ids], log_total=log_total_of(logits)
            )
        found = self._native.best(logits, k)
        if found is None:
            raise ValueError("no logit is finite, so nothing can be steered")
        return Best(token_ids=found[0], logits=found[1], log_total=found[2])

    def log_total(self, logits: Float32[np.ndarray, " v"]) -> float:
        """Return ln of the sum of e^logit, right to 1e-6; the row must be sound."""
        if self._native is None:
            return log_total_of(logits)
        return self.best(logits, 1).log_total


TWIN = LogitRows(None)


def damaged() -> EngineFailureError:
    """Return the error of a row from which nothing can be drawn."""
    return EngineFailureError(
        "the logits of this request are not finite: its tokens drive the model out of range, or the"
        " weights are damaged"
    )


def log_total_of(logits: Float32[np.ndarray, " v"]) -> float:
    """Return ln of the sum of e^logit, right to 1e-6."""
    peak = logits.max()
    return float(peak) + log_of(float(rough_total(logits, peak)) * 2.0**-ROUGH_BITS)


def best(logits: Shaped[np.ndarray, " v"], k: int) -> Int64[np.ndarray, " n"]:
    """Return the ids of the `k` highest finite logits, ascending; of equals the lower ids.

    Raises:
        ValueError: the row holds a NaN or +inf, or nothing finite.
    """
    if not math.isfinite(logits.max()):
        raise ValueError("no logit is finite, so nothing can be steered")
    few = _few(logits, k)
    values = logits[few]
    few = few[values > -np.inf]
    if len(few) <= k:
        return few
    values = logits[few]
    least = np.partition(values, len(values) - k)[len(values) - k]
    above = few[values > least]
    equal = few[values == least][: k - len(above)]
    return np.sort(np.concatenate([above, equal]))


def _few(logits: Shaped[np.ndarray, " v"], k: int) -> Int64[np.ndarray, " n"]:
    """Return ids that hold the `k` best, few enough to be sorted; found without sorting them all.

    The maxima of `4 k` blocks: no token below the k-th highest of them is among the `k` best.
    """
    width = len(logits) // (_BLOCKS * k)
    if width < 2:
        return np.arange(len(logits))
    whole = len(logits) // width * width
    # a block is every n-th token, n blocks: so one pass takes the maxima of all of them at once
    peaks = logits[:whole].reshape(width, -1).max(axis=0)
    least = np.partition(peaks, len(peaks) - k)[len(peaks) - k]
    return np.flatnonzero(logits >= least)

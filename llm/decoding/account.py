"""P0 and P8: the log-probabilities that a row asks for.

"Raw" are those of the model itself, "feasible" those among the tokens that the constraints leave,
"final" those after penalties, temperature and cuts, renormalised. None of them depends on the noise
of the draw. Rows that do not ask cost nothing. Knows no other phase's reasons.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from llm.decoding.phases import RawLogits, Survivors
from llm.sampling_params import LogProbsMode


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogProbs:
    """A drawn token among those that could have come instead.

    Log-probabilities and the entropy of the raw distribution are in nats. `final` is None unless
    asked for. `top` are the most probable tokens, in the mode that was asked for.
    """

    token_id: int
    log_prob: float
    raw: float
    feasible: float
    final: float | None
    entropy: float
    top: tuple[tuple[int, float], ...]


class Account:
    """The account of one row of one step."""

    def __init__(self, logits: RawLogits) -> None:
        """Copy a row before any phase writes into it."""
        self._z: Float32[np.ndarray, " v"] = logits.copy()
        x = self._z.astype(np.float64)
        peak = float(x.max())
        exp = np.exp(x - peak)
        total = float(exp.sum())
        self._log_total = peak + math.log(total)
        weighted = np.multiply(exp, x, out=np.zeros_like(x), where=exp > 0)
        self.entropy = self._log_total - float(weighted.sum()) / total
        self._exp = exp
        self._peak = peak

    def of(
        self,
        token: int,
        *,
        allowed: Bool[np.ndarray, " v"] | None,
        survivors: Survivors | None,
        mode: LogProbsMode,
        num_top: int,
    ) -> TokenLogProbs:
        """Return the account of the token that was drawn.

        `allowed` are the feasible tokens, None for all; `survivors` what it was drawn from, which
        the mode "final" needs.
        """
        z = float(self._z[token])
        log_feasible = self._log_total
        if allowed is not None:
            log_feasible = self._peak + math.log(float(self._exp[allowed].sum()))
        final = None if survivors is None else _renormalised(survivors)
        told = None
        if survivors is not None and final is not None:
            told = float(final[int(np.flatnonzero(survivors.token_ids == token)[0])])
        raw, feasible = z - self._log_total, z - log_feasible
        if mode == "final":
            assert survivors is not None
            assert final is not None
            assert told is not None
            log_prob, top = told, _top(survivors.token_ids, final, num_top)
        elif mode == "feasible":
            log_prob, top = feasible, self._top_of(allowed, log_feasible, num_top)
        else:
            log_prob, top = raw, self._top_of(None, self._log_total, num_top)
        return TokenLogProbs(
            token_id=token,
            log_prob=log_prob,
            raw=raw,
            feasible=feasible,
            final=told,
            entropy=self.entropy,
            top=top,
        )

    def _top_of(
        self, allowed: Bool[np.ndarray, " v"] | None, log_total: float, count: int
    ) -> tuple[tuple[int, float], ...]:
        if not count:
            return ()
        z = self._z if allowed is None else np.where(allowed, self._z, np.float32(-np.inf))
        if count < len(z):
            least = np.partition(z, len(z) - count)[len(z) - count]
            ids = np.flatnonzero((z >= least) & (z > -np.inf))
        else:
            ids = np.flatnonzero(z > -np.inf)
        return _top(ids, z[ids].astype(np.float64) - log_total, count)


def _renormalised(survivors: Survivors) -> Float64[np.ndarray, " n"]:
    peak = survivors.log_probs.max()
    return survivors.log_probs - (peak + np.log(np.exp(survivors.log_probs - peak).sum()))


def _top(
    ids: Int64[np.ndarray, " n"], log_probs: Float64[np.ndarray, " n"], count: int
) -> tuple[tuple[int, float], ...]:
    """Return the first, by descending probability and then ascending id."""
    order = np.lexsort((ids, -log_probs))[:count]
    return tuple((int(ids[i]), float(log_probs[i])) for i in order)

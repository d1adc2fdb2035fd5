"""Whether a drafted token may stay, and how many tokens are worth drafting.

`verify` is speculative sampling (Leviathan et al., arXiv 2211.17192, Chen et al., 2302.01318):
a token x that was drawn from q stays with probability min(1, p(x) / q(x)), and one of
norm(max(p - q, 0)) takes its place otherwise, so what comes is distributed as p. The probabilities
are counted as integers (`masses`), so they add up exactly and are the same on every machine.
`AdaptiveLength` weighs the tokens that a draft may win against what its rows cost. Knows neither
drafters nor models. Letters: `n` tokens of a distribution.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from llm.decoding.elementary import log, masses
from llm.decoding.phases import Survivors
from llm.philox import Purpose, uniform, uniforms

_DECAY = 0.9  # of what was noted, per noted draft
_PRIOR_TRIALS = 2.0
_PRIOR_RATE = 0.7
_FIRST_WAIT = 8  # steps without a draft before one token is tried again
_LONGEST_WAIT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The token that comes, and whether it is the drafted one."""

    token: int
    accepted: bool


def verify(
    survivors: Survivors,
    drafted: int,
    *,
    q: Survivors | None,
    seed: int,
    position: int,
    stream: int = 0,
) -> Verdict:
    """Decide on one drafted token; `position` is absolute, prompt included.

    `survivors` are those of the phase before the draw, `q` is the distribution that the token was
    drawn from, after all that shaped it; None if the drafter always proposes this token here.
    Neither needs to sum to one.

    Raises:
        ValueError: the drafted token cannot come from `q`.
    """
    coin = uniform(drafted, seed=seed, position=position, stream=stream, purpose=Purpose.ACCEPTANCE)
    if coin < acceptance(survivors, drafted, q=q):
        return Verdict(token=drafted, accepted=True)
    token_ids, weights = residual(survivors, drafted, q=q)
    u = uniforms(token_ids, seed=seed, position=position, stream=stream, purpose=Purpose.RESIDUAL)
    score = log(weights) - log(-log(u))
    return Verdict(token=int(token_ids[score == score.max()].min()), accepted=False)


def acceptance(survivors: Survivors, drafted: int, *, q: Survivors | None) -> float:
    """Return the probability in [0, 1] with which a drafted token stays; see `verify`."""
    wanted = float(_probabilities(survivors)[survivors.token_ids == drafted].sum())
    if q is None:
        return wanted
    given = float(_probabilities(q)[q.token_ids == drafted].sum())
    if given <= 0:
        raise ValueError(
            f"the drafted token {drafted} has no probability in q; give the distribution that it"
            " was drawn from"
        )
    return min(1.0, wanted / given)


def residual(
    survivors: Survivors, drafted: int, *, q: Survivors | None
) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Return what replaces a rejected token: tokens and their positive weights, max(p - q, 0).

    Where rounding leaves no weight at all, p itself.
    """
    p = _probabilities(survivors)
    if q is None:
        left = np.where(survivors.token_ids == drafted, 0.0, p)
    else:
        left = np.maximum(p - _looked_up(q, survivors.token_ids), 0.0)
    kept = left > 0
    if not kept.any():
        left, kept = p, p > 0
    return survivors.token_ids[kept], left[kept]


def _probabilities(survivors: Survivors) -> Float64[np.ndarray, " n"]:
    mass = masses(survivors.log_probs - survivors.log_probs.max())
    return mass / mass.sum()


def _looked_up(q: Survivors, token_ids: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the probability of each token in q."""
    order = np.argsort(q.token_ids)
    ids, probabilities = q.token_ids[order], _probabilities(q)[order]
    places = np.minimum(np.searchsorted(ids, token_ids), len(ids) - 1)
    return np.where(ids[places] == token_ids, probabilities[places], 0.0)


class AdaptiveLength:
    """How many tokens one branch should draft: a function of the drafts noted and steps asked.

    With a rate `a` at which a drafted token stays, a draft of k tokens gives 1 + a + ... + a^k
    tokens on average. A step of one row costs 1 and each drafted row `row_cost` more, so the k of
    most tokens per cost is taken. Where that is none, one token is tried after some steps, later
    and later as long as it fails.
    """

    __slots__ = ("_best", "_idle", "_kept", "_row_cost", "_tried", "_wait")

    def __init__(self, *, row_cost: float = 0.08) -> None:
        """Take what a further row costs, in parts of a step of one row.

        Raises:
            ValueError: the cost is negative or not finite.
        """
        if not (math.isfinite(row_cost) and row_cost >= 0):
            raise ValueError(f"the cost of a row must be 0 or more and finite, got {row_cost}")
        self._row_cost = row_cost
        self._kept = _PRIOR_RATE * _PRIOR_TRIALS
        self._tried = _PRIOR_TRIALS
        self._idle = 0
        self._wait = _FIRST_WAIT
        self._best: dict[tuple[int, float], int] = {}  # until something else is noted

    @property
    def rate(self) -> float:
        """The share of drafted tokens that stay, those behind a rejected one not counted."""
        return self._kept / self._tried

    def next_length(self, most: int, *, row_cost: float | None = None) -> int:
        """Return how many tokens to draft in the step to come; ask once in each step.

        `row_cost` replaces the one given at the start, for batches in which rows are dearer.
        """
        cost = self._row_cost if row_cost is None else row_cost
        if most <= 0:
            return 0
        found = self._best.get((most, cost))
        if found is None:
            found = self._best[most, cost] = _most_worth(self.rate, cost, most)
        if found:
            return found
        self._idle += 1
        return 1 if self._idle > self._wait else 0

    def note(self, drafted: int, accepted: int) -> None:
        """Take how many tokens were drafted in a step and how many of them stayed."""
        assert 0 <= accepted <= drafted
        if not drafted:
            return
        self._kept = _DECAY * self._kept + accepted
        self._tried = _DECAY * self._tried + min(accepted + 1, drafted)
        self._best.clear()
        if accepted:
            self._wait = _FIRST_WAIT
        elif self._idle > self._wait:
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
        self._idle = 0

    def fork(self) -> "AdaptiveLength":
        """Return an independent copy."""
        copy = AdaptiveLength(row_cost=self._row_cost)
        copy._kept, copy._tried = self._kept, self._tried
        copy._idle, copy._wait = self._idle, self._wait
        return copy


def _most_worth(rate: float, row_cost: float, most: int) -> int:
    """Return the number of drafted tokens that gives most tokens per cost."""
    gained = power = cost = 1.0
    for drafted in range(most):
        power *= rate
        # the gains shrink and the costs do not, so the first loss ends the search
        if (gained + power) * cost <= gained * (cost + row_cost):
            return drafted
        gained += power
        cost += row_cost
    return most

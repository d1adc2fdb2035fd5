"""P4: factors that say how well each of the best candidates pleases, and the price of all that.

By Bayes' rule P(v | x, a) is proportional to P(v | x) P(a | x v); a factor adds its weight times
log P(a | x v) to the logits of the K most probable tokens, and nothing else can come: the factors
are at most 0, so tokens that were not scored would rise. Factors are added, so their order has no
meaning and attributes count as independent. Letters: `v` vocabulary, `k` candidates.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int64, Shaped

from llm.decoding.logit_rows import TWIN, LogitRows, best
from llm.decoding.phases import ComposedLogits, Factor, Forwards, ShapedLogits, SteeredLogits
from llm.decoding.spec import MAX_CANDIDATES, Steer
from llm.head_store import OfferedScorer
from llm.prefix_scorer import PrefixScorer, State

CANDIDATES = MAX_CANDIDATES
REWARD_CANDIDATES = 20


def log_sigmoid(x: Shaped[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    """Return ln(1 / (1 + e^-x)) without overflow."""
    wide = x.astype(np.float64)
    found: Float64[np.ndarray, " k"] = np.minimum(wide, 0) - np.log1p(np.exp(-np.abs(wide)))
    return found


class FudgeFactor:
    """Adds |weight| log P(attribute | prefix, token) (FUDGE, arXiv 2104.05218).

    A negative weight asks for texts without the attribute, P(not a) = 1 - P(a).
    """

    __slots__ = ("_scorer", "_state", "_weight")

    def __init__(self, scorer: PrefixScorer, state: State, *, weight: float) -> None:
        """Go on from a state of the scorer: `scorer.start(prompt_ids)` after a prompt."""
        self._scorer = scorer
        self._state = state
        self._weight = weight

    def weigh(
        self, token_ids: Int64[np.ndarray, " k"], forwards: Forwards
    ) -> Float64[np.ndarray, " k"]:
        """Return what is added to the logits of these candidates."""
        scores = self._scorer.scores(self._state, forwards.hidden, token_ids)
        sign = np.sign(self._weight)
        found: Float64[np.ndarray, " k"] = abs(self._weight) * log_sigmoid(sign * scores)
        return found

    def take(self, token: int) -> None:
        """Note a token that was taken."""
        self._state = self._scorer.step(self._state, token)

    def fork(self) -> "FudgeFactor":
        """Return an independent copy; states are never written into, so they are shared."""
        return FudgeFactor(self._scorer, self._state, weight=self._weight)


class RewardFactor:
    """Adds |weight| times the reward of prefix and token (RAD, arXiv 2310.09520).

    The reward is in [0, 1], and a negative weight rewards 1 - it. In the paper only the 20 most
    probable tokens can come; that is `steer` with `k = REWARD_CANDIDATES`.
    """

    __slots__ = ("_scorer", "_state", "_weight")

    def __init__(self, scorer: PrefixScorer, state: State, *, weight: float) -> None:
        """Go on from a state of the scorer: `scorer.start(prompt_ids)` after a prompt."""
        self._scorer = scorer
        self._state = state
        self._weight = weight

    def weigh(
        self, token_ids: Int64[np.ndarray, " k"], forwards: Forwards
    ) -> Float64[np.ndarray, " k"]:
        """Return what is added to the logits of these candidates."""
        scores = self._scorer.scores(self._state, forwards.hidden, token_ids)
        sign = np.sign(self._weight)
        found: Float64[np.ndarray, " k"] = abs(self._weight) * np.exp(log_sigmoid(sign * scores))
        return found

    def take(self, token: int) -> None:
        """Note a token that was taken."""
        self._state = self._scorer.step(self._state, token)

    def fork(self) -> "RewardFactor":
        """Return an independent copy; states are never written into, so they are shared."""
        return RewardFactor(self._scorer, self._state, weight=self._weight)


def factor_of(wish: Steer, offer: OfferedScorer, prompt_ids: Sequence[int]) -> Factor:
    """Return the factor of one wish of a request, after its prompt.

    A scorer that is the opposite of its head turns the sign of the weight. Any head serves both
    methods; those trained for rewards are made for "reward".
    """
    weight = -wish.weight if offer.is_negated else wish.weight
    state = offer.scorer.start(prompt_ids)
    if wish.method == "reward":
        return RewardFactor(offer.scorer, state, weight=weight)
    return FudgeFactor(offer.scorer, state, weight=weight)


def steer(
    logits: ComposedLogits,
    factors: Sequence[Factor],
    forwards: Forwards,
    *,
    k: int = CANDIDATES,
) -> SteeredLogits:
    """Add all factors to the logits of the `k` most probable tokens; no other can come.

    Without factors the row stays as it is. Writes into the row.

    Raises:
        ValueError: nothing is finite, or a factor gave no finite numbers.
    """
    if not factors:
        return SteeredLogits(logits)
    token_ids = best(logits, k)
    changed, _ = steer_best(logits, token_ids, logits[token_ids], factors, forwards)
    return changed


def steer_best(
    logits: ComposedLogits,
    token_ids: Int64[np.ndarray, " k"],
    own: Shaped[np.ndarray, " k"],
    factors: Sequence[Factor],
    forwards: Forwards,
) -> tuple[SteeredLogits, Shaped[np.ndarray, " k"]]:
    """Do the same, given the best of the row and their logits; return it, and their changed ones.

    Raises:
        ValueError: a factor gave no finite numbers.
    """
    kept = own.astype(np.float64)
    for factor in factors:
        kept += factor.weigh(token_ids, forwards)
    if not np.isfinite(kept).all():
        raise ValueError("a factor gave a number that is not finite: its head is damaged")
    changed = kept.astype(logits.dtype)
    logits.fill(-np.inf)
    logits[token_ids] = changed
    return SteeredLogits(logits), changed


def kl(steered: SteeredLogits, model: ShapedLogits, rows: LogitRows = TWIN) -> float:
    """Return KL(softmax(steered) || softmax(model)) in nats: the price of what was asked.

    The steered row must not have support where the model has none.
    """
    ids = np.flatnonzero(steered > -np.inf)
    return price(steered[ids], model[ids], log_total=rows.log_total(model))


def price(
    changed: Float32[np.ndarray, " k"], own: Float32[np.ndarray, " k"], *, log_total: float
) -> float:
    """Return the same from the logits of the tokens that can still come.

    `own` are the model's, and `log_total` is of the model's whole row.
    """
    wide = changed.astype(np.float64)
    log_p = wide - log_sum(wide)
    return max(0.0, float(np.exp(log_p) @ (log_p - (own - log_total))))


def log_sum(x: Float64[np.ndarray, " k"]) -> float:
    """Return ln sum e^x of numbers of which one at least is finite."""
    peak = float(x.max())
    return peak + float(np.log(np.exp(x - peak).sum()))

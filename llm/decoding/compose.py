"""P3: several forwards make one distribution, as sums of logits whose coefficients add up to one.

    contrast   (1 + w) z - w z_amateur, in the head {p >= a max p}     arXiv 2210.15097, 2309.09117
    context    (1 + w) z - w z_baseline                                arXiv 2305.14739
    experts    z + w (z_expert - z_anti), in the top-p set of z        arXiv 2105.03023

With an early exit of the decoder itself as amateur the first row is DoLa (arXiv 2309.03883) with a
fixed layer. P2 is the same for all models of a sum, so what it adds must come out once: the
differences here are between logits that were both shaped or both not. A constant of a whole row has
no meaning, so log-probabilities may stand for logits. Letters: `v` vocabulary, `k` tokens, `c`
hidden size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64

from llm.decoding.ngram_model import NGramModel
from llm.decoding.phases import ComposedLogits, Composer, Forwards, ShapedLogits
from llm.head_adapter import HeadAdapter
from llm.unembedding import Unembedding

Array = TypeVar("Array", bound=np.ndarray[Any, np.dtype[Any]])

# Exits of the default model after layers 24 to 28 of 0 to 29 have their least perplexity on
# WikiText-2 at 2 to 3, one of 80 to 280; at 1 it is 180 to 50,000.
EXIT_TEMPERATURE = 3.0
_DEPTHS = (6.0, 12.0, math.inf)  # nats below the peak, to which tokens are sorted, if need be


def compose(
    logits: ShapedLogits, composers: Sequence[Composer], forwards: Forwards
) -> ComposedLogits:
    """Change a row in place: what all composers keep, with what they add; the rest is -inf.

    A row of nothing but -inf stays one; one with a NaN becomes one.
    """
    if not composers:
        return ComposedLogits(logits)
    least = _float32_from(max(composer.least(logits) for composer in composers))
    token_ids = np.flatnonzero((logits >= least) & (logits > -np.inf))
    kept = logits[token_ids]
    total = kept.astype(np.float64)
    if len(token_ids):
        for composer in composers:
            total += composer.shift(token_ids, kept, forwards)
    logits.fill(-np.inf)
    logits[token_ids] = total.astype(np.float32)
    return ComposedLogits(logits)


def default_exit_layer(num_layers: int) -> int:
    """Return after which layer, from 0, the amateur exits: an eighth of them below the last."""
    return max(0, num_layers - 2 - num_layers // 8)


@runtime_checkable
class Amateur(Protocol):
    """A weaker model of the same tokens, for one branch."""

    def advantage(
        self, token_ids: Int64[np.ndarray, " k"], forwards: Forwards
    ) -> Float64[np.ndarray, " k"]:
        """Return the decoder's own logits less the amateur's, both unshaped.

        Raises:
            ValueError: a state that it needs was not computed.
        """
        ...

    def take(self, token: int) -> None:
        """Note a token that was taken."""
        ...

    def fork(self) -> "Amateur":
        """Return an independent copy."""
        ...


class EarlyExit:
    """The decoder itself without its last layers: `Forwards.exit_hidden` through the same head.

    Nobody trained it to be one, so it is far too sure of what it says; `temperature` divides its
    logits.
    """

    def __init__(self, unembedding: Unembedding, temperature: float = EXIT_TEMPERATURE) -> None:
        """Take the rows of the head.

        Raises:
            ValueError: a temperature that is not above 0.
        """
        if not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(f"the temperature of an exit must be > 0, got {temperature}")
        self._unembedding = unembedding
        self._temperature = np.float32(temperature)

    def advantage(
        self, token_ids: Int64[np.ndarray, " k"], forwards: Forwards
    ) -> Float64[np.ndarray, " k"]:
        """Return E_v . (h - h_exit / temperature)."""
        hidden = _needed(forwards.hidden, "the final hidden state")
        exit_hidden = _needed(forwards.exit_hidden, "the hidden state of an early exit")
        return self._unembedding.products(token_ids, hidden - exit_hidden / self._temperature)

    def take(self, token: int) -> None:
        """Nothing to note."""

    def fork(self) -> "EarlyExit":
        """Return itself: there is no state."""
        return self


class NGramAmateur:
    """An n-gram model, with the last tokens of one branch as its context."""

    def __init__(
        self, model: NGramModel, unembedding: Unembedding, context: Sequence[int] = ()
    ) -> None:
        """Take the rows of the decoder's head and the tokens before the first that is drawn."""
        self._model = model
        self._unembedding = unembedding
        self._context = self._last(context)

    def advantage(
        self, token_ids: Int64[np.ndarray, " k"], forwards: Forwards
    ) -> Float64[np.ndarray, " k"]:
        """Return E_v . h - log q(v | context)."""
        hidden = _needed(forwards.hidden, "the final hidden state")
        own = self._unembedding.products(token_ids, hidden)
        return own - self._model.log_probs(self._context, token_ids)

    def take(self, token: int) -> None:
        """Move the context on."""
        self._context = self._last((*self._context, token))

    def fork(self) -> "NGramAmateur":
        """Return an independent copy."""
        return NGramAmateur(self._model, self._unembedding, self._context)

    def _last(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        width = self._model.order - 1
        return (
            tuple(token_ids[len(token_ids) - width :])
            if width < len(token_ids)
            else tuple(token_ids)
        )


class Contrastive:
    """Contrastive decoding, sampling form: what the decoder knows better than an amateur counts.

    The advantage is taken before P2: a bias on a token then counts once, not (1 + w) times.
    """

    def __init__(self, amateur: Amateur, *, weight: float, head: float) -> None:
        """Take the amateur of this branch, w >= 0, and a in (0, 1], which bounds the head."""
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"the weight of a contrast must be >= 0, got {weight}")
        if not 0 < head <= 1:
            raise ValueError(f"the head of a contrast must be in (0, 1], got {head}")
        self._amateur = amateur
        self._weight = weight
        self._head = head

    def least(self, logits: ShapedLogits) -> float:
        """Return the logit of a token of `head` times the highest probability."""
        return float(logits.max()) + math.log(self._head)

    def shift(
        self,
        token_ids: Int64[np.ndarray, " k"],
        logits: Float32[np.ndarray, " k"],
        forwards: Forwards,
    ) -> Float64[np.ndarray, " k"]:
        """Return w times the advantage."""
        del logits
        if self._weight == 0:
            return np.zeros(len(token_ids))
        return self._weight * self._amateur.advantage(token_ids, forwards)

    def take(self, token: int) -> None:
        """Pass a token on."""
        self._amateur.take(token)

    def fork(self) -> "Contrastive":
        """Return an independent copy."""
        return Contrastive(self._amateur.fork(), weight=self._weight, head=self._head)


class ContextAware:
    """Context-aware decoding: what is likely without the evidence too counts less."""

    def __init__(self, alpha: float) -> None:
        """Take w >= 0; 0 changes nothing."""
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"context_faithfulness must be >= 0, got {alpha}")
        self._alpha = alpha

    def least(self, logits: ShapedLogits) -> float:
        """Keep all."""
        del logits
        return -math.inf

    def shift(
        self,
        token_ids: Int64[np.ndarray, " k"],
        logits: Float32[np.ndarray, " k"],
        forwards: Forwards,
    ) -> Float64[np.ndarray, " k"]:
        """Return w (z - z_baseline).

        A token that only the baseline's row holds impossible counts as its least possible one: an
        infinite difference would leave no other token. A baseline of nothing but -inf says nothing.
        """
        if self._alpha == 0:
            return np.zeros(len(token_ids))
        row = _needed(forwards.baseline, "the logits of the prompt without evidence")
        baseline = row[token_ids].astype(np.float64)
        possible = baseline > -np.inf
        if not possible.all():
            if not possible.any():
                return np.zeros(len(token_ids))
            baseline[~possible] = baseline[possible].min()
        return self._alpha * (logits.astype(np.float64) - baseline)

    def take(self, token: int) -> None:
        """Nothing to note: the other prompt's branch takes the token itself."""

    def fork(self) -> "ContextAware":
        """Return itself: there is no state."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertGuidance:
    """Guidance by an expert and an anti-expert, both adapters of the decoder's head.

    `weight` (z+ - z-) is E_v . (nudge+ - nudge-). The logarithm of the ratio of two models is
    their difference of logits up to a constant, so with a base model as anti-expert and one tuned
    by preferences as expert this is DPO's implicit reward (arXiv 2305.18290) added to the logits.
    """

    expert: HeadAdapter
    anti_expert: HeadAdapter
    weight: float
    top_p: float
    unembedding: Unembedding

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight):
            raise ValueError(f"the weight of experts must be finite, got {self.weight}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"the top_p of experts must be in (0, 1], got {self.top_p}")
        width = self.unembedding.hidden_size
        for name, adapter in (("expert", self.expert), ("anti-expert", self.anti_expert)):
            if adapter.hidden_size != width:
                raise ValueError(
                    f"the {name} is for a hidden size of {adapter.hidden_size} and this model has"
                    f" {width}; train it with this model"
                )

    def least(self, logits: ShapedLogits) -> float:
        """Return the lowest logit of the smallest set, most probable first, whose mass is top_p."""
        return lowest_of_nucleus(logits, self.top_p)

    def shift(
        self,
        token_ids: Int64[np.ndarray, " k"],
        logits: Float32[np.ndarray, " k"],
        forwards: Forwards,
    ) -> Float64[np.ndarray, " k"]:
        """Return w (z+ - z-)."""
        del logits
        hidden = _needed(forwards.hidden, "the final hidden state")
        nudge = self.expert.nudge(hidden) - self.anti_expert.nudge(hidden)
        return self.weight * self.unembedding.products(token_ids, nudge)

    def take(self, token: int) -> None:
        """Nothing to note."""

    def fork(self) -> "ExpertGuidance":
        """Return itself: there is no state."""
        return self


def lowest_of_nucleus(logits: Float32[np.ndarray, " v"], top_p: float) -> float:
    """Return the lowest logit of the smallest set, most probable first, whose mass reaches `top_p`.

    -inf where that is everything; NaN where the row has one.
    """
    peak = float(logits.max())
    if top_p >= 1 or not math.isfinite(peak):
        return peak if math.isnan(peak) else -math.inf
    # The library's exp differs in the last bit between machines, and a sum of masses is nowhere
    # near enough to top_p of all for that to matter.
    wanted = top_p * float(np.exp((logits - np.float32(peak)).astype(np.float64)).sum())
    for depth in _DEPTHS:
        values = np.sort(logits[logits > peak - depth])[::-1]
        reached = np.cumsum(np.exp((values - np.float32(peak)).astype(np.float64))) >= wanted
        if reached.any():
            return float(values[int(reached.argmax())])
    return -math.inf


def _float32_from(least: float) -> np.float32:
    """Return the lowest float32 that is not below `least`, so that no token more is kept."""
    rounded = np.float32(least)
    if float(rounded) < least:
        rounded = np.nextafter(rounded, np.float32(np.inf))
    return rounded


def _needed(value: Array | None, what: str) -> Array:
    if value is None:
        raise ValueError(f"this step did not compute {what}")
    return value

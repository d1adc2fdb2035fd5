"""The exponential scheme (Aaronson, 2022): keyed Gumbel noise, so each token is drawn unbiased.

The drawn token maximises log p_v - ln(-ln r_v), r_v = U(seed(context), v): over keys that is a draw
from p, and for a detector who holds the key -ln(1 - r) of the drawn token is large. A sub-key of
(request seed + stream) mod `num_sub_keys` lets another seed, or another sample of the same request,
give another text; a detector tries them all. Letters: `k` sub-keys, `n` tokens, `v` candidates.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64, Int64, UInt64

from llm.decoding.phases import Survivors
from llm.watermark.contexts import Contexts, Seeding, context_seeds, first_occurrences
from llm.watermark.gumbel_moments import conditional_moments, read_moments
from llm.watermark.null_laws import ExponentialLaw, Law
from llm.watermark.prf import sub_key, units_of, words_of
from llm.watermark.scheme import Expectation, Scores, check_num_sub_keys, scores_of

DEFAULT_SUB_KEYS = 16
_LEAST_PROB = 1e-90


@dataclass(frozen=True, slots=True, kw_only=True)
class Gumbel:
    """Keyed noise for the draw; temperature 0 has no noise and hence no mark."""

    seeding: Seeding = field(default_factory=Seeding)
    num_sub_keys: int = DEFAULT_SUB_KEYS

    def __post_init__(self) -> None:
        check_num_sub_keys(self.num_sub_keys)
        if self.seeding.kind == "self":
            raise ValueError(
                "a Gumbel mark needs one context for all candidates; take the seeding 'window' or"
                " 'min'"
            )

    @property
    def label(self) -> str:
        """See `Scheme`."""
        return f"gumbel-{self.seeding.label}"

    @property
    def law(self) -> Law:
        """See `Scheme`."""
        return ExponentialLaw()

    def start(self, secret: bytes, *, seed: int, stream: int = 0) -> "GumbelMark":
        """See `Scheme`."""
        number = (seed + stream) % self.num_sub_keys
        contexts = Contexts(self.seeding, sub_key(secret, self.label, number))
        return GumbelMark(self, secret, seed, contexts)

    def score(self, token_ids: Int64[np.ndarray, " n"], keys: UInt64[np.ndarray, "k 6"]) -> Scores:
        """See `Scheme`."""
        seeds = context_seeds(token_ids, self.seeding, keys)
        units = units_of(words_of(token_ids[self.seeding.num_previous :], seeds))
        return scores_of(-np.log1p(-units), seeds, first_occurrences(seeds), len(token_ids))

    def expect(self, probs: Float64[np.ndarray, " v"], *, seed: int = 0) -> Expectation:
        """Return the exact moments: r of a drawn token k is distributed as Beta(1 / p_k, 1)."""
        del seed
        p = np.maximum(probs, _LEAST_PROB)
        means, variances, thirds = conditional_moments(p)
        mean = float((p * means).sum())
        away = means - mean
        return Expectation(
            mean=mean,
            variance=float((p * (variances + away**2)).sum()),
            third=float((p * (thirds + 3 * away * variances + away**3)).sum()),
        )


class GumbelMark:
    """The noise of one branch."""

    __slots__ = ("_contexts", "_scheme", "_secret", "_seed")

    def __init__(self, scheme: Gumbel, secret: bytes, seed: int, contexts: Contexts) -> None:
        self._scheme = scheme
        self._secret = secret
        self._seed = seed
        self._contexts = contexts

    def reweight(self, survivors: Survivors) -> Survivors:
        """Leave the weights: this mark is in the noise."""
        return survivors

    def noise(self, token_ids: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"] | None:
        """See `Mark`; None where there is no context, a repeated one, or a single token."""
        if len(token_ids) == 1 or not self._contexts.is_fresh():
            return None
        words = words_of(token_ids, np.array(self._contexts.seed(), np.uint64))
        return -np.log(-np.log(units_of(words)))

    def noise_seed(self) -> int | None:
        """See `KeyedNoise`: `noise` is that of this seed."""
        return int(self._contexts.seed()) if self._contexts.is_fresh() else None

    def counts(self, token: int) -> bool:
        """See `TextMark`."""
        del token
        return self._contexts.is_fresh()

    def values(self, token_ids: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"] | None:
        """See `TextMark`."""
        if not self._contexts.is_fresh():
            return None
        words = words_of(token_ids, np.array(self._contexts.seed(), np.uint64))
        return -np.log1p(-units_of(words))

    def expect(self, survivors: Survivors, token: int) -> Expectation | None:
        """See `TextMark`."""
        del token
        if not self._contexts.is_fresh():
            return None
        return read_moments(survivors.log_probs)

    def take(self, token: int) -> None:
        """See `Mark`."""
        self._contexts.take(token)

    def fork(self, stream: int) -> "GumbelMark":
        """See `Mark`; another stream has the noise of another sub-key."""
        scheme = self._scheme
        number = (self._seed + stream) % scheme.num_sub_keys
        contexts = self._contexts.fork(sub_key(self._secret, scheme.label, number))
        return GumbelMark(scheme, self._secret, self._seed, contexts)

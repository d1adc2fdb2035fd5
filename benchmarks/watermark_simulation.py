"""Marked sequences of made-up distributions: many at a time, each with a key of its own.

A step offers 64 tokens with the probabilities of a softmax of normal logits, scaled so that their
entropy is as wanted. The ids are new in each step, so contexts do not repeat.
"""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, Int64, UInt64

from llm.watermark.bayesian import BayesianSynthID
from llm.watermark.contexts import Seeding
from llm.watermark.gumbel import Gumbel
from llm.watermark.kgw import GreenLists
from llm.watermark.p_values import share_of
from llm.watermark.prf import seeds_of_each, sub_key, units_of, words_of
from llm.watermark.scheme import Scheme
from llm.watermark.synthid import SynthID, tournament

VOCABULARY = 50_000


class Simulation:
    """Grows `num` sequences at once, one key each, by the rules of a scheme's mark."""

    def __init__(self, scheme: Scheme, num: int, *, seed: int) -> None:
        self.scheme = scheme
        self.rng = np.random.default_rng(seed)
        self.secrets = [self.rng.bytes(16) for _ in range(num)]
        self.keys: UInt64[np.ndarray, "k 6"] = np.stack(
            [sub_key(secret, scheme.label, 0) for secret in self.secrets]
        )
        self.token_ids: Int64[np.ndarray, "k t"] = np.zeros((num, 0), np.int64)

    @property
    def num_tokens(self) -> int:
        """How many tokens each sequence has."""
        return int(self.token_ids.shape[1])

    @property
    def num_unmarked(self) -> int:
        """How many tokens at the start of a sequence have no context."""
        return self.seeding.num_previous

    @property
    def seeding(self) -> Seeding:
        """How the scheme makes its seeds."""
        scheme = self.scheme.base if isinstance(self.scheme, BayesianSynthID) else self.scheme
        assert isinstance(scheme, Gumbel | GreenLists | SynthID)
        return scheme.seeding

    def pairs(self) -> Iterator[tuple[Int64[np.ndarray, " t"], UInt64[np.ndarray, " 6"]]]:
        """Return each sequence with its sub-key."""
        return zip(self.token_ids, self.keys, strict=True)

    def detected(self, alpha: float, scheme: Scheme | None = None) -> float:
        """Return the share of the sequences that a detector with this many sub-keys finds.

        The other sub-keys may pass by chance, as they do for a reply.
        """
        by = scheme or self.scheme
        law = by.law
        level = math.log(share_of(alpha, by.num_sub_keys))
        found = 0
        for number, (tokens, key) in enumerate(self.pairs()):
            others = [sub_key(self.secrets[number], by.label, i) for i in range(1, by.num_sub_keys)]
            scores = by.score(tokens, np.stack([key, *others]))
            totals = zip(scores.totals().tolist(), scores.counts().tolist(), strict=True)
            found += any(law.log_tail(total, count) <= level for total, count in totals)
        return found / len(self.keys)

    def step(self, probs: Float64[np.ndarray, "k v"]) -> None:
        """Draw a token for each sequence."""
        ids = self.rng.integers(0, VOCABULARY, probs.shape)
        noise = self.rng.gumbel(size=probs.shape)
        with np.errstate(divide="ignore"):
            score = np.log(probs) + noise
            h = self.num_unmarked
            if self.token_ids.shape[1] >= h:
                score = self._marked(probs, ids, noise, self.token_ids[:, -h:])
        drawn = np.take_along_axis(ids, score.argmax(axis=1)[:, None], axis=1)
        self.token_ids = np.concatenate([self.token_ids, drawn], axis=1)

    def _marked(
        self,
        probs: Float64[np.ndarray, "k v"],
        ids: Int64[np.ndarray, "k v"],
        noise: Float64[np.ndarray, "k v"],
        contexts: Int64[np.ndarray, "k h"],
    ) -> Float64[np.ndarray, "k v"]:
        words = words_of(ids, self._seeds(contexts)[:, None])
        scheme = self.scheme.base if isinstance(self.scheme, BayesianSynthID) else self.scheme
        score: Float64[np.ndarray, "k v"] = np.log(probs) + noise
        if isinstance(scheme, Gumbel):
            score = np.log(probs) - np.log(-np.log(units_of(words)))
        elif isinstance(scheme, SynthID):
            score = np.log(tournament(probs, words, scheme.depth, scheme.leaves)) + noise
        else:
            assert isinstance(scheme, GreenLists)
            is_green = words < scheme.limit
            is_green |= ~is_green.any(axis=1, keepdims=True)  # a hard list leaves something
            if scheme.delta == math.inf:
                score = np.where(is_green, score, -np.inf)
            else:
                score += np.where(is_green, scheme.delta, 0.0)
        return score

    def _seeds(self, contexts: Int64[np.ndarray, "k h"]) -> UInt64[np.ndarray, " k"]:
        assert self.seeding.kind == "window", "contexts that repeat are not simulated"
        return seeds_of_each(contexts, self.keys)

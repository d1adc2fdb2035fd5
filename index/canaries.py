"""Canaries: a fixed sample of questions by which a live index shows what recall it has today.

They are asked of the index and of exact search; run them when nobody waits. Knows no schedule.

Letters: `n` rows, `d` their width, `q` queries, `k` neighbours.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from index.flat import FlatBuilder
from index.protocol import AnnBackend, Metric
from index.recall import Recall, recall_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canaries:
    """Questions whose recall at `k` should be `wanted`."""

    queries: Float[np.ndarray, "q d"]
    k: int
    wanted: float

    @classmethod
    def drawn(
        cls,
        rows: Float32[np.ndarray, "n d"],
        *,
        num: int = 100,
        k: int = 10,
        wanted: float = 0.95,
        seed: int = 0,
    ) -> "Canaries":
        """Draw questions between pairs of rows: near what is stored, and equal to none of it."""
        rng = np.random.default_rng(seed)
        first, second = rng.integers(0, len(rows), (2, num))
        return cls(queries=0.7 * rows[first] + 0.3 * rows[second], k=k, wanted=wanted)

    def run(
        self,
        backend: AnnBackend,
        rows: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        effort: int,
    ) -> Recall:
        """Return the index's recall over its own rows, on one thread."""
        exact = FlatBuilder().build(rows, metric, seed=0, threads=1)
        _, scores = backend.search(self.queries, self.k, effort=effort)
        return recall_of(scores, exact.search(self.queries, self.k)[1])

    def is_breached(self, recall: Recall) -> bool:
        """Say whether the recall is surely below what is wanted: tune or build anew."""
        return recall.high < self.wanted

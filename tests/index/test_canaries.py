"""Canaries sing while the index is well, and stop when it is not."""

import numpy as np

from index.backend_contract import rows_for
from index.canaries import Canaries
from index.hnsw import HnswBuilder
from index.protocol import Metric


def test_a_starved_index_is_found_out() -> None:
    rows = rows_for(Metric.COSINE)
    canaries = Canaries.drawn(rows, wanted=0.95, seed=2)
    good = HnswBuilder().build(rows, Metric.COSINE, seed=1, threads=1)
    recall = canaries.run(good, rows, Metric.COSINE, effort=200)
    assert recall.low >= 0.95
    assert not canaries.is_breached(recall)
    bad = HnswBuilder(m=2, ef_construction=3).build(rows, Metric.COSINE, seed=1, threads=1)
    recall = canaries.run(bad, rows, Metric.COSINE, effort=10)
    assert canaries.is_breached(recall)
    assert recall.num_queries == 100


def test_canaries_stay_the_same_and_are_no_rows() -> None:
    rows = rows_for(Metric.L2)
    one, other = Canaries.drawn(rows, seed=2), Canaries.drawn(rows, seed=2)
    assert np.array_equal(one.queries, other.queries)
    assert not (one.queries[:, None] == rows[None]).all(axis=2).any()

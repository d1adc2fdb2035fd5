"""Exact search: the contract, and the two ways in which it compares."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from index.backend_contract import AnnBackendContract, rows_for, true_neighbours
from index.flat import FlatBuilder
from index.protocol import Metric


class TestFlat(AnnBackendContract):
    builder = FlatBuilder()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from([Metric.INNER_PRODUCT, Metric.L2]),
    st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=1, max_size=40),
    st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=1, max_size=11),
    st.integers(1, 45),
    st.sets(st.integers(0, 39)),
)
def test_ties_and_filters_are_those_of_a_stable_sort(
    metric: Metric,
    rows: list[tuple[int, ...]],
    queries: list[tuple[int, ...]],
    k: int,
    allowed: set[int],
) -> None:
    """Small whole numbers tie all the time; one query and many go different ways."""
    x, q = np.array(rows, np.float32), np.array(queries, np.float32)
    backend = FlatBuilder().build(x, metric, seed=1, threads=1)
    allow = np.isin(np.arange(len(x)), list(allowed))
    kept = np.flatnonzero(allow)
    expected = true_neighbours(q, x, metric, k)
    assert backend.search(q, k)[0].tolist() == expected.tolist()
    found, _ = backend.search(q, k, allow=allow)
    if len(kept):
        assert found.tolist() == kept[true_neighbours(q, x[kept], metric, k)].tolist()


def test_rows_far_from_the_origin_are_told_apart() -> None:
    """A matrix product for L2 subtracts large numbers; what it cannot tell is compared again."""
    rows = rows_for(Metric.L2) * 0.01 + 1000
    backend = FlatBuilder().build(rows, Metric.L2, seed=1, threads=1)
    assert backend.search(rows[:20], 5)[0].tolist() == (
        true_neighbours(rows[:20], rows, Metric.L2, 5).tolist()
    )

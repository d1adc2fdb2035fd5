"""The index of unsealed rows against a brute force that shares no code with it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.memtable import Memtable
from index.protocol import Metric

METRICS = list(Metric)


def brute_force(query: np.ndarray, rows: np.ndarray, metric: Metric) -> np.ndarray:
    """The definitions, a row at a time."""
    scores = []
    for row in rows.astype(np.float64):
        dot = float(sum(a * b for a, b in zip(query, row, strict=True)))
        if metric is Metric.INNER_PRODUCT:
            scores.append(dot)
        elif metric is Metric.L2:
            scores.append(-float(sum((a - b) ** 2 for a, b in zip(query, row, strict=True))))
        else:
            norms = float(np.sqrt((query**2).sum() * (row**2).sum()))
            scores.append(dot / norms if norms else 0.0)
    return np.array(scores)


def filled(rows: np.ndarray, metric: Metric) -> Memtable:
    index = Memtable(rows.shape[1], metric)
    index.add(np.arange(len(rows)), rows)
    return index


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 5, 100, 211, 500])
def test_similarities_are_exact(metric: Metric, k: int) -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(211, 13)).astype(np.float32)
    query = rng.normal(size=13)
    keys, scores = filled(rows, metric).search(query, k)
    expected = brute_force(query, rows, metric)
    order = np.argsort(-expected, kind="stable")[:k]
    assert keys.tolist() == order.tolist()
    # Cosine rows are stored at length one in single precision; the rest is double throughout.
    np.testing.assert_allclose(scores, expected[order], rtol=0, atol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from([Metric.INNER_PRODUCT, Metric.L2]),
    st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=1, max_size=40),
    st.tuples(*[st.integers(-2, 2)] * 3),
    st.integers(1, 45),
    st.sets(st.integers(0, 39)),
)
def test_ties_and_removals_are_those_of_a_stable_sort(
    metric: Metric,
    rows: list[tuple[int, ...]],
    query: tuple[int, ...],
    k: int,
    removed: set[int],
) -> None:
    """Small whole numbers tie all the time, and single precision holds them exactly."""
    x, q = np.array(rows, np.float32), np.array(query, np.float64)
    index = filled(x, metric)
    gone = sorted(key for key in removed if key < len(rows))
    index.remove(np.array(gone, np.int64))
    left = [key for key in range(len(rows)) if key not in removed]
    expected = brute_force(q, x[left], metric)
    order = np.argsort(-expected, kind="stable")[:k]
    keys, scores = index.search(q, k)
    assert keys.tolist() == [left[i] for i in order]
    assert scores.tolist() == expected[order].tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_copies_tie_wherever_they_lie(metric: Metric) -> None:
    """FAISS sums in blocks, so that copies may differ in the last bit there."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(203, 31)).astype(np.float32)
    rows[::3] = rows[1]
    keys, scores = filled(rows, metric).search(rows[1].astype(np.float64), 20)
    copies = sorted({1, *range(0, 203, 3)})
    assert keys.tolist() == copies[:20]
    assert len(set(scores.tolist())) == 1


def test_padding_never_leaves_the_index() -> None:
    index = filled(np.ones((2, 3), np.float32), Metric.L2)
    keys, scores = index.search(np.ones(3), 50)
    assert keys.tolist() == [0, 1]
    assert scores.tolist() == [0.0, 0.0]
    index.remove(np.array([0, 1]))
    assert len(index) == 0
    assert index.search(np.ones(3), 50)[0].tolist() == []


def test_misuse_is_named() -> None:
    index = filled(np.ones((2, 3), np.float32), Metric.COSINE)
    with pytest.raises(ValueError, match="added twice"):
        index.add(np.array([1]), np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match="added twice"):
        index.add(np.array([7, 7]), np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="only 1 of them"):
        index.remove(np.array([1, 9]))
    with pytest.raises(ValueError, match="4 components"):
        index.search(np.ones(4), 1)
    with pytest.raises(ValueError, match="k must be >= 1, got 0"):
        index.search(np.ones(3), 0)
    with pytest.raises(ValueError, match="dim must be >= 1, got 0"):
        Memtable(0, Metric.L2)
    with pytest.raises(ValueError, match="threads must be >= 1, got 0"):
        Memtable(3, Metric.L2, threads=0)
    assert index.keys.tolist() == [0, 1]

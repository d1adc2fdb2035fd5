"""The forest of KD-trees: the contract, and every leaf opened finds everything."""

import numpy as np
import pytest

from index.backend_contract import AnnBackendContract, rows_for, true_neighbours
from index.kdtree import KdForestBuilder
from index.protocol import Metric


class TestKdForest(AnnBackendContract):
    builder = KdForestBuilder()
    most_effort = 256
    recall = 0.95


@pytest.mark.parametrize("metric", list(Metric))
def test_all_leaves_of_a_tree_hold_all_rows(metric: Metric) -> None:
    rows = rows_for(metric, 211)
    backend = KdForestBuilder(num_trees=1, leaf_rows=3).build(rows, metric, seed=1, threads=1)
    found, _ = backend.search(rows[:9], 5, effort=10_000)
    assert found.tolist() == true_neighbours(rows[:9], rows, metric, 5).tolist()


def test_the_nearest_leaf_holds_the_row_itself() -> None:
    rows = np.random.default_rng(2).normal(size=(509, 3)).astype(np.float32)
    backend = KdForestBuilder(num_trees=1).build(rows, Metric.L2, seed=1, threads=1)
    assert backend.search(rows, 1, effort=1)[0][:, 0].tolist() == list(range(509))


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="num_trees must be >= 1, got 0"):
        KdForestBuilder(num_trees=0)
    with pytest.raises(ValueError, match="num_axes must be >= 0, got -3"):
        KdForestBuilder(num_axes=-3)

"""IVF-PQ: the contract with and without a rotation, widths that do not divide, memory."""

import numpy as np
import pytest

from index.backend_contract import DIM, AnnBackendContract, rows_for
from index.distance import unit_rows
from index.flat import FlatBuilder
from index.ivfpq import IvfPqBuilder
from index.protocol import Metric
from index.recall import recall_of


class TestIvfPq(AnnBackendContract):
    builder = IvfPqBuilder()
    most_effort = 64
    recall = 0.95


class TestRotatedIvfPq(AnnBackendContract):
    builder = IvfPqBuilder(rotate=True, num_codes=7, refined=40)
    most_effort = 64
    recall = 0.95


@pytest.mark.parametrize("num_codes", [1, 5, DIM])
def test_codes_need_not_divide_the_width(num_codes: int) -> None:
    rows = rows_for(Metric.COSINE)
    builder = IvfPqBuilder(num_codes=num_codes, refined=200)
    backend = builder.build(rows, Metric.COSINE, seed=1, threads=1)
    assert backend.search(rows[:50], 1, effort=64)[0][:, 0].tolist() == list(range(50))


def test_a_handful_of_rows_is_enough() -> None:
    rows = np.eye(3, 7, dtype=np.float32)
    backend = IvfPqBuilder().build(rows, Metric.L2, seed=1, threads=1)
    assert backend.search(rows, 1, effort=1)[0][:, 0].tolist() == [0, 1, 2]


def test_it_takes_half_a_byte_a_code() -> None:
    rows = rows_for(Metric.L2)
    backend = IvfPqBuilder(num_codes=5).build(rows, Metric.L2, seed=1, threads=1)
    assert backend.nbytes() < rows.nbytes / 4


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="num_lists must be >= 0, got -1"):
        IvfPqBuilder(num_lists=-1)
    with pytest.raises(ValueError, match="refined must be >= 1, got 0"):
        IvfPqBuilder(refined=0)
    with pytest.raises(ValueError, match=f"at most the {DIM} components, got 99"):
        IvfPqBuilder(num_codes=99).build(rows_for(Metric.L2), Metric.L2, seed=1, threads=1)


def test_a_filter_makes_it_visit_more_lists() -> None:
    """The lists that hold the ten nearest rows hold few of the ten nearest allowed ones."""
    draws = np.random.default_rng(3)
    centres = unit_rows(draws.standard_normal((150, 24)))
    picked = centres[draws.integers(0, len(centres), 30_000)]
    rows = unit_rows(picked + 0.15 * draws.standard_normal(picked.shape))
    queries = unit_rows(rows[:100] + 0.05 * draws.standard_normal((100, 24)))
    backend = IvfPqBuilder(refined=40).build(rows, Metric.COSINE, seed=1, threads=1)
    allow = draws.random(len(rows)) < 0.1
    oracle = FlatBuilder().build(rows, Metric.COSINE, seed=1, threads=1)

    def recall(allowed: np.ndarray | None) -> float:
        truth = oracle.search(queries, 10, effort=1, allow=allowed)[1]
        return recall_of(backend.search(queries, 10, effort=6, allow=allowed)[1], truth).value

    assert recall(allow) >= recall(None) - 0.02

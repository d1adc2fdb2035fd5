"""8-bit codes: the contract, and what they save."""

import numpy as np

from index.backend_contract import AnnBackendContract, rows_for
from index.protocol import Metric
from index.scalar import ScalarBuilder


class TestScalar(AnnBackendContract):
    builder = ScalarBuilder()
    most_effort = 4
    recall = 0.99


def test_it_takes_a_byte_a_component() -> None:
    rows = rows_for(Metric.L2)
    backend = ScalarBuilder().build(rows, Metric.L2, seed=1, threads=1)
    assert rows.size <= backend.nbytes() <= rows.size + 8 * rows.shape[1]
    assert rows.nbytes == 4 * rows.size
    assert rows.dtype == np.float32

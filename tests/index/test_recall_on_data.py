"""Every method against exact search on public vectors: SIFT descriptors and GloVe words."""

from pathlib import Path

import numpy as np
import pytest

from index.backend_contract import recall_at_k
from index.distance import unit_rows
from index.flat import FlatBuilder
from index.gpu import GpuBuilder
from index.hnsw import HnswBuilder
from index.ivfpq import IvfPqBuilder
from index.kdtree import KdForestBuilder
from index.lsh import LshBuilder
from index.methods import METHODS
from index.nsw import NswBuilder
from index.pq import PqBuilder
from index.protocol import AnnBuilder, Metric
from index.scalar import ScalarBuilder

NUM_QUERIES = 60
# Method, effort, and the recall at 10 that it must have on both; measured is a little more.
EXPECTED: tuple[tuple[AnnBuilder, int, float], ...] = (
    (FlatBuilder(), 1, 1.0),
    (HnswBuilder(), 100, 0.98),
    (HnswBuilder(library="faiss"), 100, 0.98),
    (IvfPqBuilder(refined=40), 40, 0.95),
    (ScalarBuilder(), 4, 0.99),
    (PqBuilder(num_codes=10), 30, 0.95),
    (LshBuilder(), 512, 0.85),
    (KdForestBuilder(), 128, 0.85),
    (NswBuilder(num_links=8, beam=16), 200, 0.95),
    (GpuBuilder(), 40, 0.85),
)


@pytest.fixture(scope="module", params=["sift5k", "glove_small"])
def vectors(request: pytest.FixtureRequest, data_path: Path) -> tuple[np.ndarray, Metric]:
    if request.param == "sift5k":
        rows = np.loadtxt(data_path / "sift5k" / "sift-dataset-5k.tsv", dtype=np.float32)
        return rows[:, :128], Metric.L2  # the last column is a row id
    path = data_path / "glove_small" / "glove.6B.50d.5050.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = np.array([line.rsplit(" ", 50)[1:] for line in lines], np.float32)
    return unit_rows(rows), Metric.COSINE


def test_all_methods_are_measured() -> None:
    assert {builder.name for builder, _, _ in EXPECTED} == set(METHODS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("builder", "effort", "wanted"), EXPECTED, ids=lambda v: getattr(v, "name", None)
)
def test_recall_holds_on_held_out_queries(
    vectors: tuple[np.ndarray, Metric], builder: AnnBuilder, effort: int, wanted: float
) -> None:
    every, metric = vectors
    rows, queries = np.ascontiguousarray(every[:-NUM_QUERIES]), every[-NUM_QUERIES:]
    backend = builder.build(rows, metric, seed=1, threads=1)
    _, scores = backend.search(queries, 10, effort=effort)
    _, truth = FlatBuilder().build(rows, metric, seed=1, threads=1).search(queries, 10)
    assert recall_at_k(scores, truth) >= wanted

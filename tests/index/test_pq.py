"""Our product quantisation: the contract, and FAISS's distances to the same codes."""

import numpy as np
import pytest

from index.backend_contract import DIM, AnnBackendContract, clustered_rows, rows_for
from index.faiss_runtime import faiss
from index.pq import PqBuilder, k_means
from index.protocol import Metric


class TestPq(AnnBackendContract):
    builder = PqBuilder()
    most_effort = 20
    recall = 0.97


@pytest.mark.parametrize("metric", [Metric.L2, Metric.INNER_PRODUCT])
def test_distances_to_codes_are_those_of_faiss(metric: Metric) -> None:
    rows = clustered_rows(1009, 24, 5)
    backend = PqBuilder(num_codes=6).build(rows, metric, seed=1, threads=1)
    kind = faiss.METRIC_L2 if metric is Metric.L2 else faiss.METRIC_INNER_PRODUCT
    theirs = faiss.IndexPQ(24, 6, 8, kind)
    faiss.copy_array_to_vector(backend.codebook.ravel(), theirs.pq.centroids)
    theirs.is_trained = True
    theirs.add(rows)
    codes = faiss.vector_to_array(theirs.codes).reshape(len(rows), 6)
    assert (codes == backend.codes.T).mean() > 0.999  # the rest are ties of rounding
    query = clustered_rows(1010, 24, 6)[-1:]
    distances, found = theirs.search(query, 1009)
    expected = np.empty(1009, np.float32)
    expected[found[0]] = -distances[0] if metric is Metric.L2 else distances[0]
    same = (codes == backend.codes.T).all(axis=1)
    ours = backend.coded_similarities(query[0])
    np.testing.assert_allclose(ours[same], expected[same], rtol=1e-4, atol=1e-4)


def test_our_centroids_are_about_as_good_as_those_of_faiss() -> None:
    rows = clustered_rows(2003, 24, 5)
    ours = PqBuilder(num_codes=6).build(rows, Metric.L2, seed=1, threads=1)
    theirs = faiss.ProductQuantizer(24, 6, 8)
    theirs.cp.min_points_per_centroid = 1
    theirs.train(rows)
    decoded = np.concatenate([ours.codebook[i][ours.codes[i]] for i in range(6)], axis=1)
    error = float(np.square(rows - decoded).sum())
    reference = float(np.square(rows - theirs.decode(theirs.compute_codes(rows))).sum())
    assert error <= 1.1 * reference


def test_more_centroids_than_rows_lose_nothing() -> None:
    rows = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    centroids = k_means(rows, 13, np.random.default_rng(2))
    assert np.isfinite(centroids).all()
    gaps = np.square(rows[:, None] - centroids[None]).sum(axis=2).min(axis=1)
    assert gaps.max() == 0.0


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="num_codes must be >= 0, got -1"):
        PqBuilder(num_codes=-1)
    with pytest.raises(ValueError, match=f"at most the {DIM} components, got 99"):
        PqBuilder(num_codes=99).build(rows_for(Metric.L2), Metric.L2, seed=1, threads=1)

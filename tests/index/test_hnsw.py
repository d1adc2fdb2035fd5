"""HNSW by either library: the contract, copies of vectors, and what happens without hnswlib."""

import logging
import threading

import numpy as np
import pytest

from index import hnsw, hnsw_graphs
from index.backend_contract import AnnBackendContract, rows_for
from index.distance import unit_rows
from index.hnsw import HnswBackend, HnswBuilder
from index.hnsw_graphs import distinct_rows, hnswlib_problem
from index.protocol import Metric


@pytest.mark.usefixtures("hnswlib")
class TestHnswOnHnswlib(AnnBackendContract):
    builder = HnswBuilder(library="hnswlib")


class TestHnswOnFaiss(AnnBackendContract):
    builder = HnswBuilder(library="faiss")


@pytest.mark.usefixtures("hnswlib")
@pytest.mark.parametrize("library", ["hnswlib", "faiss"])
def test_copies_of_a_vector_do_not_hide_the_others(library: str) -> None:
    """hnswlib fills the links of a node with its copies, and the rest is cut off (nmslib 341)."""
    rows = rows_for(Metric.COSINE)
    rows[:1400] = rows[0]
    backend = HnswBuilder(library=library).build(rows, Metric.COSINE, seed=1, threads=1)  # type: ignore[arg-type]
    found, _ = backend.search(rows[1490:1510], 1, effort=32)
    assert found[:, 0].tolist() == list(range(1490, 1510))
    found, scores = backend.search(rows[:1], 9, effort=32)
    assert found[0].tolist() == list(range(9))
    assert scores[0] == pytest.approx(1.0)
    allow = np.arange(len(rows)) % 2 == 1
    found, _ = backend.search(rows[:1], 9, effort=32, allow=allow)
    assert found[0].tolist() == list(range(1, 19, 2))


def test_equal_rows_are_found_whatever_they_hash_to(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([[1, 2], [3, 4], [1, 2], [5, 6], [3, 4]], np.float32)
    first, place = distinct_rows(rows, 1)
    assert first.tolist() == [0, 1, 3]
    assert place.tolist() == [0, 1, 0, 2, 1]

    class Zeros:
        def integers(self, *_: object) -> np.ndarray:
            return np.full(2, 2**63 - 1, np.uint64)  # times 2 plus 1: words are negated and added

    monkeypatch.setattr(np.random, "default_rng", lambda _: Zeros())
    swapped = np.array([[1, 2], [2, 1], [1, 2]], np.float32)  # one sum, two vectors
    first, place = distinct_rows(swapped, 1)
    assert first[place].tolist() == [0, 1, 0]


def test_without_hnswlib_faiss_builds_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hnsw_graphs, "_IMPORT_ERROR", "No module named 'hnswlib'")
    hnswlib_problem.cache_clear()
    hnsw._hnswlib_serves.cache_clear()
    try:
        rows = rows_for(Metric.L2, 101)
        with caplog.at_level(logging.WARNING):
            built = [HnswBuilder().build(rows, Metric.L2, seed=1, threads=1) for _ in range(2)]
        assert [backend.library for backend in built] == ["faiss", "faiss"]
        assert len(caplog.records) == 1
        assert "No module named 'hnswlib'" in caplog.text
        assert "HNSWLIB_NO_NATIVE=1 pip install" in caplog.text
        with pytest.raises(ValueError, match="cannot be imported"):
            HnswBuilder(library="hnswlib").build(rows, Metric.L2, seed=1, threads=1)
    finally:
        hnswlib_problem.cache_clear()
        hnsw._hnswlib_serves.cache_clear()


def test_a_build_for_another_processor_is_found_out_before_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hnsw_graphs, "_PROBE", "import os, signal; os.kill(os.getpid(), 4)")
    hnswlib_problem.cache_clear()
    try:
        assert "an illegal instruction" in str(hnswlib_problem())
    finally:
        hnswlib_problem.cache_clear()


@pytest.mark.slow
@pytest.mark.usefixtures("hnswlib")
def test_searches_of_different_effort_do_not_disturb_each_other() -> None:
    """hnswlib keeps the effort in the index, not in the call."""
    rng = np.random.default_rng(2)
    rows = unit_rows(rng.normal(size=(3001, 31)))
    backend = HnswBuilder(m=4, ef_construction=10).build(rows, Metric.COSINE, seed=1, threads=1)
    queries = rng.normal(size=(53, 31))
    expected = {e: backend.search(queries, 5, effort=e)[0].tolist() for e in (5, 400)}
    assert expected[5] != expected[400]
    wrong: list[int] = []

    def search(effort: int) -> None:
        answers = (backend.search(queries, 5, effort=effort)[0].tolist() for _ in range(15))
        wrong.extend(effort for answer in answers if answer != expected[effort])

    threads = [threading.Thread(target=search, args=(e,)) for e in (5, 400, 5, 400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.untyped
def test_bad_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="m must be 2 to 128 links, got 1"):
        HnswBuilder(m=1)
    with pytest.raises(ValueError, match="ef_construction must be >= 1, got 0"):
        HnswBuilder(ef_construction=0)
    with pytest.raises(ValueError, match="hnswlib or faiss, got 'nmslib'"):
        HnswBuilder(library="nmslib")  # type: ignore[arg-type]
    assert isinstance(
        HnswBuilder().build(np.eye(3, dtype=np.float32), Metric.L2, seed=1, threads=1), HnswBackend
    )

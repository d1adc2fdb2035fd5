"""The contract that every index method keeps; inherit it, or run it over `index.methods`.

Letters: `n` vectors, `d` their width, `b` queries, `k` neighbours.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from jaxtyping import Float32, Int64

from index.distance import similarities, unit_rows
from index.errors import IndexFileError
from index.protocol import AnnBackend, AnnBuilder, Metric

SEED = 3
DIM = 23
NUM_ROWS = 1511
NUM_QUERIES = 31
GREATEST_EFFORT = 1 << 14


def clustered_rows(n: int, d: int, seed: int) -> Float32[np.ndarray, "n d"]:
    """Return rows in groups of unequal directions and lengths, as vectors of texts are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(n // 50, 2), d))
    spectrum = 1 / np.sqrt(1 + np.arange(d))
    noise = rng.normal(size=(n, d)) * spectrum
    return (centres[rng.integers(0, len(centres), n)] * spectrum + 0.7 * noise).astype(np.float32)


def rows_for(metric: Metric, n: int = NUM_ROWS, seed: int = SEED) -> Float32[np.ndarray, "n d"]:
    """Return rows that can be compared by `metric`."""
    rows = clustered_rows(n, DIM, seed)
    return unit_rows(rows) if metric is Metric.COSINE else rows


def true_neighbours(
    queries: Float32[np.ndarray, "b d"],
    rows: Float32[np.ndarray, "n d"],
    metric: Metric,
    k: int,
) -> Int64[np.ndarray, "b k"]:
    """Return the k nearest by comparing with all, a query at a time; equals by row."""
    return np.array(
        [np.argsort(-similarities(query, rows, metric), kind="stable")[:k] for query in queries]
    )


def recall_at_k(scores: np.ndarray, true_scores: np.ndarray, *, tolerance: float = 1e-6) -> float:
    """Return the share of answers that are as near as the k-th true neighbour of their query.

    Counted by similarity, so that an answer as good as the true one is not held against a method.
    """
    kth = true_scores.min(axis=1, keepdims=True)
    return float((scores >= kth - tolerance * np.maximum(1.0, np.abs(kth))).mean())


class AnnBackendContract:
    """Laws of `AnnBuilder` and `AnnBackend`; inherit it and name the `builder`.

    `most_effort` is enough for a recall of at least `recall` at 10 on 1511 clustered rows.
    """

    builder: ClassVar[AnnBuilder]
    recall: ClassVar[float] = 0.95
    most_effort: ClassVar[int] = 256

    @pytest.fixture(scope="class", params=list(Metric))
    @classmethod
    def metric(cls, request: pytest.FixtureRequest) -> Metric:
        """Return each metric in turn."""
        return Metric(request.param)

    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls, metric: Metric) -> Float32[np.ndarray, "n d"]:
        """Return the rows, some of which are copies of each other."""
        rows = rows_for(metric)
        rows[1001:1014] = rows[7]
        return rows

    @pytest.fixture(scope="class")
    @classmethod
    def queries(cls) -> Float32[np.ndarray, "b d"]:
        """Return queries from where the rows are."""
        return clustered_rows(NUM_ROWS + NUM_QUERIES, DIM, SEED)[-NUM_QUERIES:]

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, rows: Float32[np.ndarray, "n d"], metric: Metric) -> AnnBackend:
        """Return the method built over the rows."""
        return cls.builder.build(rows, metric, seed=SEED, threads=1)

    def test_it_finds_most_of_the_true_neighbours(
        self,
        backend: AnnBackend,
        rows: Float32[np.ndarray, "n d"],
        queries: Float32[np.ndarray, "b d"],
        metric: Metric,
    ) -> None:
        """At its greatest effort; the exact ones find all."""
        found, scores = backend.search(queries, 10, effort=self.most_effort)
        truth = true_neighbours(queries, rows, metric, 10)
        if self.builder.caps.is_exact:
            assert found.tolist() == truth.tolist()
        true_scores = np.array(
            [similarities(q, rows[t], metric) for q, t in zip(queries, truth, strict=True)]
        )
        assert recall_at_k(scores, true_scores) >= (
            1.0 if self.builder.caps.is_exact else self.recall
        )

    def test_what_it_returns_is_exact_ordered_and_distinct(
        self,
        backend: AnnBackend,
        rows: Float32[np.ndarray, "n d"],
        queries: Float32[np.ndarray, "b d"],
        metric: Metric,
    ) -> None:
        """To the bit, at the least effort as at any; equals come by row."""
        for effort in (1, self.most_effort):
            found, scores = backend.search(queries, 17, effort=effort)
            assert found.dtype == np.int64
            assert scores.dtype == np.float64
            for query, some, values in zip(queries, found, scores, strict=True):
                assert values.tolist() == similarities(query, rows[some], metric).tolist()
                pairs = list(zip((-values).tolist(), some.tolist(), strict=True))
                assert pairs == sorted(pairs)
                assert len(set(some.tolist())) == 17

    def test_more_effort_finds_no_less(
        self,
        backend: AnnBackend,
        rows: Float32[np.ndarray, "n d"],
        queries: Float32[np.ndarray, "b d"],
        metric: Metric,
    ) -> None:
        """Up to noise."""
        truth = true_neighbours(queries, rows, metric, 10)
        shares = []
        for effort in (1, 8, self.most_effort):
            found, _ = backend.search(queries, 10, effort=effort)
            hits = [len(set(f) & set(t)) for f, t in zip(found, truth, strict=True)]
            shares.append(sum(hits) / truth.size)
        assert shares[0] <= shares[1] + 0.03
        assert shares[1] <= shares[2] + 0.03

    def test_k_beyond_the_rows_gives_all_of_them(self, metric: Metric) -> None:
        """Each once, whatever the library fills up with."""
        few = max(self.builder.caps.fewest_rows, 5)
        rows = rows_for(metric, few)
        backend = self.builder.build(rows, metric, seed=SEED, threads=1)
        found, _ = backend.search(rows[:3], few + 50, effort=1)
        assert found.shape == (3, few)
        assert sorted(found[1].tolist()) == list(range(few))
        assert found[1][0] == 1 or metric is Metric.INNER_PRODUCT

    @pytest.mark.parametrize("share", [0.5, 0.05, 0.002])
    def test_a_filtered_search_is_complete(
        self,
        backend: AnnBackend,
        rows: Float32[np.ndarray, "n d"],
        queries: Float32[np.ndarray, "b d"],
        metric: Metric,
        share: float,
    ) -> None:
        """min(k, allowed) rows, all of them allowed, at the recall of an unfiltered search."""
        allow = np.random.default_rng(SEED).random(len(rows)) < share
        wanted = min(10, int(allow.sum()))
        found, scores = backend.search(queries, 10, effort=self.most_effort, allow=allow)
        assert found.shape == (len(queries), wanted)
        assert allow[found].all()
        kept = np.flatnonzero(allow)
        truth = true_neighbours(queries, rows[kept], metric, wanted)
        true_scores = np.array(
            [similarities(q, rows[kept[t]], metric) for q, t in zip(queries, truth, strict=True)]
        )
        assert recall_at_k(scores, true_scores) >= self.recall - 0.02
        nothing, _ = backend.search(queries, 10, effort=8, allow=np.zeros(len(rows), np.bool_))
        assert nothing.shape == (len(queries), 0)

    def test_saved_and_loaded_it_answers_the_same(
        self,
        backend: AnnBackend,
        rows: Float32[np.ndarray, "n d"],
        queries: Float32[np.ndarray, "b d"],
        metric: Metric,
        tmp_path: Path,
    ) -> None:
        """In memory and, where it can, mapped."""
        backend.save(tmp_path)
        expected = backend.search(queries, 10, effort=8)
        for mmap in (False, True):
            again = self.builder.load(tmp_path, rows, metric, threads=1, mmap=mmap)
            found = again.search(queries, 10, effort=8)
            assert found[0].tolist() == expected[0].tolist()
            assert found[1].tolist() == expected[1].tolist()
            assert again.nbytes() == backend.nbytes()

    def test_the_same_seed_builds_the_same_index(
        self,
        backend: AnnBackend,
        rows: Float32[np.ndarray, "n d"],
        queries: Float32[np.ndarray, "b d"],
        metric: Metric,
    ) -> None:
        """On one thread, to the answer; and a search leaves it as it was."""
        again = self.builder.build(rows, metric, seed=SEED, threads=1)
        for _ in range(2):
            assert (
                again.search(queries, 10, effort=4)[0].tolist()
                == backend.search(queries, 10, effort=4)[0].tolist()
            )

    def test_a_damaged_or_foreign_file_is_refused(
        self,
        backend: AnnBackend,
        rows: Float32[np.ndarray, "n d"],
        metric: Metric,
        tmp_path: Path,
    ) -> None:
        """One flipped byte anywhere, other rows, another metric, a missing file."""
        backend.save(tmp_path)
        other = rows.copy()
        other[0] = other[1]
        with pytest.raises(IndexFileError, match="rows_digest"):
            self.builder.load(tmp_path, other, metric, threads=1)
        with pytest.raises(IndexFileError, match="rows is"):
            self.builder.load(tmp_path, rows[:-1], metric, threads=1)
        with pytest.raises(IndexFileError, match="metric"):
            self.builder.load(tmp_path, rows, next(m for m in Metric if m is not metric), threads=1)
        for path in sorted(tmp_path.iterdir()):
            whole = path.read_bytes()
            broken = bytearray(whole)
            broken[len(whole) // 2] ^= 1
            path.write_bytes(broken)
            with pytest.raises(IndexFileError):
                self.builder.load(tmp_path, rows, metric, threads=1)
            path.unlink()
            with pytest.raises(IndexFileError):
                self.builder.load(tmp_path, rows, metric, threads=1)
            path.write_bytes(whole)
        self.builder.load(tmp_path, rows, metric, threads=1)

    def test_misuse_is_named(self, backend: AnnBackend) -> None:
        """The value, the bound, what to do."""
        queries = np.ones((2, DIM))
        with pytest.raises(ValueError, match="k must be >= 1, got 0"):
            backend.search(queries, 0, effort=1)
        with pytest.raises(ValueError, match="effort must be >= 1, got 0"):
            backend.search(queries, 1, effort=0)
        with pytest.raises(ValueError, match=f"vectors of {DIM} components"):
            backend.search(np.ones((2, DIM + 1)), 1, effort=1)
        with pytest.raises(ValueError, match="a query has components"):
            backend.search(np.full((1, DIM), np.nan), 1, effort=1)
        with pytest.raises(ValueError, match="one boolean for each"):
            backend.search(queries, 1, effort=1, allow=np.ones(5, np.bool_))
        with pytest.raises(ValueError, match="nothing to index"):
            self.builder.build(np.empty((0, DIM), np.float32), Metric.L2, seed=1, threads=1)
        with pytest.raises(ValueError, match="length one"):
            self.builder.build(2 * rows_for(Metric.COSINE), Metric.COSINE, seed=1, threads=1)
        with pytest.raises(ValueError, match="threads must be >= 1"):
            self.builder.build(rows_for(Metric.L2), Metric.L2, seed=1, threads=0)

    def test_its_space_holds_efforts_in_ascending_order(self) -> None:
        """And parameters that it takes itself."""
        for candidate in type(self.builder).space(100_000, 384):
            assert candidate.builder.name == self.builder.name
            assert list(candidate.efforts) == sorted(set(candidate.efforts))
            assert candidate.efforts[0] >= 1

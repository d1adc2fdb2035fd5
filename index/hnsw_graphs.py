"""The graph of HNSW (Malkov & Yashunin 2016) by two libraries: hnswlib, else FAISS.

Nodes are numbered in the order of the vectors that they were made of. Knows no rows, no filters and
no duplicates.

Letters: `n` vectors, `d` width, `b` queries, `m` nodes.
"""

import functools
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from index.errors import IndexFileError
from index.faiss_runtime import faiss, metric_of, read_faiss, set_threads, write_faiss
from index.protocol import Metric

try:
    import hnswlib
except ImportError as error:
    _IMPORT_ERROR: str | None = str(error)
else:
    _IMPORT_ERROR = None

_CURE = (
    "HNSW runs on FAISS instead, with the same recall and somewhat slower; to have hnswlib, install"
    " a C++ compiler and run HNSWLIB_NO_NATIVE=1 pip install --no-cache-dir 'hnswlib>=0.8'"
)
# A build for another processor dies of an illegal instruction, and the process with it.
_PROBE = """
import hnswlib, numpy
index = hnswlib.Index("l2", 16)
index.init_index(8)
index.add_items(numpy.eye(8, 16, dtype=numpy.float32), num_threads=1)
index.knn_query(numpy.eye(1, 16, dtype=numpy.float32), 3, num_threads=1)
"""


@runtime_checkable  # for the lane that checks shapes at run time
class HnswGraph(Protocol):
    """A built graph; safe for threads."""

    def nearest(self, queries: Float32[np.ndarray, "b d"], m: int, ef: int) -> Any:
        """Return up to m nodes a query (`Int64 "b m"`), -1 where there are fewer."""
        ...

    def save(self, path: Path) -> None:
        """Write the graph; raises `OSError`."""
        ...

    def nbytes(self) -> int:
        """Return the bytes in memory, with its copy of the vectors."""
        ...


@functools.cache
def hnswlib_problem() -> str | None:
    """Return why hnswlib cannot be used here and what to do, or None where it can."""
    if _IMPORT_ERROR is not None:
        return f"hnswlib cannot be imported ({_IMPORT_ERROR}). {_CURE}"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False
    )
    if done.returncode:
        why = "an illegal instruction" if done.returncode == -4 else f"exit {done.returncode}"
        return f"hnswlib dies on this processor ({why}). {_CURE}"
    return None


class HnswlibGraph:
    """hnswlib's graph, which holds a copy of the vectors."""

    library = "hnswlib"

    def __init__(self, index: Any, *, threads: int) -> None:
        self._index = index
        self._threads = threads
        self._turnstile = threading.Lock()
        self._condition = threading.Condition(threading.Lock())
        self._searching = 0
        self._ef = 0  # none yet

    @classmethod
    def build(  # all by name
        cls,
        x: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        m: int,
        ef_construction: int,
        seed: int,
        threads: int,
    ) -> "HnswlibGraph":
        """Insert the vectors one by one."""
        index = hnswlib.Index("l2" if metric is Metric.L2 else "ip", x.shape[1])
        index.init_index(len(x), M=m, ef_construction=ef_construction, random_seed=seed)
        index.add_items(x, num_threads=threads)
        return cls(index, threads=threads)

    @classmethod
    def load(cls, path: Path, metric: Metric, dim: int, *, threads: int) -> "HnswlibGraph":
        """Read what `save` wrote, whose hash was compared; raises `IndexFileError`."""
        problem = hnswlib_problem()
        if problem is not None:
            raise IndexFileError(f"{path} was built by hnswlib. {problem}; build the index again")
        index = hnswlib.Index("l2" if metric is Metric.L2 else "ip", dim)
        try:
            index.load_index(str(path))
        except RuntimeError as error:
            raise IndexFileError(f"hnswlib cannot read {path}: {error}; build it again") from error
        return cls(index, threads=threads)

    def nearest(self, queries: Float32[np.ndarray, "b d"], m: int, ef: int) -> Any:
        """Return m nodes a query, or none at all where the graph does not reach that many."""
        self._enter(ef)
        try:
            nodes, _ = self._index.knn_query(queries, m, num_threads=self._threads)
        except RuntimeError:  # not connected: it found fewer and says only that
            return np.empty((len(queries), 0), np.int64)
        finally:
            self._leave()
        return nodes.view(np.int64)

    def save(self, path: Path) -> None:
        """Write the graph."""
        self._index.save_index(str(path))

    def nbytes(self) -> int:
        """Return the bytes of graph and vectors."""
        return int(self._index.index_file_size())

    def _enter(self, ef: int) -> None:
        """Hold `ef`, which belongs to the whole index, until `_leave`.

        Searches of one `ef` run side by side. Who needs another waits for them, and all that come
        later wait behind it.
        """
        with self._turnstile, self._condition:
            if self._ef != ef:
                self._condition.wait_for(lambda: self._searching == 0)
                self._index.set_ef(ef)
                self._ef = ef
            self._searching += 1

    def _leave(self) -> None:
        with self._condition:
            self._searching -= 1
            if not self._searching:
                self._condition.notify_all()


class FaissGraph:
    """FAISS's graph, which holds a copy of the vectors."""

    library = "faiss"

    def __init__(self, index: Any, *, threads: int) -> None:
        self._index = index
        self._threads = threads

    @classmethod
    def build(  # all by name
        cls,
        x: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        m: int,
        ef_construction: int,
        seed: int,
        threads: int,
    ) -> "FaissGraph":
        """Insert the vectors, level by level."""
        set_threads(threads)
        index = faiss.IndexHNSWFlat(x.shape[1], m, metric_of(metric))
        index.hnsw.efConstruction = ef_construction
        index.hnsw.rng = faiss.RandomGenerator(seed)
        index.add(x)
        return cls(index, threads=threads)

    @classmethod
    def load(cls, path: Path, metric: Metric, dim: int, *, threads: int) -> "FaissGraph":
        """Read what `save` wrote, whose hash was compared; raises `IndexFileError`."""
        del metric, dim  # the file has them
        return cls(read_faiss(path), threads=threads)

    def nearest(self, queries: Float32[np.ndarray, "b d"], m: int, ef: int) -> Any:
        """Return up to m nodes a query, -1 where there are fewer."""
        set_threads(self._threads)
        parameters = faiss.SearchParametersHNSW(efSearch=ef)
        return self._index.search(queries, m, params=parameters)[1]

    def save(self, path: Path) -> None:
        """Write the graph."""
        write_faiss(self._index, path)

    def nbytes(self) -> int:
        """Return the bytes of graph and vectors."""
        graph = self._index.hnsw
        links = graph.neighbors.size() * 4 + graph.offsets.size() * 8 + graph.levels.size() * 4
        return int(links + self._index.ntotal * self._index.d * 4)


def distinct_rows(
    x: Float32[np.ndarray, "n d"], seed: int
) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " n"]]:
    """Return the first row of each distinct vector, ascending, and each row's place among them."""
    words = np.ascontiguousarray(x).view(np.uint32)
    odd = np.random.default_rng(seed).integers(0, 2**63, x.shape[1], np.uint64) * 2 + 1
    hashes = np.empty(len(x), np.uint64)
    for at in range(0, len(x), 4096):
        hashes[at : at + 4096] = (words[at : at + 4096] * odd).sum(axis=1)
    _, first, place = np.unique(hashes, return_index=True, return_inverse=True)
    same = np.fromiter(
        (
            bool((words[at : at + 4096] == words[first[place[at : at + 4096]]]).all())
            for at in range(0, len(x), 4096)
        ),
        np.bool_,
    )
    if not same.all():  # two vectors of one hash: compare whole vectors
        _, first, place = np.unique(words, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order].astype(np.int64), rank[place.reshape(-1)].astype(np.int64)

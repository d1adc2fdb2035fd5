"""Inverted lists with 8-bit product quantisation, searched on a GPU where FAISS finds one.

Built and saved as the CPU's index, so that a folder opens on either kind of machine. Without a GPU
the same index runs on the CPU, and the log says so once. The exact end of a search is on the CPU.

Letters: `n` vectors, `d` their width, `b` queries, `k` neighbours.
"""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from index.faiss_runtime import (
    describe_build,
    faiss,
    metric_of,
    read_faiss,
    set_threads,
    write_faiss,
)
from index.index_files import IndexHeader
from index.protocol import Candidate, Caps, Metric
from index.vector_rows import VectorRows

_log = logging.getLogger(__name__)

_FILE = "lists.faiss"
_BITS, _CODES = 8, 256
_TRAINING_ROWS = 262_144
_WIDTHS = (96, 64, 56, 48, 32, 28, 24, 20, 16, 12, 8, 4, 3, 2, 1)  # codes a row on a GPU
_REFINED = 10
_MOST_CANDIDATES = 1024  # what a GPU search can return


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuBuilder:
    """`num_lists` 0 means about sqrt(n)."""

    name: ClassVar[str] = "gpu"
    caps: ClassVar[Caps] = Caps()

    num_lists: int = 0

    def __post_init__(self) -> None:
        if self.num_lists < 0:
            raise ValueError(f"num_lists must be >= 0, got {self.num_lists}")

    def build(
        self, rows: Float32[np.ndarray, "n d"], metric: Metric, *, seed: int, threads: int
    ) -> "GpuBackend":
        """Train on a sample of the rows, then encode all of them."""
        checked = VectorRows.of(rows, metric, threads=threads)
        set_threads(threads)
        n, d = checked.x.shape
        lists = min(self.num_lists or max(1, round(n**0.5)), n)
        num_codes = next(s for s in _WIDTHS if d % s == 0 and s <= max(1, d // 4))
        quantizer = faiss.IndexFlat(d, metric_of(metric))
        index = faiss.IndexIVFPQ(quantizer, d, lists, num_codes, _BITS, metric_of(metric))
        index.cp.seed = index.pq.cp.seed = seed
        index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = 1
        picked = np.sort(np.random.default_rng(seed).permutation(n)[:_TRAINING_ROWS])
        sample = checked.x[picked]
        index.train(np.resize(sample, (max(len(sample), _CODES), d)))
        index.add(checked.x)
        return GpuBackend(self, checked, index)

    def load(
        self,
        folder: Path,
        rows: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        threads: int,
        mmap: bool = True,
    ) -> "GpuBackend":
        """Open what `save` wrote; raises `IndexFileError`."""
        del mmap  # a GPU holds the lists in its own memory
        IndexHeader.read(folder, self, rows, metric)
        index = read_faiss(folder / _FILE)
        return GpuBackend(self, VectorRows.of(rows, metric, threads=threads), index)

    @classmethod
    def space(cls, n: int, d: int) -> Iterable[Candidate]:
        """Return nothing where there is no GPU: `ivfpq` is the better index of a CPU."""
        del d
        if describe_build().num_gpus:
            most = max(1, round(n**0.5))
            efforts = tuple(2**i for i in range(10) if 2**i <= most)
            yield Candidate(builder=cls(), efforts=efforts)


class GpuBackend:
    """Lists on the GPU; `effort` is how many a search visits."""

    def __init__(self, builder: GpuBuilder, rows: VectorRows, index: Any) -> None:
        self._builder = builder
        self._rows = rows
        self._lists = index
        self._resources: Any = None
        self._lock = threading.Lock()  # a GPU index is not safe for threads
        self._searched = index
        if _has_gpu():
            self._resources = faiss.StandardGpuResources()
            self._searched = faiss.index_cpu_to_gpu(self._resources, 0, index)

    def search(
        self,
        queries: Float[np.ndarray, "b d"],
        k: int,
        *,
        effort: int,
        allow: Bool[np.ndarray, " n"] | None = None,
    ) -> tuple[Int64[np.ndarray, "b k"], Float64[np.ndarray, "b k"]]:
        """Return min(k, allowed) rows and their similarities, best first."""
        request = self._rows.request(queries, k, effort, allow)
        if request.allow is not None or request.k > _MOST_CANDIDATES // 2:
            return self._rows.scan(request)
        set_threads(self._rows.threads)
        wanted = min(max(request.k * _REFINED, 32), _MOST_CANDIDATES, len(self._rows))
        parameters = faiss.SearchParametersIVF(nprobe=min(effort, int(self._lists.nlist)))
        with self._lock:
            _, found = self._searched.search(request.compared, wanted, params=parameters)
        return self._rows.refine(request, found)

    def save(self, folder: Path) -> None:
        """Write the CPU's index, which holds the same."""
        write_faiss(self._lists, folder / _FILE)
        IndexHeader.write(folder, self._builder, self._rows)

    def nbytes(self) -> int:
        """Return the bytes of codes, row numbers and centroids."""
        lists = self._lists
        codes = len(self._rows) * (lists.code_size + 8)
        return int(codes + (lists.nlist + _CODES) * lists.d * 4)


@cache
def _has_gpu() -> bool:
    found = describe_build().num_gpus > 0
    if not found:
        _log.warning(
            "FAISS finds no GPU: the index runs on the CPU, with the same answers; with a GPU,"
            " install the extra `gpu` in place of `cpu`"
        )
    return found

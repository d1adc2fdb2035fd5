"""Inverted lists of product-quantised rows (FAISS): the method for little memory.

The rows fall into `num_lists` cells; a search visits the `effort` cells nearest to the query,
compares codes there by table look-ups in SIMD registers, and then the vectors of the best
candidates, which stay on the disk where the rows are mapped. FAISS's own refinement would hold a
second copy of them in memory. (Jégou et al. 2011; Ge et al. 2013 for the rotation; André et al.
2017 for 4-bit codes.)

Letters: `n` vectors, `d` their width, `b` queries, `k` neighbours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from index.faiss_runtime import (
    faiss,
    metric_of,
    read_faiss,
    selector,
    set_threads,
    write_faiss,
)
from index.index_files import IndexHeader
from index.protocol import Candidate, Caps, Metric
from index.vector_rows import VectorRows

_FILE = "lists.faiss"
_BITS = 4
_CODES = 1 << _BITS
_ROWS_A_LIST = 39  # FAISS warns below so many rows of training a centroid
_TRAINING_ROWS = 65_536
_ROTATION_ROWS = 16_384
_FEWEST_REFINED = 32
_CENTROIDS = 4  # lists are about this many times the root of n


@dataclass(frozen=True, slots=True, kw_only=True)
class IvfPqBuilder:
    """Lists and codes.

    `num_lists` 0 means about 4 * sqrt(n), with enough rows for each. `num_codes` is how many 4-bit
    codes a row becomes; 0 is one for every four components. `rotate` learns a rotation before them
    (OPQ). `refined` is how many times k candidates are compared exactly.
    """

    name: ClassVar[str] = "ivfpq"
    caps: ClassVar[Caps] = Caps(can_filter=True, can_map=False)

    num_lists: int = 0
    num_codes: int = 0
    rotate: bool = False
    refined: int = 20

    def __post_init__(self) -> None:
        for name in ("num_lists", "num_codes"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if self.refined < 1:
            raise ValueError(f"refined must be >= 1, got {self.refined}")

    def build(
        self, rows: Float32[np.ndarray, "n d"], metric: Metric, *, seed: int, threads: int
    ) -> "IvfPqBackend":
        """Train on a sample of the rows, then encode all of them."""
        checked = VectorRows.of(rows, metric, threads=threads)
        set_threads(threads)
        n, d = checked.x.shape
        num_codes = self.num_codes or max(1, d // 4)
        if num_codes > d:
            raise ValueError(f"num_codes must be at most the {d} components, got {num_codes}")
        lists = min(self.num_lists or _lists_for(n), n)
        # Codes of equal width need a width that is a multiple of their number.
        width = -(-d // num_codes) * num_codes
        index = faiss.IndexIVFPQFastScan(
            faiss.IndexFlat(width, metric_of(metric)),
            width,
            lists,
            num_codes,
            _BITS,
            metric_of(metric),
        )
        index.cp.seed = index.pq.cp.seed = seed
        index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = 1
        whole = faiss.IndexPreTransform(index)
        if self.rotate:
            whole.prepend_transform(_rotation(width, num_codes, seed))
        if width != d:
            whole.prepend_transform(faiss.RemapDimensionsTransform(d, width, False))
        sample = checked.x
        if n > _TRAINING_ROWS:
            picked = np.random.default_rng(seed).choice(n, _TRAINING_ROWS, replace=False)
            sample = checked.x[np.sort(picked)]
        # With fewer rows than columns FAISS reads beyond the sample when it learns a rotation.
        whole.train(_at_least(sample, max(_CODES, width)))
        for at in range(0, n, _TRAINING_ROWS):
            whole.add(checked.x[at : at + _TRAINING_ROWS])
        return IvfPqBackend(self, checked, whole)

    def load(
        self,
        folder: Path,
        rows: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        threads: int,
        mmap: bool = True,
    ) -> "IvfPqBackend":
        """Open what `save` wrote; raises `IndexFileError`."""
        del mmap  # FAISS holds lists of this kind in memory; the rows are the caller's
        IndexHeader.read(folder, self, rows, metric)
        index = read_faiss(folder / _FILE)
        return IvfPqBackend(self, VectorRows.of(rows, metric, threads=threads), index)

    @classmethod
    def space(cls, n: int, d: int) -> Iterable[Candidate]:
        """Return coarse and fine codes, each with few and many candidates to refine."""
        efforts = tuple(2**i for i in range(10) if 2**i <= _lists_for(n))
        for num_codes in sorted({max(1, d // 8), max(1, d // 4)}):
            for refined in (10, 40):
                yield Candidate(builder=cls(num_codes=num_codes, refined=refined), efforts=efforts)


class IvfPqBackend:
    """Lists of codes; `effort` is how many lists a search visits (FAISS's nprobe)."""

    def __init__(self, builder: IvfPqBuilder, rows: VectorRows, index: Any) -> None:
        self._builder = builder
        self._rows = rows
        self._index = index
        self._lists = faiss.downcast_index(index.index)
        self._num_lists = int(self._lists.nlist)
        self._unfiltered: dict[int, Any] = {}  # search parameters by nprobe; making them takes long

    @property
    def num_lists(self) -> int:
        """How many lists there are."""
        return self._num_lists

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
        if request.allow is not None:
            num_allowed = int(np.count_nonzero(request.allow))
            effort = self._widened(effort, num_allowed)
            if self._is_small(num_allowed, effort):
                return self._rows.scan(request)
        set_threads(self._rows.threads)
        wanted = max(request.k * self._builder.refined, _FEWEST_REFINED)
        narrowed = selector(request.allow)  # held until the search is over
        nprobe = min(effort, self.num_lists)
        parameters = self._unfiltered.get(nprobe) if narrowed is None else None
        if parameters is None:
            parameters = _parameters(nprobe, narrowed)
        if narrowed is None:
            self._unfiltered[nprobe] = parameters
        _, found = self._index.search(
            request.compared, min(wanted, len(self._rows)), params=parameters
        )
        return self._rows.refine(request, found)

    def save(self, folder: Path) -> None:
        """Write lists, centroids and rotation."""
        write_faiss(self._index, folder / _FILE)
        IndexHeader.write(folder, self._builder, self._rows)

    def nbytes(self) -> int:
        """Return the bytes of codes, row numbers and centroids."""
        lists = self._lists
        codes = len(self._rows) * (lists.pq.M * _BITS // 8 + 8)
        tables = (lists.nlist + _CODES) * lists.d * 4
        return int(codes + tables)

    def _widened(self, effort: int, num_allowed: int) -> int:
        """Return how many lists hold as many allowed rows as `effort` lists hold rows.

        The nearest allowed rows lie farther out than the nearest ones, and so do their lists.
        """
        return min(self.num_lists, -(-effort * len(self._rows) // max(num_allowed, 1)))

    def _is_small(self, num_allowed: int, effort: int) -> bool:
        """Say whether the allowed rows are fewer than a search of all lists would look at."""
        visited = len(self._rows) * min(effort, self.num_lists) // self.num_lists
        return num_allowed <= max(visited // 8, 1024)


def _parameters(nprobe: int, narrowed: Any) -> Any:
    inner = faiss.SearchParametersIVF(nprobe=nprobe, sel=narrowed)
    return faiss.SearchParametersPreTransform(index_params=inner)


def _lists_for(n: int) -> int:
    return max(1, min(round(_CENTROIDS * n**0.5), n // _ROWS_A_LIST, 4096))


def _rotation(width: int, num_codes: int, seed: int) -> Any:
    rotation = faiss.OPQMatrix(width, num_codes)
    rotation.niter, rotation.niter_pq, rotation.niter_pq_0 = 10, 4, 10
    rotation.max_train_points = _ROTATION_ROWS
    rotation.verbose = False
    product = faiss.ProductQuantizer(width, num_codes, _BITS)
    product.cp.seed = seed
    product.cp.min_points_per_centroid = 1
    rotation.pq = product
    rotation.kept = product  # else Python frees it before it is used
    return rotation


def _at_least(sample: Float32[np.ndarray, "m d"], num: int) -> Float32[np.ndarray, "m2 d"]:
    """Return the sample, repeated where it is smaller than `num`."""
    if len(sample) >= num:
        return np.ascontiguousarray(sample)
    return np.ascontiguousarray(np.resize(sample, (num, sample.shape[1])))

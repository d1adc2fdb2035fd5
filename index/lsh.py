"""Locality-sensitive hashing by random hyperplanes, with query-directed probing.

In each of `num_tables` tables a row's bucket is the side it lies on of `num_bits` random planes
through the mean of the rows (Charikar 2002). A search visits the query's own buckets and then those
that are told apart by the planes nearest to it, cheapest first over all tables (Lv et al. 2007).
Quick to build and small; not the way to a high recall.

Letters: `n` vectors, `d` their width, `t` tables, `p` planes of a table, `b` queries, `k`
neighbours.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64

from index.index_files import IndexHeader, load_array, save_array
from index.protocol import Candidate, Caps, Metric
from index.vector_rows import VectorRows

_MOST_BITS = 24
_BLOCK = 8192
_ARRAYS = ("mean", "planes", "starts", "members")


@dataclass(frozen=True, slots=True, kw_only=True)
class LshBuilder:
    """`num_bits` 0 gives buckets of about eight rows each."""

    name: ClassVar[str] = "lsh"
    caps: ClassVar[Caps] = Caps(can_filter=True, can_map=True)

    num_tables: int = 8
    num_bits: int = 0

    def __post_init__(self) -> None:
        if self.num_tables < 1:
            raise ValueError(f"num_tables must be >= 1, got {self.num_tables}")
        if not 0 <= self.num_bits <= _MOST_BITS:
            raise ValueError(f"num_bits must be 0 to {_MOST_BITS}, got {self.num_bits}")

    def build(
        self, rows: Float32[np.ndarray, "n d"], metric: Metric, *, seed: int, threads: int
    ) -> "LshBackend":
        """Draw the planes and sort the rows into their buckets."""
        checked = VectorRows.of(rows, metric, threads=threads)
        bits = self.num_bits or _bits_for(len(checked))
        rng = np.random.default_rng(seed)
        planes = rng.normal(size=(self.num_tables * bits, checked.dim)).astype(np.float32)
        mean = checked.x.mean(axis=0, dtype=np.float64).astype(np.float32)
        buckets = np.empty((self.num_tables, len(checked)), np.int32)
        weights = (1 << np.arange(bits)).astype(np.int32)
        for at in range(0, len(checked), _BLOCK):
            sides = (checked.x[at : at + _BLOCK] - mean) @ planes.T > 0
            buckets[:, at : at + _BLOCK] = sides.reshape(-1, self.num_tables, bits).dot(weights).T
        members = np.argsort(buckets, axis=1, kind="stable").astype(np.int32)
        counts = np.stack([np.bincount(row, minlength=1 << bits) for row in buckets])
        starts = np.zeros((self.num_tables, (1 << bits) + 1), np.int32)
        starts[:, 1:] = np.cumsum(counts, axis=1)
        return LshBackend(
            self, checked, mean, planes.reshape(self.num_tables, bits, -1), starts, members
        )

    def load(
        self,
        folder: Path,
        rows: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        threads: int,
        mmap: bool = True,
    ) -> "LshBackend":
        """Open what `save` wrote; raises `IndexFileError`."""
        IndexHeader.read(folder, self, rows, metric)
        arrays = (load_array(folder, name, mmap=mmap) for name in _ARRAYS)
        return LshBackend(self, VectorRows.of(rows, metric, threads=threads), *arrays)

    @classmethod
    def space(cls, n: int, d: int) -> Iterable[Candidate]:
        """Return few tables and many."""
        del n, d
        for num_tables in (8, 16):
            yield Candidate(builder=cls(num_tables=num_tables), efforts=(16, 64, 256, 1024, 4096))


class LshBackend:
    """Rows by bucket in each table; `effort` is how many buckets a search visits."""

    def __init__(  # private to the builder
        self,
        builder: LshBuilder,
        rows: VectorRows,
        mean: Float32[np.ndarray, " d"],
        planes: Float32[np.ndarray, "t p d"],
        starts: Int32[np.ndarray, "t buckets"],
        members: Int32[np.ndarray, "t n"],
    ) -> None:
        self._builder = builder
        self._rows = rows
        self._mean = mean
        self._planes = planes
        self._starts = starts
        self._members = members

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
        found = (self._members_of(query, effort) for query in request.compared)
        return self._rows.refine_each(request, found)

    def save(self, folder: Path) -> None:
        """Write planes and tables."""
        arrays = (self._mean, self._planes, self._starts, self._members)
        for name, array in zip(_ARRAYS, arrays, strict=True):
            save_array(folder, name, array)
        IndexHeader.write(folder, self._builder, self._rows)

    def nbytes(self) -> int:
        """Return the bytes of planes and tables."""
        arrays = (self._mean, self._planes, self._starts, self._members)
        return sum(array.nbytes for array in arrays)

    def _members_of(self, query: Float32[np.ndarray, " d"], effort: int) -> Int64[np.ndarray, " m"]:
        """Return the rows of the `effort` most likely buckets, each once."""
        heights = self._planes @ (query - self._mean)  # t p
        weights = 1 << np.arange(heights.shape[1])
        own = (heights > 0).dot(weights)
        buckets = [(table, int(bucket)) for table, bucket in enumerate(own)]
        for table, flipped in _cheapest_flips(heights):
            if len(buckets) >= effort:
                break
            buckets.append((table, int(own[table]) ^ flipped))
        parts = [
            self._members[table, self._starts[table, bucket] : self._starts[table, bucket + 1]]
            for table, bucket in buckets[:effort]
        ]
        return np.unique(np.concatenate(parts)).astype(np.int64)


def _cheapest_flips(heights: Float32[np.ndarray, "t p"]) -> Iterator[tuple[int, int]]:
    """Yield (table, planes to cross as a bit mask), by the sum of their squared heights.

    Every set of planes is reached once: from a set whose highest-ranked plane is j, by moving j on
    to j + 1 or by adding j + 1.
    """
    costs = np.square(heights)
    order = np.argsort(costs, axis=1)
    ranked = np.take_along_axis(costs, order, axis=1).tolist()
    bits = (1 << order).tolist()
    heap = [(cost[0], table, 0, bits[table][0]) for table, cost in enumerate(ranked)]
    heapq.heapify(heap)
    while heap:
        cost, table, last, mask = heapq.heappop(heap)
        yield table, mask
        if last + 1 < len(ranked[table]):
            dearer = cost + ranked[table][last + 1]
            added = mask | bits[table][last + 1]
            heapq.heappush(heap, (dearer, table, last + 1, added))
            moved = added & ~bits[table][last]
            heapq.heappush(heap, (dearer - ranked[table][last], table, last + 1, moved))


def _bits_for(n: int) -> int:
    return max(1, min(_MOST_BITS, round(float(np.log2(max(n, 16) / 8)))))

"""Hierarchical navigable small worlds: the usual choice where exact search takes too long.

Equal vectors are one node of the graph: hnswlib's recall collapses when many stand in one place.
`effort` is ef, the nodes that a search keeps in view.

Letters: `n` vectors, `d` their width, `b` queries, `m` candidates of each, `k` neighbours.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from index.errors import IndexFileError
from index.hnsw_graphs import (
    FaissGraph,
    HnswGraph,
    HnswlibGraph,
    distinct_rows,
    hnswlib_problem,
)
from index.index_files import IndexHeader, load_array, save_array
from index.protocol import Candidate, Caps, Metric
from index.vector_rows import Found, Request, VectorRows

_log = logging.getLogger(__name__)

_GRAPHS: dict[str, type[HnswlibGraph] | type[FaissGraph]] = {
    "hnswlib": HnswlibGraph,
    "faiss": FaissGraph,
}
# A step in the graph compares about so many vectors; where the filter leaves few, a scan is less.
_ROWS_A_STEP = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class HnswBuilder:
    """`m` links a node and level, `ef_construction` the nodes in view when one is inserted.

    `library` says who builds the graph; "auto" is hnswlib where it works, else FAISS, with one
    warning in the log.
    """

    name: ClassVar[str] = "hnsw"
    caps: ClassVar[Caps] = Caps()

    m: int = 16
    ef_construction: int = 200
    library: Literal["auto", "hnswlib", "faiss"] = "auto"

    def __post_init__(self) -> None:
        if not 2 <= self.m <= 128:
            raise ValueError(f"m must be 2 to 128 links, got {self.m}")
        if self.ef_construction < 1:
            raise ValueError(f"ef_construction must be >= 1, got {self.ef_construction}")
        if self.library not in {"auto", *_GRAPHS}:
            raise ValueError(f"library must be auto, hnswlib or faiss, got {self.library!r}")

    def build(
        self, rows: Float32[np.ndarray, "n d"], metric: Metric, *, seed: int, threads: int
    ) -> "HnswBackend":
        """Build the graph over the distinct rows."""
        checked = VectorRows.of(rows, metric, threads=threads)
        first, node_of = distinct_rows(checked.x, seed)
        x = checked.x if len(first) == len(checked) else checked.x[first]
        graph = _GRAPHS[self._library()].build(
            x,
            metric,
            m=self.m,
            ef_construction=self.ef_construction,
            seed=seed,
            threads=threads,
        )
        return HnswBackend(self, checked, graph, node_of)

    def load(
        self,
        folder: Path,
        rows: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        threads: int,
        mmap: bool = True,
    ) -> "HnswBackend":
        """Open what `save` wrote, with the library that built it; raises `IndexFileError`."""
        header = IndexHeader.read(folder, self, rows, metric)
        library = header.notes.get("library")
        if library not in _GRAPHS:
            raise IndexFileError(f"the graph in {folder} is by {library!r}; build it again")
        graph = _GRAPHS[str(library)].load(
            folder / "graph.bin", metric, rows.shape[1], threads=threads
        )
        node_of = load_array(folder, "nodes", mmap=mmap)
        return HnswBackend(self, VectorRows.of(rows, metric, threads=threads), graph, node_of)

    @classmethod
    def space(cls, n: int, d: int) -> Iterable[Candidate]:
        """Return graphs of few and of many links."""
        del n, d
        efforts = tuple(2**i for i in range(4, 11))
        for m, ef_construction in ((8, 100), (16, 100), (32, 150)):
            yield Candidate(builder=cls(m=m, ef_construction=ef_construction), efforts=efforts)

    def _library(self) -> str:
        if self.library != "auto":
            if self.library == "hnswlib" and (problem := hnswlib_problem()) is not None:
                raise ValueError(problem)
            return self.library
        return "hnswlib" if _hnswlib_serves() else "faiss"


@cache
def _hnswlib_serves() -> bool:
    problem = hnswlib_problem()
    if problem is not None:
        _log.warning(problem)
    return problem is None


class HnswBackend:
    """A graph over the distinct rows, and the rows of each of its nodes."""

    def __init__(
        self,
        builder: HnswBuilder,
        rows: VectorRows,
        graph: HnswGraph,
        node_of: Int64[np.ndarray, " n"],
    ) -> None:
        self._builder = builder
        self._rows = rows
        self._graph = graph
        self._node_of = node_of
        self._num_nodes = int(node_of.max()) + 1
        # Rows by node; within a node in ascending order.
        self._copies = None if self._num_nodes == len(rows) else np.argsort(node_of, kind="stable")
        self._starts = np.searchsorted(np.sort(node_of), np.arange(self._num_nodes + 1))
        # The row of each node that has one only; -1 for the others, and for node -1 at the end.
        self._only_row = np.full(self._num_nodes + 1, -1)
        if self._copies is not None:
            alone = np.flatnonzero(np.diff(self._starts) == 1)
            self._only_row[alone] = self._copies[self._starts[alone]]

    @property
    def library(self) -> str:
        """Who built the graph: "hnswlib" or "faiss"."""
        return "hnswlib" if isinstance(self._graph, HnswlibGraph) else "faiss"

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
        if request.allow is None:
            return self._nearest(request, effort)
        allowed = int(np.count_nonzero(request.allow))
        wanted = _wider(request.k * len(self._rows) / max(allowed, 1))
        while _ROWS_A_STEP * wanted < allowed:
            candidates = self._candidates(request, min(wanted, self._num_nodes), effort)
            usable = (candidates >= 0) & request.allow[candidates]
            if (usable.sum(axis=1) >= request.k).all():
                return self._rows.refine(request, candidates)
            wanted *= 2
        return self._rows.scan(request)

    def _nearest(self, request: Request, effort: int) -> Found:
        """Search all rows; queries that met nodes of several rows go on apart from the others."""
        wanted = min(request.k, self._num_nodes)
        nodes = self._graph.nearest(request.compared, wanted, max(effort, wanted))
        if self._copies is None or not nodes.size:
            return self._rows.refine(request, nodes)
        rows = self._only_row[nodes]
        if rows.min() >= 0:
            return self._rows.refine(request, rows)
        is_plain = rows.min(axis=1) >= 0
        found = np.empty((len(request), request.k), np.int64)
        scores = np.empty(found.shape)
        plain, others = np.flatnonzero(is_plain), np.flatnonzero(~is_plain)
        if len(plain):
            found[plain], scores[plain] = self._rows.refine(request.part(plain), rows[plain])
        copied = self._copied(nodes[others], self._copies, request.k)
        found[others], scores[others] = self._rows.refine(request.part(others), copied)
        return found, scores

    def save(self, folder: Path) -> None:
        """Write graph and nodes."""
        self._graph.save(folder / "graph.bin")
        save_array(folder, "nodes", self._node_of)
        IndexHeader.write(folder, self._builder, self._rows, {"library": self.library})

    def nbytes(self) -> int:
        """Return the bytes of the graph, its copy of the vectors, and the lists of rows."""
        copies = 0 if self._copies is None else self._copies.nbytes
        lists = self._node_of.nbytes + self._starts.nbytes + self._only_row.nbytes
        return self._graph.nbytes() + copies + lists

    def _candidates(self, request: Request, wanted: int, effort: int) -> Int64[np.ndarray, "b m"]:
        nodes = self._graph.nearest(request.compared, wanted, max(effort, wanted))
        if self._copies is None:
            return nodes
        return self._expanded(nodes, request, self._copies)

    def _expanded(
        self, nodes: Int64[np.ndarray, "b m"], request: Request, rows_of: Int64[np.ndarray, " n"]
    ) -> Int64[np.ndarray, "b m2"]:
        """Return the rows of the nodes: of each the first k that are allowed, as equals rank."""
        assert request.allow is not None  # else `_nearest`
        lists = []
        for found in nodes:
            rows: list[Int64[np.ndarray, " r"]] = []
            for node in found[found >= 0]:
                copies = rows_of[self._starts[node] : self._starts[node + 1]]
                rows.append(copies[request.allow[copies]][: request.k])
            lists.append(np.concatenate(rows) if rows else np.empty(0, np.int64))
        width = max(map(len, lists))
        out = np.full((len(lists), width), -1, np.int64)
        for i, row in enumerate(lists):
            out[i, : len(row)] = row
        return out

    def _copied(
        self, nodes: Int64[np.ndarray, "b m"], rows_of: Int64[np.ndarray, " n"], k: int
    ) -> Int64[np.ndarray, "b m2"]:
        """Return the first k rows of each node, -1 in columns that others need."""
        starts = self._starts[nodes]
        counts = self._starts[nodes + 1] - starts
        counts[nodes < 0] = 0
        most = min(int(counts.max(initial=0)), k)
        columns = [
            np.where(counts > i, rows_of[starts + i * (counts > i)], -1) for i in range(most)
        ]
        if len(columns) == 1:
            return columns[0]
        out = np.concatenate(columns or [nodes[:, :0]], axis=1)
        return out[:, (out >= 0).any(axis=0)]


def _wider(expected: float) -> int:
    """Return how many to fetch where so many are expected to be enough: half as many more."""
    return max(1, int(expected * 1.5) + 1)

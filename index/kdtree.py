"""A forest of randomised KD-trees, searched best bin first through one queue.

The rows are turned to their principal axes. Each tree halves them at the median of one of the
widest columns, drawn at random (Silpa-Anan & Hartley 2008), down to leaves of a few rows; a search
opens the `effort` leaves of any tree that may lie nearest (Beis & Lowe 1997). At home in some
twenty dimensions or where few axes carry most of the variance.

Letters: `n` vectors, `d` their width, `t` trees, `p` columns that are split, `b` queries, `k`
neighbours.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64

from index.index_files import IndexHeader, load_array, save_array
from index.protocol import Candidate, Caps, Metric
from index.vector_rows import VectorRows

_WIDEST, _NARROWEST = 5, 0.1  # columns to draw from, and their variance as a share of the widest
_SAMPLED_ROWS = 16_384
_BLOCK = 8192
_ARRAYS = ("axes", "columns", "borders", "members")


@dataclass(frozen=True, slots=True, kw_only=True)
class KdForestBuilder:
    """`num_axes` principal axes are split; 0 is up to 32 of them."""

    name: ClassVar[str] = "kdforest"
    caps: ClassVar[Caps] = Caps(can_filter=True, can_map=True)

    num_trees: int = 4
    leaf_rows: int = 16
    num_axes: int = 0

    def __post_init__(self) -> None:
        for name in ("num_trees", "leaf_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.num_axes < 0:
            raise ValueError(f"num_axes must be >= 0, got {self.num_axes}")

    def build(
        self, rows: Float32[np.ndarray, "n d"], metric: Metric, *, seed: int, threads: int
    ) -> "KdForestBackend":
        """Turn the rows to their axes and halve them, level by level."""
        checked = VectorRows.of(rows, metric, threads=threads)
        rng = np.random.default_rng(seed)
        axes = _principal_axes(checked, min(self.num_axes or 32, checked.dim + 1), rng)
        turned = np.empty((len(checked), len(axes)), np.float32)
        for at in range(0, len(checked), _BLOCK):
            block = checked.x[at : at + _BLOCK]
            turned[at : at + _BLOCK] = _raised(block, checked) @ axes.T
        depth = 0
        while len(checked) >> depth > self.leaf_rows:
            depth += 1
        shape = (self.num_trees, (1 << depth) - 1)
        columns, borders = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        members = np.empty((self.num_trees, len(checked)), np.int32)
        for tree in range(self.num_trees):
            members[tree] = np.arange(len(checked))
            _halve(turned, members[tree], columns[tree], borders[tree], depth, rng)
        return KdForestBackend(self, checked, axes, columns, borders, members)

    def load(
        self,
        folder: Path,
        rows: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        threads: int,
        mmap: bool = True,
    ) -> "KdForestBackend":
        """Open what `save` wrote; raises `IndexFileError`."""
        IndexHeader.read(folder, self, rows, metric)
        arrays = (load_array(folder, name, mmap=mmap) for name in _ARRAYS)
        return KdForestBackend(self, VectorRows.of(rows, metric, threads=threads), *arrays)

    @classmethod
    def space(cls, n: int, d: int) -> Iterable[Candidate]:
        """Return few trees and many."""
        del n, d
        for num_trees in (4, 8):
            yield Candidate(builder=cls(num_trees=num_trees), efforts=(16, 64, 256, 1024, 4096))


class KdForestBackend:
    """The trees; `effort` is how many leaves a search opens."""

    def __init__(
        self,
        builder: KdForestBuilder,
        rows: VectorRows,
        axes: Float32[np.ndarray, "p d1"],
        columns: Int32[np.ndarray, "t nodes"],
        borders: Float32[np.ndarray, "t nodes"],
        members: Int32[np.ndarray, "t n"],
    ) -> None:
        self._builder = builder
        self._rows = rows
        self._arrays = (axes, columns, borders, members)
        self._axes = axes
        self._members = members
        # As lists: a walk reads single numbers.
        self._columns: list[list[int]] = columns.tolist()
        self._borders: list[list[float]] = borders.tolist()
        self._starts = _leaf_starts(len(rows), columns.shape[1] + 1)

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
        turned = request.compared @ self._axes[:, : self._rows.dim].T
        found = (self._members_near(query, effort) for query in turned.tolist())
        return self._rows.refine_each(request, found)

    def save(self, folder: Path) -> None:
        """Write axes and trees."""
        for name, array in zip(_ARRAYS, self._arrays, strict=True):
            save_array(folder, name, array)
        IndexHeader.write(folder, self._builder, self._rows)

    def nbytes(self) -> int:
        """Return the bytes of axes and trees."""
        return sum(array.nbytes for array in self._arrays)

    def _members_near(self, query: list[float], effort: int) -> Int64[np.ndarray, " m"]:
        """Return the rows of the `effort` leaves with the least bounds, each once."""
        num_inner = len(self._columns[0])
        queue = [(0.0, tree, 0) for tree in range(len(self._columns))]
        leaves: list[Int32[np.ndarray, " m"]] = []
        while queue and len(leaves) < effort:
            bound, tree, node = heapq.heappop(queue)
            columns, borders = self._columns[tree], self._borders[tree]
            while node < num_inner:
                gap = query[columns[node]] - borders[node]
                near = 2 * node + 1 + (gap >= 0)
                other = 4 * node + 3 - near
                heapq.heappush(queue, (bound + gap * gap, tree, other))
                node = near
            leaf = node - num_inner
            leaves.append(self._members[tree, self._starts[leaf] : self._starts[leaf + 1]])
        return np.unique(np.concatenate(leaves)).astype(np.int64)


def _halve(
    turned: Float32[np.ndarray, "n p"],
    members: Int32[np.ndarray, " n"],
    columns: Int32[np.ndarray, " nodes"],
    borders: Float32[np.ndarray, " nodes"],
    depth: int,
    rng: np.random.Generator,
) -> None:
    """Sort `members` into leaves, in place; node i has the children 2i + 1 and 2i + 2."""
    for level in range(depth):
        starts = _leaf_starts(len(members), 1 << level)
        for i in range(1 << level):
            node = (1 << level) - 1 + i
            part = members[starts[i] : starts[i + 1]]
            spread = turned[part].var(axis=0)
            widest = np.argsort(spread)[-_WIDEST:]
            # Never one in which all are alike: their halves could not be told apart.
            column = int(rng.choice(widest[spread[widest] >= _NARROWEST * spread[widest[-1]]]))
            values = turned[part, column]
            half = len(part) // 2
            order = np.argpartition(values, half)
            members[starts[i] : starts[i + 1]] = part[order]
            columns[node] = column
            borders[node] = values[order[half]]


def _leaf_starts(n: int, num_leaves: int) -> Int64[np.ndarray, " leaves"]:
    """Return where the parts of n rows begin that are halved again and again, the lesser left."""
    sizes = np.array([n])
    while len(sizes) < num_leaves:
        left = sizes // 2
        sizes = np.stack([left, sizes - left], axis=1).ravel()
    return np.concatenate([[0], np.cumsum(sizes)])


def _raised(x: Float32[np.ndarray, "m d"], rows: VectorRows) -> Float32[np.ndarray, "m d1"]:
    """Append what makes the nearest by L2 those of the largest inner product (Bachrach 2014).

    All rows get one length; for other metrics a zero is appended.
    """
    extra = np.zeros((len(x), 1), np.float32)
    if rows.metric is Metric.INNER_PRODUCT:
        rest = rows.largest_norm**2 - np.square(x).sum(axis=1)
        extra[:, 0] = np.sqrt(np.maximum(rest, 0))
    return np.concatenate([x, extra], axis=1)


def _principal_axes(
    rows: VectorRows, num: int, rng: np.random.Generator
) -> Float32[np.ndarray, "p d1"]:
    picked = np.sort(rng.permutation(len(rows))[:_SAMPLED_ROWS])
    sample = _raised(rows.x[picked], rows)
    covariance = np.cov(sample, rowvar=False, bias=True)
    _, vectors = np.linalg.eigh(np.atleast_2d(covariance))
    return np.ascontiguousarray(vectors[:, ::-1][:, :num].T, np.float32)

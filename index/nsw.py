"""The navigable small world (Malkov et al. 2014): one layer of links, greedy search with a beam.

What HNSW must beat, and a reference that can be read: batches of queries walk the graph together in
numpy. The rows are inserted in random order, whole batches at a time, each linked to the nearest
that are there. Early links are long, and are never dropped; of the later ones a full node keeps the
nearest. Up to some hundred thousand rows.

Letters: `n` vectors, `d` their width, `l` links of a node, `b` queries, `e` places of the beam, `k`
neighbours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64

from index.index_files import IndexHeader, load_array, save_array
from index.protocol import Candidate, Caps, Metric
from index.vector_rows import VectorRows

_BATCH = 256
_ENTRIES = 8
_FIRST = 64  # rows that are all linked to each other's nearest, by comparing all


@dataclass(frozen=True, slots=True, kw_only=True)
class NswBuilder:
    """`num_links` to earlier rows, up to twice as many to later ones; `beam` when inserting."""

    name: ClassVar[str] = "nsw"
    caps: ClassVar[Caps] = Caps(can_map=True)

    num_links: int = 16
    beam: int = 48

    def __post_init__(self) -> None:
        if self.num_links < 1:
            raise ValueError(f"num_links must be >= 1, got {self.num_links}")
        if self.beam < self.num_links:
            raise ValueError(
                f"beam must be at least the {self.num_links} links of a row, got {self.beam}"
            )

    def build(
        self, rows: Float32[np.ndarray, "n d"], metric: Metric, *, seed: int, threads: int
    ) -> "NswBackend":
        """Insert the rows in random order."""
        checked = VectorRows.of(rows, metric, threads=threads)
        n = len(checked)
        rng = np.random.default_rng(seed)
        order = rng.permutation(n)
        links = np.full((n, 3 * self.num_links), -1, np.int32)
        walk = _Walk(checked, links)
        first = order[:_FIRST]
        near = _nearness(checked, checked.x[first], np.tile(first, (len(first), 1)))
        np.fill_diagonal(near, -np.inf)
        best = np.argsort(-near, axis=1)[:, : min(self.num_links, len(first) - 1)]
        walk.link(first, first[best], np.take_along_axis(near, best, axis=1), self.num_links)
        done = len(first)
        while done < n:
            batch = order[done : done + min(_BATCH, done)]
            entries = rng.choice(order[:done], min(_ENTRIES, done), replace=False)
            found, near = walk.nearest(checked.x[batch], self.beam, entries)
            walk.link(batch, found[:, : self.num_links], near[:, : self.num_links], self.num_links)
            done += len(batch)
        return NswBackend(self, checked, links, np.sort(order[:_FIRST]).astype(np.int32))

    def load(
        self,
        folder: Path,
        rows: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        threads: int,
        mmap: bool = True,
    ) -> "NswBackend":
        """Open what `save` wrote; raises `IndexFileError`."""
        IndexHeader.read(folder, self, rows, metric)
        links = load_array(folder, "links", mmap=mmap)
        entries = load_array(folder, "entries", mmap=False)
        return NswBackend(self, VectorRows.of(rows, metric, threads=threads), links, entries)

    @classmethod
    def space(cls, n: int, d: int) -> Iterable[Candidate]:
        """Return one graph; it is slow to build."""
        del n, d
        yield Candidate(builder=cls(), efforts=(16, 32, 64, 128, 256))


class NswBackend:
    """The links; `effort` is the places of the beam."""

    def __init__(
        self,
        builder: NswBuilder,
        rows: VectorRows,
        links: Int32[np.ndarray, "n l"],
        entries: Int32[np.ndarray, " m"],
    ) -> None:
        self._builder = builder
        self._rows = rows
        self._links = links
        self._entries = entries

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
        beam = max(effort, request.k)
        if request.allow is not None:
            allowed = max(int(np.count_nonzero(request.allow)), 1)
            beam = max(effort, request.k * 2 * len(self._rows) // allowed)
            if beam * self._links.shape[1] >= allowed:
                return self._rows.scan(request)
        walk = _Walk(self._rows, self._links)
        parts = [np.empty((0, beam), np.int64)]
        for at in range(0, len(request), _BATCH):
            some = request.compared[at : at + _BATCH]
            parts.append(walk.nearest(some, beam, self._entries.astype(np.int64))[0])
        return self._rows.refine(request, np.concatenate(parts))

    def save(self, folder: Path) -> None:
        """Write the links."""
        save_array(folder, "links", self._links)
        save_array(folder, "entries", self._entries)
        IndexHeader.write(folder, self._builder, self._rows)

    def nbytes(self) -> int:
        """Return the bytes of the links."""
        return self._links.nbytes + self._entries.nbytes


class _Walk:
    """Walks of many queries side by side."""

    def __init__(self, rows: VectorRows, links: Int32[np.ndarray, "n l"]) -> None:
        self._rows = rows
        self._links = links

    def nearest(
        self, queries: Float32[np.ndarray, "b d"], beam: int, entries: Int64[np.ndarray, " m"]
    ) -> tuple[Int64[np.ndarray, "b e"], Float32[np.ndarray, "b e"]]:
        """Return the beam of each query, best first, -1 in places that were not filled."""
        b = len(queries)
        every = np.arange(b)[:, None]
        seen = np.zeros((b, len(self._rows) + 1), np.bool_)  # the last column takes the -1
        seen[:, -1] = True
        seen[:, entries] = True
        nodes = np.full((b, beam), -1, np.int64)
        near = np.full((b, beam), -np.inf, np.float32)
        is_open = np.zeros((b, beam), np.bool_)
        new = np.tile(entries, (b, 1))
        while True:
            self._merge(nodes, near, is_open, new, queries)
            if not is_open.any():
                return nodes, near
            # The best open place of each; queries without one expand nothing.
            place = is_open.argmax(axis=1)
            has_open = is_open[every[:, 0], place]
            is_open[every[:, 0], place] = False
            new = self._links[nodes[every[:, 0], place]].astype(np.int64)
            new[~has_open] = -1
            new[seen[every, new]] = -1
            seen[every, new] = True

    def link(
        self,
        rows: Int64[np.ndarray, " b"],
        found: Int64[np.ndarray, "b m"],
        near: Float32[np.ndarray, "b m"],
        num_links: int,
    ) -> None:
        """Link new rows with what was found for them, both ways."""
        self._links[rows, : found.shape[1]] = found
        for row, others, values in zip(rows.tolist(), found, near, strict=True):
            for other, value in zip(others[others >= 0].tolist(), values.tolist(), strict=False):
                if row in self._links[other]:  # among the first rows, which found each other
                    continue
                later = self._links[other, num_links:]
                free = np.flatnonzero(later < 0)
                if len(free):
                    later[free[0]] = row
                    continue
                kept = _nearness(self._rows, self._rows.x[other][None], later[None])[0]
                worst = int(kept.argmin())
                if value > kept[worst]:
                    later[worst] = row

    def _merge(
        self,
        nodes: Int64[np.ndarray, "b e"],
        near: Float32[np.ndarray, "b e"],
        is_open: Bool[np.ndarray, "b e"],
        new: Int64[np.ndarray, "b m"],
        queries: Float32[np.ndarray, "b d"],
    ) -> None:
        """Take the new nodes into the beams, in place, sorted best first."""
        values = _nearness(self._rows, queries, new)
        values[new < 0] = -np.inf
        beam = nodes.shape[1]
        all_near = np.concatenate([near, values], axis=1)
        order = np.argsort(-all_near, axis=1, kind="stable")[:, :beam]
        near[:] = np.take_along_axis(all_near, order, axis=1)
        nodes[:] = np.take_along_axis(np.concatenate([nodes, new], axis=1), order, axis=1)
        opened = np.concatenate([is_open, new >= 0], axis=1)
        is_open[:] = np.take_along_axis(opened, order, axis=1) & np.isfinite(near)


def _nearness(
    rows: VectorRows,
    queries: Float32[np.ndarray, "b d"],
    found: Int32[np.ndarray, "b m"] | Int64[np.ndarray, "b m"],
) -> Float32[np.ndarray, "b m"]:
    """Return how near each row is to its query, in single precision."""
    gathered = rows.x[found]
    near = np.matmul(gathered, queries[:, :, None])[:, :, 0]
    if rows.metric is Metric.L2:
        near = 2 * near - np.einsum("bmd,bmd->bm", gathered, gathered)
    return near

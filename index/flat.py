"""Exact search: every row is compared. The oracle, and what small collections use.

It holds nothing beside the rows, which may be mapped from a file.

Letters: `n` vectors, `d` their width, `b` queries, `k` neighbours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from index.index_files import IndexHeader
from index.protocol import Candidate, Caps, Metric
from index.vector_rows import VectorRows


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatBuilder:
    """Exact search; nothing to choose."""

    name: ClassVar[str] = "flat"
    caps: ClassVar[Caps] = Caps(can_filter=True, can_map=True, is_exact=True)

    def build(
        self, rows: Float32[np.ndarray, "n d"], metric: Metric, *, seed: int, threads: int
    ) -> "FlatBackend":
        """Look at the rows once."""
        del seed  # nothing is drawn
        return FlatBackend(VectorRows.of(rows, metric, threads=threads))

    def load(
        self,
        folder: Path,
        rows: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        threads: int,
        mmap: bool = True,
    ) -> "FlatBackend":
        """Open what `save` wrote; raises `IndexFileError`."""
        del mmap  # the rows are the caller's
        IndexHeader.read(folder, self, rows, metric)
        return FlatBackend(VectorRows.of(rows, metric, threads=threads))

    @classmethod
    def space(cls, n: int, d: int) -> Iterable[Candidate]:
        """Return the one way there is."""
        del n, d
        yield Candidate(builder=cls(), efforts=(1,))


class FlatBackend:
    """Exact search over rows; `effort` counts for nothing."""

    def __init__(self, rows: VectorRows) -> None:
        self._rows = rows

    def search(
        self,
        queries: Float[np.ndarray, "b d"],
        k: int,
        *,
        effort: int = 1,
        allow: Bool[np.ndarray, " n"] | None = None,
    ) -> tuple[Int64[np.ndarray, "b k"], Float64[np.ndarray, "b k"]]:
        """Return the min(k, allowed) nearest rows and their similarities, best first."""
        return self._rows.scan(self._rows.request(queries, k, effort, allow))

    def save(self, folder: Path) -> None:
        """Write the header; there is nothing else."""
        IndexHeader.write(folder, FlatBuilder(), self._rows)

    def nbytes(self) -> int:
        """Return 0: there is nothing beside the rows."""
        return 0

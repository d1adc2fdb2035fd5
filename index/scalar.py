"""Exact search's little brother: all rows as 8-bit codes, a quarter of the memory, then the rows.

Every component is cut into 256 steps between the least and the greatest of its column (FAISS). A
search compares all codes and then the vectors of the best `effort` times k.

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

_FILE = "codes.faiss"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalarBuilder:
    """8-bit codes, one for each component; nothing to choose."""

    name: ClassVar[str] = "scalar"
    caps: ClassVar[Caps] = Caps(can_filter=True, can_map=True)

    def build(
        self, rows: Float32[np.ndarray, "n d"], metric: Metric, *, seed: int, threads: int
    ) -> "ScalarBackend":
        """Learn the range of each column and encode the rows."""
        del seed  # nothing is drawn
        checked = VectorRows.of(rows, metric, threads=threads)
        set_threads(threads)
        codes = faiss.IndexScalarQuantizer(
            checked.dim, faiss.ScalarQuantizer.QT_8bit, metric_of(metric)
        )
        codes.train(checked.x)
        codes.add(checked.x)
        return ScalarBackend(checked, codes)

    def load(
        self,
        folder: Path,
        rows: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        threads: int,
        mmap: bool = True,
    ) -> "ScalarBackend":
        """Open what `save` wrote; raises `IndexFileError`."""
        IndexHeader.read(folder, self, rows, metric)
        codes = read_faiss(folder / _FILE, mmap=mmap)
        return ScalarBackend(VectorRows.of(rows, metric, threads=threads), codes)

    @classmethod
    def space(cls, n: int, d: int) -> Iterable[Candidate]:
        """Return the one kind of code there is."""
        del n, d
        yield Candidate(builder=cls(), efforts=(1, 2, 4))


class ScalarBackend:
    """Codes of all rows; `effort` times k of them are compared exactly."""

    def __init__(self, rows: VectorRows, codes: Any) -> None:
        self._rows = rows
        self._codes = codes

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
        set_threads(self._rows.threads)
        wanted = min(max(request.k, 1) * effort, len(self._rows))
        narrowed = selector(request.allow)
        parameters = faiss.SearchParameters(sel=narrowed) if narrowed is not None else None
        _, found = self._codes.search(request.compared, wanted, params=parameters)
        return self._rows.refine(request, found)

    def save(self, folder: Path) -> None:
        """Write the codes."""
        write_faiss(self._codes, folder / _FILE)
        IndexHeader.write(folder, ScalarBuilder(), self._rows)

    def nbytes(self) -> int:
        """Return the bytes of the codes and of the ranges."""
        return len(self._rows) * self._rows.dim + 8 * self._rows.dim

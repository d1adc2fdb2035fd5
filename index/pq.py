"""Product quantisation (Jégou, Douze & Schmid 2011) in numpy: the readable reference.

A row is cut into `num_codes` parts; each part is replaced by the nearest of 256 centroids. A query
is compared with all centroids once, and a row's similarity is the sum of `num_codes` look-ups. The
vectors of the best `effort` times k are then compared exactly.

Letters: `n` vectors, `d` their width, `s` parts, `w` width of a part, `c` centroids, `b` queries,
`k` neighbours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8

from index.index_files import IndexHeader, load_array, save_array
from index.protocol import Candidate, Caps, Metric
from index.vector_rows import VectorRows

_CENTROIDS = 256
_TRAINING_ROWS = 16_384
_ROUNDS = 12
_BLOCK = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class PqBuilder:
    """`num_codes` bytes a row; 0 is one for every four components."""

    name: ClassVar[str] = "pq"
    caps: ClassVar[Caps] = Caps(can_filter=True, can_map=True)

    num_codes: int = 0

    def __post_init__(self) -> None:
        if self.num_codes < 0:
            raise ValueError(f"num_codes must be >= 0, got {self.num_codes}")

    def build(
        self, rows: Float32[np.ndarray, "n d"], metric: Metric, *, seed: int, threads: int
    ) -> "PqBackend":
        """Find the centroids of each part by k-means on a sample, then encode all rows."""
        checked = VectorRows.of(rows, metric, threads=threads)
        d = checked.dim
        s = self.num_codes or max(1, d // 4)
        if s > d:
            raise ValueError(f"num_codes must be at most the {d} components, got {s}")
        rng = np.random.default_rng(seed)
        picked = np.sort(rng.permutation(len(checked))[:_TRAINING_ROWS])
        sample = _parts(checked.x[picked], s)
        codebook = np.stack([k_means(sample[i], _CENTROIDS, rng) for i in range(s)])
        codes = np.empty((s, len(checked)), np.uint8)
        for at in range(0, len(checked), _BLOCK):
            parts = _parts(checked.x[at : at + _BLOCK], s)
            for i in range(s):
                codes[i, at : at + _BLOCK] = _nearest(parts[i], codebook[i])
        return PqBackend(self, checked, codebook, codes)

    def load(
        self,
        folder: Path,
        rows: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        threads: int,
        mmap: bool = True,
    ) -> "PqBackend":
        """Open what `save` wrote; raises `IndexFileError`."""
        IndexHeader.read(folder, self, rows, metric)
        codebook = load_array(folder, "codebook", mmap=False)
        codes = load_array(folder, "codes", mmap=mmap)
        return PqBackend(self, VectorRows.of(rows, metric, threads=threads), codebook, codes)

    @classmethod
    def space(cls, n: int, d: int) -> Iterable[Candidate]:
        """Return coarse and fine codes."""
        del n
        for num_codes in sorted({max(1, d // 8), max(1, d // 4)}):
            yield Candidate(builder=cls(num_codes=num_codes), efforts=(2, 5, 10, 20, 50))


class PqBackend:
    """Codes of all rows; `effort` times k of them are compared exactly."""

    def __init__(
        self,
        builder: PqBuilder,
        rows: VectorRows,
        codebook: Float32[np.ndarray, "s c w"],
        codes: UInt8[np.ndarray, "s n"],
    ) -> None:
        self._builder = builder
        self._rows = rows
        self._codebook = codebook
        self._codes = codes

    @property
    def codebook(self) -> Float32[np.ndarray, "s c w"]:
        """The centroids of each part; parts are filled up with zeros to one width."""
        return self._codebook

    @property
    def codes(self) -> UInt8[np.ndarray, "s n"]:
        """The centroid of each part of each row."""
        return self._codes

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
        keys = None if request.allow is None else np.flatnonzero(request.allow)
        pool = len(self._rows) if keys is None else len(keys)
        wanted = min(request.k * effort, pool)
        if wanted >= pool:
            return self._rows.scan(request)
        found = np.empty((len(request), wanted), np.int64)
        for i, query in enumerate(request.compared):
            near = self.coded_similarities(query, keys)
            best = np.argpartition(near, pool - wanted)[pool - wanted :]
            found[i] = best if keys is None else keys[best]
        return self._rows.refine(request, found)

    def coded_similarities(
        self, query: Float32[np.ndarray, " d"], keys: Int64[np.ndarray, " m"] | None = None
    ) -> Float32[np.ndarray, " m"]:
        """Return the similarity of the query to the centroids that stand for each row.

        For L2 that is minus the squared distance, else the inner product.
        """
        s = len(self._codebook)
        parts = _parts(query[None], s)  # s 1 w
        if self._rows.metric is Metric.L2:
            table = -np.square(self._codebook - parts).sum(axis=2)
        else:
            table = (self._codebook * parts).sum(axis=2)
        near = np.zeros(self._codes.shape[1] if keys is None else len(keys), np.float32)
        for i in range(s):
            near += table[i][self._codes[i] if keys is None else self._codes[i][keys]]
        return near

    def save(self, folder: Path) -> None:
        """Write centroids and codes."""
        save_array(folder, "codebook", self._codebook)
        save_array(folder, "codes", self._codes)
        IndexHeader.write(folder, self._builder, self._rows)

    def nbytes(self) -> int:
        """Return the bytes of codes and centroids."""
        return self._codes.nbytes + self._codebook.nbytes


def k_means(
    x: Float32[np.ndarray, "n w"], num: int, rng: np.random.Generator
) -> Float32[np.ndarray, "c w"]:
    """Return `num` centroids by Lloyd's rounds from k-means++ seeds (Arthur & Vassilvitskii 2007).

    A centroid that loses all its rows is moved to the row that is farthest from its own.
    """
    centroids = np.empty((num, x.shape[1]), np.float32)
    gap = np.full(len(x), np.inf, np.float32)
    chosen = int(rng.integers(len(x)))
    for i in range(num):
        centroids[i] = x[chosen]
        gap = np.minimum(gap, np.square(x - x[chosen]).sum(axis=1))
        total = np.cumsum(gap, dtype=np.float64)
        # Where all rows are among the centroids, any one will do.
        chosen = min(int(np.searchsorted(total, rng.random() * total[-1], "right")), len(x) - 1)
    for _ in range(_ROUNDS):
        owner = _nearest(x, centroids).astype(np.int64)
        counts = np.bincount(owner, minlength=num)
        for column in range(x.shape[1]):
            sums = np.bincount(owner, weights=x[:, column], minlength=num)
            centroids[:, column] = sums / np.maximum(counts, 1)
        empty = np.flatnonzero(counts == 0)
        if len(empty):
            far = np.argsort(np.square(x - centroids[owner]).sum(axis=1))[::-1][: len(empty)]
            centroids[empty[: len(far)]] = x[far]
    return centroids


def _nearest(
    x: Float32[np.ndarray, "n w"], centroids: Float32[np.ndarray, "c w"]
) -> UInt8[np.ndarray, " n"]:
    """Return each row's nearest centroid."""
    half_norms = 0.5 * np.square(centroids).sum(axis=1)
    return np.argmax(x @ centroids.T - half_norms, axis=1).astype(np.uint8)


def _parts(x: Float32[np.ndarray, "n d"], s: int) -> Float32[np.ndarray, "s n w"]:
    """Cut rows into s parts of one width, with zeros at the end where d does not divide."""
    n, d = x.shape
    width = -(-d // s)
    padded = np.zeros((n, s * width), np.float32)
    padded[:, :d] = x
    return np.ascontiguousarray(padded.reshape(n, s, width).transpose(1, 0, 2))

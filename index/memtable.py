"""Exact search over vectors that come and go, on FAISS: the index of rows that are not sealed.

FAISS compares all rows in single precision; those that may be among the nearest are compared again
in double precision, which decides. Not safe for threads; knows no database.

Letters: `n` vectors, `d` their width, `k` neighbours.
"""

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from index.distance import similarities, unit_rows
from index.faiss_runtime import faiss, set_threads
from index.planner import Route, route_of
from index.protocol import Metric

# How far single precision may be off, as a share of the largest similarity that could occur.
_ROUNDING = 1e-5


class Memtable:
    """Vectors under integer keys; `search` looks at every one of them."""

    def __init__(self, dim: int, metric: Metric, *, threads: int = 1) -> None:
        if dim < 1:
            raise ValueError(f"dim must be >= 1, got {dim}")
        if threads < 1:
            raise ValueError(f"threads must be >= 1, got {threads}")
        self.dim = dim
        self.metric = metric
        self._threads = threads
        self._keys: Int64[np.ndarray, " n"] = np.empty(0, np.int64)
        self._largest_norm = 0.0
        self._rows = faiss.IndexFlatL2(dim) if metric is Metric.L2 else faiss.IndexFlatIP(dim)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def keys(self) -> Int64[np.ndarray, " n"]:
        """A copy of all keys, in the order of adding."""
        return self._keys.copy()

    def add(self, keys: Int64[np.ndarray, " n"], vectors: Float32[np.ndarray, "n d"]) -> None:
        """Add vectors under keys that are not in use."""
        self._check_width(vectors.shape[1])
        if len(np.unique(keys)) < len(keys) or np.isin(keys, self._keys).any():
            raise ValueError("a key was added twice; remove its old vector first")
        if not len(keys):
            return
        set_threads(self._threads)
        x = unit_rows(vectors) if self.metric is Metric.COSINE else vectors
        self._rows.add(np.ascontiguousarray(x, np.float32))
        self._keys = np.concatenate([self._keys, keys])
        self._largest_norm = max(self._largest_norm, float(np.linalg.norm(x, axis=1).max()))

    def remove(self, keys: Int64[np.ndarray, " n"]) -> None:
        """Remove the vectors of these keys."""
        gone = np.isin(self._keys, keys)
        if gone.sum() != len(keys):
            raise ValueError(f"cannot remove {len(keys)} keys: only {gone.sum()} of them are here")
        # FAISS closes the gaps and keeps the order, as the boolean mask does.
        rows = np.flatnonzero(gone).astype(np.int64)
        self._rows.remove_ids(rows)
        self._keys = self._keys[~gone]

    def search(
        self,
        query: Float[np.ndarray, " d"],
        k: int,
        *,
        allowed: Int64[np.ndarray, " m"] | None = None,
    ) -> tuple[Int64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
        """Return keys and similarities of the min(k, n) nearest, best first.

        With `allowed`, only of those keys. Equal similarities come in ascending order of their
        keys, also where `k` cuts between them.
        """
        if k < 1:
            raise ValueError(f"k must be >= 1, got {k}")
        self._check_width(len(query))
        allow = None if allowed is None else np.isin(self._keys, allowed)
        num_allowed = len(self) if allow is None else int(np.count_nonzero(allow))
        k = min(k, num_allowed)
        if not k:
            return np.empty(0, np.int64), np.empty(0)
        if allow is not None and route_of(num_allowed, len(self)) is Route.EXACT:
            rows = np.flatnonzero(allow)
        else:
            rows = self._candidates(query, k, allow)
        keys = self._keys[rows]
        scores = similarities(query, self._rows.reconstruct_batch(rows), self.metric)
        order = np.lexsort((keys, -scores))[:k]
        return keys[order], scores[order]

    def _candidates(
        self, query: Float[np.ndarray, " d"], k: int, allow: Bool[np.ndarray, " n"] | None
    ) -> Int64[np.ndarray, " m"]:
        """Return rows among which the k nearest surely are."""
        x = query[None, :]
        x = unit_rows(x) if self.metric is Metric.COSINE else x.astype(np.float32)
        near = self._nearness(np.ascontiguousarray(x))
        if allow is not None:
            near[~allow] = -np.inf
        kth = float(np.partition(near, len(near) - k)[-k])
        return np.flatnonzero(near >= kth - self._slack(x, kth)).astype(np.int64)

    def _nearness(self, x: Float32[np.ndarray, "1 d"]) -> Float32[np.ndarray, " n"]:
        """Return how near each row is, in single precision.

        These are the loops over all rows that FAISS uses inside; its `search` for a single query
        compares a row at a time instead, which takes more than twice as long.
        """
        near = np.empty(len(self), np.float32)
        is_l2 = self.metric is Metric.L2
        loop = faiss.fvec_L2sqr_ny if is_l2 else faiss.fvec_inner_products_ny
        loop(faiss.swig_ptr(near), faiss.swig_ptr(x), self._rows.get_xb(), self.dim, len(near))
        return -near if is_l2 else near

    def _slack(self, x: Float32[np.ndarray, "1 d"], nearness: float) -> float:
        if self.metric is Metric.L2:
            return _ROUNDING * abs(nearness)
        return _ROUNDING * float(np.linalg.norm(x)) * self._largest_norm

    def _check_width(self, width: int) -> None:
        if width != self.dim:
            raise ValueError(
                f"a vector has {width} components, this index holds vectors of {self.dim};"
                " embed with the same model"
            )

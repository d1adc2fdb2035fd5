"""The rows that a backend indexes, and the exact end of every search over them.

A backend finds candidates in whatever way; what is returned of them is decided here, by double
precision. Single precision narrows the choice first, with room for its rounding.

Letters: `n` vectors, `d` their width, `b` queries, `m` candidates of each, `k` neighbours.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from index.distance import similarities, similarities_of
from index.faiss_runtime import faiss, metric_of, set_threads
from index.new_rows import LARGEST_COMPONENT, check_components
from index.protocol import Metric

# How far single precision may be off, as a share of the largest similarity that could occur.
_ROUNDING = 1e-5
_BLOCK_BYTES = 16 << 20  # of gathered rows at a time
_CACHED_BYTES = 1 << 20
_CHECKED_ROWS = 16384
_TINY = 1e-300  # below the square of any length in single precision
_FEW = 8  # queries from which on a matrix product beats a loop over the rows for each
_SPARE = 8  # candidates beyond k that are compared in double precision without a first look
_WIDER = 24  # neighbours beyond k that the matrix product keeps, for rounding and ties
_GATHERED_SHARE = 4  # up to n/4 allowed rows are copied out, more are masked

Found = tuple[Int64[np.ndarray, "b k"], Float64[np.ndarray, "b k"]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """A checked search: queries as asked and as compared, and how many neighbours each gets."""

    asked: Float[np.ndarray, "b d"]
    compared: Float32[np.ndarray, "b d"]
    k: int
    allow: Bool[np.ndarray, " n"] | None

    def __len__(self) -> int:
        return len(self.asked)

    def part(self, which: Int64[np.ndarray, " q"]) -> "Request":
        """Return the same for some of the queries."""
        return Request(
            asked=self.asked[which], compared=self.compared[which], k=self.k, allow=self.allow
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VectorRows:
    """Rows in memory or mapped, how they are compared, and the threads that may do it."""

    x: Float32[np.ndarray, "n d"]
    metric: Metric
    threads: int
    largest_norm: float

    @classmethod
    def of(cls, x: Float32[np.ndarray, "n d"], metric: Metric, *, threads: int) -> "VectorRows":
        """Take rows as they are, after one look at all of them.

        Raises:
            ValueError: there are no rows, components are not finite, or a row has not length one
                (or zero) where cosine is asked.
        """
        if threads < 1:
            raise ValueError(f"threads must be >= 1, got {threads}")
        if 0 in x.shape:
            raise ValueError(f"there is nothing to index in rows of the shape {x.shape}")
        x = np.ascontiguousarray(np.asarray(x))  # a view without the slow ways of np.memmap
        largest = 0.0
        for at in range(0, len(x), _CHECKED_ROWS):
            block = x[at : at + _CHECKED_ROWS]
            check_components(block, "a row")
            norms = np.sqrt(np.vecdot(block, block))
            if metric is Metric.COSINE and not np.all((np.abs(norms - 1) < 1e-3) | (norms == 0)):
                raise ValueError(
                    "a row has not length one, as cosine needs; pass the rows through"
                    " index.distance.unit_rows"
                )
            largest = max(largest, float(norms.max()))
        return cls(x=x, metric=metric, threads=threads, largest_norm=largest)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def dim(self) -> int:
        """The width of a row."""
        return self.x.shape[1]

    def request(
        self,
        queries: Float[np.ndarray, "b d"],
        k: int,
        effort: int,
        allow: Bool[np.ndarray, " n"] | None,
    ) -> Request:
        """Check what a search is asked.

        Raises:
            ValueError: a number is below 1, a shape does not fit, a component is not finite.
        """
        if k < 1:
            raise ValueError(f"k must be >= 1, got {k}")
        if effort < 1:
            raise ValueError(f"effort must be >= 1, got {effort}")
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise ValueError(
                f"queries have the shape {queries.shape}, this index holds vectors of {self.dim}"
                " components; embed with the same model"
            )
        if allow is not None and (allow.dtype != np.bool_ or allow.shape != (len(self),)):
            raise ValueError(
                f"allow must be one boolean for each of {len(self)} rows, got {allow.dtype}"
                f" of the shape {allow.shape}"
            )
        x = queries.astype(np.float64)
        squares = np.vecdot(x, x)
        # A length within the bound of a component says at once that every component is.
        if not squares.max(initial=0.0) <= LARGEST_COMPONENT**2:
            check_components(queries, "a query")
        q = _at_length_one(x, squares) if self.metric is Metric.COSINE else queries
        found = len(self) if allow is None else int(np.count_nonzero(allow))
        return Request(
            asked=queries,
            compared=np.ascontiguousarray(q, np.float32),
            k=min(k, found),
            allow=None if found == len(self) else allow,
        )

    def refine(self, request: Request, candidates: Int64[np.ndarray, "b m"]) -> Found:
        """Return the k best of each query's candidates, or of all rows where they are too few.

        Candidates that are negative (FAISS fills up with -1) or not allowed do not count; those of
        one query differ from each other.
        """
        b, m = candidates.shape
        k = request.k
        step = max(1, _BLOCK_BYTES // (max(m, 1) * self.dim * 4))
        if request.allow is None and b <= step and 0 < k <= m and candidates.min() >= 0:
            return self._best(request, candidates, None)
        usable = candidates >= 0
        if request.allow is not None:
            usable &= request.allow[candidates]
        enough = usable.sum(axis=1) >= k
        rows, scores = np.zeros((b, k), np.int64), np.zeros((b, k))
        if not k:
            return rows, scores
        whole = np.flatnonzero(enough)
        for at in range(0, len(whole), step):
            some = whole[at : at + step]
            rows[some], scores[some] = self._best(
                request.part(some), candidates[some], usable[some]
            )
        short = np.flatnonzero(~enough)
        if len(short):
            rows[short], scores[short] = self.scan(request.part(short))
        return rows, scores

    def refine_each(self, request: Request, found: Iterable[Int64[np.ndarray, " m"]]) -> Found:
        """Do as `refine` with any number of candidates for each query, none of them twice."""
        rows = np.zeros((len(request), request.k), np.int64)
        scores = np.zeros((len(request), request.k))
        for i, every in enumerate(found):
            candidates = every if request.allow is None else every[request.allow[every]]
            one = request.part(np.array([i]))
            rows[i : i + 1], scores[i : i + 1] = self.refine(one, candidates[None])
        return rows, scores

    def scan(self, request: Request) -> Found:
        """Return the k nearest of all allowed rows."""
        k = request.k
        rows, scores = np.zeros((len(request), k), np.int64), np.zeros((len(request), k))
        if not k:
            return rows, scores
        set_threads(self.threads)
        x, keys, allow = self.x, None, request.allow
        if allow is not None and np.count_nonzero(allow) <= len(self) // _GATHERED_SHARE:
            keys, allow = np.flatnonzero(allow), None
            x = self.x[keys]
        uncertain = np.arange(len(request))
        if len(request) >= _FEW and allow is None:
            near, found = _multiplied(request.compared, x, k, self.metric)
            kth = near[:, k - 1]
            # It adds and subtracts norms: L2 is no more precise than its largest term.
            reach = self._reach(request)
            slack = _ROUNDING * reach
            certain = (near[:, -1] < kth - slack) | (found.shape[1] == len(x))
            width = int((near >= (kth - slack)[:, None]).sum(axis=1).max())
            sure = np.flatnonzero(certain)
            picked = found[sure, : max(width, k)]
            picked = picked if keys is None else keys[picked]
            rows[sure], scores[sure] = self._settled(request.part(sure), picked)
            uncertain = np.flatnonzero(~certain)
        for i in uncertain:
            near = self._nearness(request.compared[i], x)
            if allow is not None:
                near[~allow] = -np.inf
            last = float(np.partition(near, len(near) - k)[-k])
            close = np.flatnonzero(near >= last - self._slack(request.compared[i], last))
            close = close if keys is None else keys[close]
            one = request.part(np.array([i]))
            rows[i : i + 1], scores[i : i + 1] = self._settled(one, close[None])
        return rows, scores

    def _best(
        self,
        request: Request,
        candidates: Int64[np.ndarray, "b m"],
        usable: Bool[np.ndarray, "b m"] | None,
    ) -> Found:
        m, k = candidates.shape[1], request.k
        if usable is None and len(candidates) == 1:
            return self._best_of_one(request, candidates)
        if m > k + _SPARE:
            near = self._compared(request.compared, candidates)
            if usable is not None:
                near[~usable] = -np.inf
            kth = np.partition(near, m - k, axis=1)[:, m - k]
            reach = self._reach(request)
            width = int((near >= (kth - _ROUNDING * reach)[:, None]).sum(axis=1).max())
            if width < m:
                picked = np.argpartition(near, m - width, axis=1)[:, m - width :]
                candidates = np.take_along_axis(candidates, picked, axis=1)
                if usable is not None:
                    usable = np.take_along_axis(usable, picked, axis=1)
        return self._settled(request, candidates, usable)

    def _best_of_one(self, request: Request, candidates: Int64[np.ndarray, "b m"]) -> Found:
        """Do as `_best` for one query, whose time is that of calls rather than of numbers."""
        m, k = candidates.shape[1], request.k
        found = candidates[0]
        if m > k + _SPARE:
            near = self._compared(request.compared, candidates)[0]
            kth = np.partition(near, m - k)[m - k]
            found = found[near >= kth - _ROUNDING * self._reach(request)[0]]
        exact = similarities(request.asked[0], self.x[found], self.metric)
        order = np.lexsort((found, -exact))[:k]
        return found[order][None], exact[order][None]

    def _reach(self, request: Request) -> Float32[np.ndarray, " b"]:
        """Return the greatest that terms of a similarity to each query can be."""
        norms = np.sqrt(np.vecdot(request.compared, request.compared))
        return np.square(norms + np.float32(self.largest_norm))

    def _compared(
        self, queries: Float32[np.ndarray, "b d"], candidates: Int64[np.ndarray, "b m"]
    ) -> Float32[np.ndarray, "b m"]:
        """Return how near the candidates are in single precision, without copying their rows."""
        set_threads(self.threads)
        candidates = np.ascontiguousarray(candidates)
        near = np.empty(candidates.shape, np.float32)
        is_l2 = self.metric is Metric.L2
        loop = faiss.fvec_L2sqr_by_idx if is_l2 else faiss.fvec_inner_products_by_idx
        arrays = map(faiss.swig_ptr, (near, queries, self.x, candidates))
        loop(*arrays, self.dim, *candidates.shape)
        return -near if is_l2 else near

    def _settled(
        self,
        request: Request,
        candidates: Int64[np.ndarray, "b m"],
        usable: Bool[np.ndarray, "b m"] | None = None,
    ) -> Found:
        exact = np.empty(candidates.shape)
        # A block stays in the processor's cache while it is widened and multiplied.
        step = max(1, _CACHED_BYTES // (8 * self.dim * max(candidates.shape[1], 1)))
        for at in range(0, len(candidates), step):
            few = slice(at, at + step)
            exact[few] = similarities_of(request.asked[few], self.x[candidates[few]], self.metric)
        if usable is not None:
            exact[~usable] = -np.inf
        order = np.lexsort((candidates, -exact), axis=1)[:, : request.k]
        every = np.arange(len(order))[:, None]
        return candidates[every, order], exact[every, order]

    def _nearness(
        self, query: Float32[np.ndarray, " d"], x: Float32[np.ndarray, "m d"]
    ) -> Float32[np.ndarray, " m"]:
        """Return how near each row is, in single precision.

        These are the loops over all rows that FAISS uses inside; its search for a single query
        compares a row at a time instead, which takes more than twice as long.
        """
        near = np.empty(len(x), np.float32)
        is_l2 = self.metric is Metric.L2
        loop = faiss.fvec_L2sqr_ny if is_l2 else faiss.fvec_inner_products_ny
        loop(*map(faiss.swig_ptr, (near, query, x)), self.dim, len(x))
        return -near if is_l2 else near

    def _slack(self, query: Float32[np.ndarray, " d"], nearness: float) -> float:
        if self.metric is Metric.L2:
            return _ROUNDING * abs(nearness)
        return _ROUNDING * float(np.linalg.norm(query)) * self.largest_norm


def _at_length_one(
    x: Float64[np.ndarray, "b d"], squares: Float64[np.ndarray, " b"]
) -> Float32[np.ndarray, "b d"]:
    """Do as `unit_rows` does, in fewer steps; `squares` are those of the lengths."""
    return (x / np.sqrt(np.maximum(squares, _TINY))[:, None]).astype(np.float32)


def _multiplied(
    queries: Float32[np.ndarray, "b d"], x: Float32[np.ndarray, "n d"], k: int, metric: Metric
) -> tuple[Float32[np.ndarray, "b m"], Int64[np.ndarray, "b m"]]:
    """Return some more than the k nearest in single precision, best first."""
    near, found = faiss.knn(queries, x, min(len(x), k + _WIDER), metric_of(metric))
    return (-near if metric is Metric.L2 else near), found

"""How a filtered search goes about it: nothing, all allowed rows, or an index and a bitmap.

The filter's own SQL says exactly how many rows are allowed, before anything is searched. Few of
them are compared one by one, which is exact and quick; of many, the index is asked with a bitmap.
Every backend returns min(k, allowed) rows at any effort, so that both ways are complete.

Letters: `n` rows, `d` their width, `m` allowed rows, `k` neighbours.
"""

from enum import StrEnum

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from index.distance import similarities
from index.protocol import AnnBackend, Metric

# Up to so many allowed rows, comparing them one by one is as quick as FAISS's flat search with a
# bitmap; see docs/decisions/0013, and `benchmarks.index --part filters` for the other methods.
EXACT_ROWS = 2_000


class Route(StrEnum):
    """What is done for a search."""

    NOTHING = "nothing"  # no row is allowed
    EXACT = "exact"  # all allowed rows are compared
    BITMAP = "bitmap"  # the index searches, narrowed to the allowed rows
    ALL = "all"  # the index searches, without a filter


def route_of(num_allowed: int | None, num_rows: int) -> Route:
    """Return what to do where so many of the rows are allowed; None without a filter."""
    if num_allowed is None or num_allowed == num_rows:
        return Route.ALL if num_rows else Route.NOTHING
    if num_allowed == 0:
        return Route.NOTHING
    return Route.EXACT if num_allowed <= EXACT_ROWS else Route.BITMAP


def search_allowed(  # all by name
    backend: AnnBackend,
    rows: Float[np.ndarray, "n d"],
    metric: Metric,
    *,
    query: Float[np.ndarray, " d"],
    k: int,
    effort: int,
    allow: Bool[np.ndarray, " n"] | None,
) -> tuple[Int64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
    """Return rows and similarities of the min(k, m) nearest allowed rows, best first."""
    route = route_of(None if allow is None else int(np.count_nonzero(allow)), len(rows))
    if route is Route.NOTHING:
        return np.empty(0, np.int64), np.empty(0)
    if route is Route.EXACT and allow is not None:
        return nearest_of(rows, np.flatnonzero(allow), metric, query=query, k=k)
    found, scores = backend.search(
        query[None, :], k, effort=effort, allow=allow if route is Route.BITMAP else None
    )
    return found[0], scores[0]


def nearest_of(
    rows: Float[np.ndarray, "n d"],
    picked: Int64[np.ndarray, " m"],
    metric: Metric,
    *,
    query: Float[np.ndarray, " d"],
    k: int,
) -> tuple[Int64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
    """Return the k nearest of some rows, exactly; equals by row."""
    scores = similarities(query, rows[picked], metric)
    order = np.lexsort((picked, -scores))[:k]
    return picked[order], scores[order]

"""Exact similarities, in double precision: higher is nearer, for every metric.

Cosine is 0 where a vector is all zeros; L2 is minus the *squared* distance.

Letters: `n` vectors, `d` their width, `b` queries, `m` vectors for each of them.
"""

import numpy as np
from jaxtyping import Float, Float32, Float64

from index.protocol import Metric

_TINY = 1e-300  # below the square of any two lengths in single precision


def similarities(
    query: Float[np.ndarray, " d"], vectors: Float[np.ndarray, "n d"], metric: Metric
) -> Float64[np.ndarray, " n"]:
    """Return how similar each row is to the query; equal rows get bit-equal values."""
    q = query.astype(np.float64)
    x = vectors.astype(np.float64)
    if metric is Metric.L2:
        x -= q
        return -np.vecdot(x, x)
    # Not `x @ q`: BLAS sums in an order that depends on where a row stands, so that copies of one
    # vector would not tie.
    dots: Float64[np.ndarray, " n"] = np.vecdot(x, q)
    if metric is Metric.INNER_PRODUCT:
        return dots
    return _cosines(dots, np.vecdot(x, x) * np.vecdot(q, q))


def similarities_of(
    queries: Float[np.ndarray, "b d"], vectors: Float[np.ndarray, "b m d"], metric: Metric
) -> Float64[np.ndarray, "b m"]:
    """Return how similar each query is to each vector of its own, to the bit as `similarities`."""
    if len(queries) == 1:
        return similarities(queries[0], vectors[0], metric)[None]
    q = queries.astype(np.float64)
    x = vectors.astype(np.float64)
    if metric is Metric.L2:
        x -= q[:, None, :]
        return -np.vecdot(x, x)
    dots: Float64[np.ndarray, "b m"] = np.vecdot(x, q[:, None, :])
    if metric is Metric.INNER_PRODUCT:
        return dots
    return _cosines(dots, np.vecdot(x, x) * np.vecdot(q, q)[:, None])


def _cosines(
    dots: Float64[np.ndarray, "*any"], squares: Float64[np.ndarray, "*any"]
) -> Float64[np.ndarray, "*any"]:
    """Divide by the lengths, in place; `squares` are the products of their squares."""
    np.maximum(squares, _TINY, out=squares)  # where a vector is all zeros, the product is 0 as well
    np.sqrt(squares, out=squares)
    np.divide(dots, squares, out=dots)
    np.minimum(dots, 1.0, out=dots)
    return np.maximum(dots, -1.0, out=dots)


def unit_rows(vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Return the rows at length one; a row of zeros stays as it is."""
    x = vectors.astype(np.float64)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, norms, out=np.zeros_like(x), where=norms > 0).astype(np.float32)

"""The libraries themselves, without our wrapping: what the index is measured beside.

Letters: `n` vectors, `d` their width, `b` queries, `k` neighbours.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
import usearch.index
from jaxtyping import Float32, Int64

from index.faiss_runtime import faiss, set_threads

Search = Callable[[np.ndarray, int], Any]


def raw_flat(x: Float32[np.ndarray, "n d"]) -> Search:
    """FAISS's IndexFlatIP."""
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(x)

    def search(queries: np.ndarray, k: int) -> Int64[np.ndarray, "b k"]:
        set_threads(1)
        return index.search(queries, k)[1]

    return search


def refined(index: Any, x: Float32[np.ndarray, "n d"], factor: int, parameters: Any) -> Search:
    """A FAISS index with FAISS's own refinement from a copy of the vectors."""
    whole = faiss.IndexRefineFlat(index, faiss.swig_ptr(x))
    kept = (index, x)

    def search(queries: np.ndarray, k: int) -> Int64[np.ndarray, "b k"]:
        set_threads(1)
        assert kept
        search_parameters = faiss.IndexRefineSearchParameters(
            k_factor=factor, base_index_params=parameters
        )
        return whole.search(queries, k, params=search_parameters)[1]

    return search


def raw_hnswlib(path: Path, dim: int, ef: int) -> Search:
    """hnswlib's graph in a file that we wrote."""
    index = hnswlib.Index("ip", dim)
    index.load_index(str(path))
    index.set_ef(ef)

    def search(queries: np.ndarray, k: int) -> Any:
        return index.knn_query(queries, k, num_threads=1)[0]

    return search


def built_usearch(x: Float32[np.ndarray, "n d"], *, threads: int) -> Any:
    """Return usearch's graph with as many links as ours."""
    index = usearch.index.Index(
        ndim=x.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=100
    )
    index.add(np.arange(len(x)), x, threads=threads)
    return index


def raw_usearch(index: Any, ef: int) -> Search:
    """usearch's graph."""

    def search(queries: np.ndarray, k: int) -> Any:
        index.expansion_search = ef
        keys = index.search(queries, k, threads=1).keys
        return np.asarray(keys).reshape(len(queries), -1).astype(np.int64)

    return search

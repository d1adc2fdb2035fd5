"""The one place that imports faiss.

Faiss and torch each bring an OpenMP runtime. Both work in one process as long as each is told its
own number of threads, which is why nobody else imports faiss.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from index.errors import IndexFileError
from index.protocol import Metric

try:
    import faiss as _faiss
except ImportError as error:
    raise ImportError(
        "faiss is not installed or cannot be loaded; install one of the extras, `cpu` or `gpu`:"
        " pip install -e '.[cpu]'"
    ) from error

__all__ = [
    "FaissBuild",
    "describe_build",
    "faiss",
    "metric_of",
    "read_faiss",
    "selector",
    "set_threads",
    "write_faiss",
]

faiss: Any = _faiss  # its stubs know a part of it


@dataclass(frozen=True, slots=True, kw_only=True)
class FaissBuild:
    """What the installed faiss is: its version, instruction sets and the GPUs that it can use."""

    version: str
    compile_options: tuple[str, ...]
    num_gpus: int


def describe_build() -> FaissBuild:
    """Return what the installed build can do."""
    count_gpus = getattr(faiss, "get_num_gpus", None)  # absent from some builds without CUDA
    return FaissBuild(
        version=str(faiss.__version__),
        compile_options=tuple(str(faiss.get_compile_options()).split()),
        num_gpus=int(count_gpus()) if count_gpus is not None else 0,
    )


def set_threads(threads: int) -> None:
    """Let faiss use so many threads for the calls of the calling thread.

    OpenMP keeps this number per thread, so each search sets it anew; that costs nothing.
    """
    faiss.omp_set_num_threads(threads)


def metric_of(metric: Metric) -> int:
    """Return FAISS's number for a metric; cosine rows have length one."""
    return int(faiss.METRIC_L2 if metric is Metric.L2 else faiss.METRIC_INNER_PRODUCT)


def selector(allow: Bool[np.ndarray, " n"] | None) -> Any:
    """Return what narrows a FAISS search to the allowed rows, or None. Keep it while searching."""
    if allow is None:
        return None
    return faiss.IDSelectorBitmap(np.packbits(allow, bitorder="little"))


def write_faiss(index: Any, path: Path) -> None:
    """Write an index file; raises `OSError`."""
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(f"FAISS cannot write {path}: {error}") from error


def read_faiss(path: Path, *, mmap: bool = False) -> Any:
    """Return the index in a file whose hash was compared; its codes stay on the disk if `mmap`.

    Raises:
        IndexFileError: FAISS cannot read it.
    """
    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if mmap else 0)
    except RuntimeError as error:
        raise IndexFileError(f"FAISS cannot read {path}: {error}; build it again") from error

"""The one place that imports faiss.

Faiss and torch each bring an OpenMP runtime. Both work in one process as long as each is told its
own number of threads, which is why nobody else imports faiss.
"""

from dataclasses import dataclass
from typing import Any

try:
    import faiss as _faiss
except ImportError as error:
    raise ImportError(
        "faiss is not installed or cannot be loaded; install one of the extras, `cpu` or `gpu`:"
        " pip install -e '.[cpu]'"
    ) from error

__all__ = ["FaissBuild", "describe_build", "faiss", "set_threads"]

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

"""On how many threads torch computes; the compiled kernels have threads of their own."""

import os


def usable_threads(threads: int | None) -> int:
    """Return how many threads are meant (None: one a core); needs no torch.

    Raises:
        ValueError: there are not so many cores.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    wanted = cores if threads is None else threads
    if not 1 <= wanted <= cores:
        raise ValueError(f"threads must be in [1, {cores}], the number of cores; got {wanted}")
    return wanted


def set_threads(threads: int | None) -> int:
    """Let torch compute on so many threads, and return the number; see `usable_threads`."""
    import torch  # noqa: PLC0415  # who only counts need not wait for it

    wanted = usable_threads(threads)
    torch.set_num_threads(wanted)
    return wanted

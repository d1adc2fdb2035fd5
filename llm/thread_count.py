"""On how many threads torch computes.

Work is shared out operator by operator, with a barrier after each. A step of one token has about a
thousand small operators: where another program takes a core, every barrier waits for it, and two
threads are several times slower than one. So the count for such steps is measured, not assumed.
"""

import os
import statistics
import time
from collections.abc import Callable

import torch

from llm.model import LlamaModel

_WARM_UP = 2
_STEPS = 7


def set_threads(threads: int | None) -> int:
    """Let torch compute on so many threads (None: one a core) and return the number.

    Raises:
        ValueError: there are not so many cores.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    wanted = cores if threads is None else threads
    if not 1 <= wanted <= cores:
        raise ValueError(f"threads must be in [1, {cores}], the number of cores; got {wanted}")
    torch.set_num_threads(wanted)
    return wanted


def fastest_decode_threads(model: LlamaModel, threads: int) -> int:
    """Return 1 or `threads`, whichever makes steps of one token faster just now.

    Medians of steps in turn, each with an empty cache; takes about half a second for 135 million
    parameters. The count of threads that was set before is set again.
    """
    if threads == 1:
        return 1
    return _fastest(lambda: _step(model), (1, threads))


def _step(model: LlamaModel) -> None:
    kv_cache = model.new_cache()
    with torch.inference_mode():
        model(torch.zeros(1, 1, dtype=torch.int64), kv_cache, last_only=True)


def _fastest(step: Callable[[], None], counts: tuple[int, ...]) -> int:
    before = torch.get_num_threads()
    times: dict[int, list[float]] = {count: [] for count in counts}
    try:
        for i in range(_WARM_UP + _STEPS):
            for count in counts:
                torch.set_num_threads(count)
                started = time.perf_counter()
                step()
                if i >= _WARM_UP:
                    times[count].append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    return min(counts, key=lambda count: statistics.median(times[count]))

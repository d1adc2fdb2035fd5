"""Where a chunk begins, one sentence more at a time: the slow twin of `rag.overlap`."""

from collections.abc import Callable, Sequence


def longest_overlap(
    data: str,
    own_start: int,
    own_end: int,
    starts: Sequence[int],
    *,
    count: Callable[[str], int],
    max_tokens: int,
    overlap: int,
) -> int:
    """Return the earliest of `starts` within both bounds; `own_start` where none is."""
    for start in sorted(starts):
        fits = count(data[start:own_start].rstrip()) <= overlap
        if fits and count(data[start:own_end]) <= max_tokens:
            return start
    return own_start

"""Searching the overlap by halves finds what trying every sentence finds."""

import re
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rag.chunking import chunk
from tests.golden.overlap_reference import longest_overlap


def count(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) + 2 for text in texts]


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=60),
    st.integers(30, 200),
    st.integers(30, 60),
    st.integers(1, 14),
)
def test_halving_is_trying_all(
    lengths: Sequence[int], target: int, max_tokens: int, overlap: int
) -> None:
    text = " ".join("Word" + " word" * (n - 1) + "." for n in lengths)

    def spans(overlap: int) -> list[tuple[int, int]]:
        found = chunk(
            text, count_tokens=count, target_chars=target, max_tokens=max_tokens, overlap=overlap
        )
        return [(one.start, one.end) for one in found]

    bare = spans(0)
    expected = bare[:1]
    for (before, end), (start, stop) in pairwise(bare):
        starts = [m.start() for m in re.finditer("Word", text) if before <= m.start() < end]
        earliest = longest_overlap(
            text,
            start,
            stop,
            starts,
            count=lambda part: count([part])[0],
            max_tokens=max_tokens,
            overlap=overlap,
        )
        expected.append((earliest, stop))
    assert spans(overlap) == expected

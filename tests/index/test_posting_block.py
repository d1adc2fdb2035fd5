"""Blocks of postings: what they hold, merged, and as bytes."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.errors import IndexFileError
from index.posting_block import PostingBlock, RowTerms

TERMS = ["a", "b", "c", "茶文", "d"]
rows_of_terms = st.lists(
    st.tuples(st.lists(st.sampled_from(TERMS)), st.lists(st.sampled_from(TERMS), max_size=2)),
    max_size=8,
)


def block_of(rows: list[tuple[list[str], list[str]]], first: int = 1) -> PostingBlock:
    return PostingBlock.of_rows(
        [
            RowTerms(id=first + 2 * i, lex=" ".join(lex), heading=" ".join(heading))
            for i, (lex, heading) in enumerate(rows)
        ],
        heading_weight=2,
    )


def content(block: PostingBlock) -> dict[str, list[tuple[int, int]]]:
    found = {}
    for term in TERMS:
        rows, counts = block.postings(term)
        found[term] = list(zip(block.ids[rows].tolist(), counts.tolist(), strict=True))
    return found


@settings(max_examples=80, deadline=None, derandomize=True)
@given(rows=rows_of_terms, dead=st.sets(st.integers(0, 7)), cut=st.integers(0, 8))
def test_a_block_counts_its_terms_also_merged_and_as_bytes(
    rows: list[tuple[list[str], list[str]]], dead: set[int], cut: int
) -> None:
    counts = [Counter(lex) + Counter(heading) + Counter(heading) for lex, heading in rows]

    def expected(kept: list[int]) -> dict[str, list[tuple[int, int]]]:
        return {t: [(1 + 2 * i, counts[i][t]) for i in kept if counts[i][t]] for t in TERMS}

    whole = block_of(rows)
    assert content(whole) == expected(list(range(len(rows))))
    again = PostingBlock.from_bytes(whole.to_bytes())
    assert content(again) == content(whole)
    assert again.lengths.tolist() == [len(lex) + len(heading) for lex, heading in rows]
    parts = [block_of(rows[:cut]), block_of(rows[cut:], first=1 + 2 * len(rows[:cut]))]
    alive = [
        np.array([i not in dead for i in range(len(rows[:cut]))], bool),
        np.array([i not in dead for i in range(len(rows[:cut]), len(rows))], bool),
    ]
    merged = PostingBlock.merged(parts, alive)
    assert content(merged) == expected([i for i in range(len(rows)) if i not in dead])


@pytest.mark.parametrize("place", [0, 20, 40, 60, -1])
def test_one_flipped_byte_is_found(place: int) -> None:
    data = bytearray(block_of([(["a", "b"], ["c"])]).to_bytes())
    data[place] ^= 1
    with pytest.raises(IndexFileError, match="damaged"):
        PostingBlock.from_bytes(bytes(data))
    with pytest.raises(IndexFileError, match="damaged"):
        PostingBlock.from_bytes(b"")

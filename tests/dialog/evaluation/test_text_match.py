"""The pinned likeness of two values, against cases computed by hand and a slow twin."""

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog.evaluation.text_match import indel_ratio, sorted_tokens, token_sort_ratio


@pytest.mark.parametrize(
    ("a", "b", "ratio"),
    [
        ("March 14th", "14th of March", 87),  # "14th march" / "14th march of": 2 * 10 / 23
        ("half past 3", "3:30 pm", 44),  # "3 half past" / "3 30 pm": "3  p", 8 / 18
        ("San Francisco", "san-francisco", 100),
        ("abc", "xyz", 0),
        ("", "...", 100),
        ("a", "", 0),
        ("under_score", "score under", 100),
    ],
)
def test_ratios_computed_by_hand(a: str, b: str, ratio: int) -> None:
    """Twice the common subsequence over both lengths, after the pinned pre-processing."""
    assert token_sort_ratio(a, b) == ratio


def test_the_pre_processing_is_pinned() -> None:
    """Lower case, everything but letters and digits to spaces, tokens sorted."""
    assert sorted_tokens("  O'Brien & Söhne_2 ") == "2 brien o söhne"


@given(a=st.text("ab c", max_size=12), b=st.text("ab c", max_size=12))
def test_the_bit_parallel_ratio_is_the_recursive_one(a: str, b: str) -> None:
    """Golden: the textbook recursion."""

    @lru_cache(None)
    def common(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return 0
        if a[i] == b[j]:
            return 1 + common(i + 1, j + 1)
        return max(common(i + 1, j), common(i, j + 1))

    total = len(a) + len(b)
    assert indel_ratio(a, b) == (round(200 * common(0, 0) / total) if total else 100)

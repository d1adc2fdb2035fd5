"""BLEU against cases computed by hand."""

import math

import pytest

from dialog.evaluation.bleu import bleu


def test_a_text_that_is_its_reference_has_all_of_it() -> None:
    """Whatever the case."""
    assert bleu(["The table is booked."], ["the table is booked."]) == pytest.approx(100)


def test_precisions_and_brevity_by_hand() -> None:
    """p = 5/5, 3/4, 2/3, 1/2 of "a b c d x" clipped; five words for seven: BP = exp(1 - 7/5).

    Of the reference "a b c d y x z": 1-grams a b c d x are all there; 2-grams ab bc cd of four;
    3-grams abc bcd of three; the 4-gram abcd of two.
    """
    expected = 100 * math.exp(1 - 7 / 5) * (1 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert bleu(["a b c d x"], ["a b c d y x z"]) == pytest.approx(expected)


def test_repeated_words_count_as_often_as_the_reference_has_them() -> None:
    """ "the the the the" beside "the cat": one of four 1-grams."""
    assert bleu(["the the the the"], ["the cat"], most=1) == pytest.approx(25)


def test_counts_are_of_all_texts_together() -> None:
    """Two of two and none of two: half of the 1-grams, though one text has none."""
    assert bleu(["a b", "x y"], ["a b", "c d"], most=1) == pytest.approx(50)
    assert bleu(["a b", "x y"], ["a b", "c d"]) == 0.0


def test_references_must_fit() -> None:
    """One each, and at least one."""
    with pytest.raises(ValueError, match="got 0 for 1"):
        bleu(["a"], [])
    with pytest.raises(ValueError, match="got 0 for 0"):
        bleu([], [])

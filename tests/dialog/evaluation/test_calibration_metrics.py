"""Calibration error and AUC against cases computed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog.evaluation.calibration_metrics import (
    auc,
    equal_mass_bins,
    expected_calibration_error,
)


def test_the_error_of_two_bins_by_hand() -> None:
    """(.1, .3 | one of two right) and (.7, .9 | both right): (|.2 - .5| + |.8 - 1|) / 2 = .25."""
    p = [0.9, 0.1, 0.7, 0.3]
    right = [True, False, True, True]
    assert expected_calibration_error(p, right, bins=2) == pytest.approx(0.25)


def test_bins_have_equal_mass() -> None:
    """33 decisions in 15 bins: two or three each."""
    bins = equal_mass_bins([i / 33 for i in range(33)], [True] * 33)
    assert len(bins) == 15
    assert {b.count for b in bins} == {2, 3}
    assert sum(b.count for b in bins) == 33


def test_certainty_that_holds_has_no_error_and_nothing_has_none() -> None:
    """The two ends."""
    assert expected_calibration_error([1.0, 0.0], [True, False]) == 0.0
    assert expected_calibration_error([], []) == 0.0


def test_auc_by_hand() -> None:
    """Right: .9, .4; wrong: .4, .1. Of four pairs three are in order and one is a tie: 3.5 / 4."""
    assert auc([0.9, 0.4, 0.4, 0.1], [True, True, False, False]) == pytest.approx(0.875)
    assert auc([0.5], [True]) == 0.5


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60))
def test_the_error_is_between_zero_and_one(decisions: list[tuple[float, bool]]) -> None:
    """Whatever the decisions."""
    error = expected_calibration_error([p for p, _ in decisions], [r for _, r in decisions])
    assert 0 <= error <= 1


def test_what_is_no_probability_is_refused() -> None:
    """With the bound."""
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        equal_mass_bins([1.5], [True])
    with pytest.raises(ValueError, match="2 probabilities for 1 decisions"):
        equal_mass_bins([0.5, 0.5], [True])
    with pytest.raises(ValueError, match="bins must be >= 1, got 0"):
        equal_mass_bins([0.5], [True], bins=0)

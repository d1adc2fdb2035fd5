"""Fusion of lanes by scores and by ranks."""

import math

import pytest

from rag.fusion import best_first, by_ranks, by_scores

TERMS = {"a": 30.0, "b": 20.0, "c": 10.0}
DENSE = {"b": 0.9, "d": 0.7, "a": 0.5}


def test_scores_are_mapped_onto_one_range_before_they_are_added() -> None:
    """The range of a lane says nothing about how much it counts."""
    assert by_scores([TERMS, DENSE]) == pytest.approx({"a": 0.5, "b": 0.75, "c": 0.0, "d": 0.25})


def test_scores_of_another_scale_give_the_same() -> None:
    """BM25 of a longer query is larger and no better."""
    scaled = {key: 7 * score + 3 for key, score in TERMS.items()}
    assert by_scores([scaled, DENSE]) == pytest.approx(by_scores([TERMS, DENSE]))


def test_a_lane_of_weight_nothing_changes_no_order() -> None:
    """So a lane that does not help can be switched off."""
    assert best_first(by_scores([TERMS, DENSE], [1, 0]))[:2] == ["a", "b"]
    assert best_first(by_ranks([["a", "b"], ["b", "a"]], [1, 0])) == ["a", "b"]


def test_equal_scores_are_all_best() -> None:
    """There is no last among them."""
    assert by_scores([{"a": 2.0, "b": 2.0}]) == {"a": 1.0, "b": 1.0}


def test_ranks_are_all_that_counts_where_scores_do_not_compare() -> None:
    """By the formula: the sum of 1 / (60 + rank)."""
    found = by_ranks([["a", "b"], ["b", "c"]], [1, 1])
    assert found == pytest.approx({"a": 0.5 / 61, "b": 0.5 / 62 + 0.5 / 61, "c": 0.5 / 62})
    assert best_first(found) == ["b", "a", "c"]


def test_nothing_found_is_no_error() -> None:
    """A lane may be empty, or all of them."""
    assert by_scores([{}, TERMS])["a"] == 0.5
    assert by_scores([]) == {}
    assert by_ranks([]) == {}


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [math.inf, 1.0]])
def test_weights_that_weigh_nothing_are_refused(weights: list[float]) -> None:
    """Or that do not fit the lanes."""
    with pytest.raises(ValueError, match="weights"):
        by_scores([TERMS, DENSE], weights)


def test_what_is_no_number_is_refused() -> None:
    """It would make every score one."""
    with pytest.raises(ValueError, match="finite"):
        by_scores([{"a": math.inf, "b": 0.0}])
    with pytest.raises(ValueError, match="constant must be >= 0, got -1"):
        by_ranks([["a"]], constant=-1)

"""Tracking metrics against cases computed by hand."""

import pytest

from dialog.evaluation.corpus import ServiceSchema, SlotSchema
from dialog.evaluation.tracking_metrics import (
    SlotCounts,
    exact_joint,
    relative_slot_accuracy,
    requested_f1,
    sgd_frame,
    slot_correctness,
)

_SERVICE = ServiceSchema(
    name="Events_1",
    slots=(
        SlotSchema(name="category", is_categorical=True, values=("Music", "Sports")),
        SlotSchema(name="date"),
        SlotSchema(name="city"),
    ),
)


def test_the_frame_score_is_the_product_over_all_slots_of_the_schema() -> None:
    """A right category, a date alike by 87 %, a city that neither has: .87; average over two."""
    scores = sgd_frame(
        _SERVICE,
        {"category": ["Music"], "date": ["14th of March", "tomorrow"]},
        {"category": ["Music"], "date": ["March 14th"]},
    )
    assert scores.joint == pytest.approx(0.87)
    assert scores.average == pytest.approx((1 + 0.87) / 2)
    assert scores.joint_categorical == 1.0
    assert scores.joint_other == pytest.approx(0.87)


def test_a_slot_that_only_one_side_fills_makes_the_frame_wrong() -> None:
    """Missing and invented alike; the average counts only what is to be found."""
    missing = sgd_frame(_SERVICE, {"city": ["Bern"]}, {})
    assert (missing.joint, missing.average) == (0.0, 0.0)
    invented = sgd_frame(_SERVICE, {}, {"city": ["Bern"]})
    assert (invented.joint, invented.average) == (0.0, None)
    assert sgd_frame(_SERVICE, {}, {}).joint == 1.0


def test_categorical_values_must_be_equal_and_others_be_like_any_spelling() -> None:
    """`ref[0] == hyp[0]` against the maximum over the spellings."""
    assert slot_correctness(["Music"], ["music"], is_categorical=True) == 0.0
    assert slot_correctness(["8 pm", "20:00"], ["20 00"], is_categorical=False) == 1.0


def test_multiwoz_is_exact_over_all_domains_and_any_alternative_is_right() -> None:
    """An empty domain is no domain."""
    reference = {"hotel": {"type": ("hotel", "guesthouse")}, "train": {}}
    assert exact_joint(reference, {"hotel": {"type": ("guesthouse",)}})
    assert not exact_joint(reference, {"hotel": {"type": ("hostel",)}})
    assert not exact_joint(
        reference, {"hotel": {"type": ("hotel",)}, "train": {"day": ("monday",)}}
    )
    assert not exact_joint(reference, {})


def test_requested_slots_are_a_multiset_with_the_official_conventions() -> None:
    """P = 1 if nothing is predicted, R = 1 if nothing is to be found, F1 = 0 if both are 0."""
    both = requested_f1(["phone", "address"], ["phone", "price"])
    assert (both.precision, both.recall, both.f1) == (0.5, 0.5, 0.5)
    assert requested_f1([], []).f1 == 1.0
    assert (requested_f1(["phone"], []).precision, requested_f1(["phone"], []).f1) == (1.0, 0.0)
    assert requested_f1([], ["phone"]).recall == 1.0
    assert requested_f1(["phone"], ["price"]).f1 == 0.0


def test_slot_f1_counts_pairs_over_all_turns() -> None:
    """Two of three found are right, two of four wanted are found: P 2/3, R 1/2, F1 4/7."""
    counts = SlotCounts()
    counts.add({"a": {"x": ("1",), "y": ("2",)}}, {"a": {"x": ("1",), "y": ("3",)}})
    counts.add({"a": {"x": ("1",), "y": ("2",)}}, {"a": {"y": ("2",)}})
    assert counts.scores.precision == pytest.approx(2 / 3)
    assert counts.scores.recall == pytest.approx(1 / 2)
    assert counts.scores.f1 == pytest.approx(4 / 7)


def test_relative_slot_accuracy_leaves_out_what_nobody_names() -> None:
    """One right of three named; None where nothing is."""
    score = relative_slot_accuracy(
        {"a": {"x": ("1",), "y": ("2",)}}, {"a": {"x": ("1",), "z": ("9",)}}
    )
    assert score == pytest.approx(1 / 3)
    assert relative_slot_accuracy({"a": {}}, {}) is None

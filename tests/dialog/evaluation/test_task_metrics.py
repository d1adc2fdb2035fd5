"""Metrics of whole dialogues against cases computed by hand."""

import pytest

from dialog.evaluation.corpus import DomainGoal
from dialog.evaluation.task_metrics import (
    DialogueOutcome,
    ObservedPair,
    adjacency_completion,
    book_rate,
    combined,
    exact_repeats,
    inform,
    pass_hat_k,
    repeated_ngrams,
    requested_told,
    slot_errors,
    success,
    turns_quantile,
)

_GOAL = {
    "hotel": DomainGoal(constraints={"area": "East", "stars": "4"}, requests=("phone",)),
    "taxi": DomainGoal(requests=("car",)),
}


def _outcome(area: str, *told: str, car: bool = True) -> DialogueOutcome:
    return DialogueOutcome(
        offered={"hotel": {"name": "Adler", "area": area, "stars": "4"}},
        told={"hotel": frozenset(told), "taxi": frozenset({"car"} if car else ())},
    )


def test_inform_needs_an_entity_that_meets_every_constraint() -> None:
    """A domain without constraints needs none."""
    assert inform(_GOAL, _outcome("east"))
    assert not inform(_GOAL, _outcome("west"))
    assert not inform(_GOAL, DialogueOutcome(offered={}, told={}))


def test_success_needs_every_requested_attribute_too() -> None:
    """In every domain."""
    assert success(_GOAL, _outcome("east", "phone"))
    assert not success(_GOAL, _outcome("east"))
    assert not success(_GOAL, _outcome("east", "phone", car=False))
    assert not success(_GOAL, _outcome("west", "phone"))


def test_combined_by_hand() -> None:
    """(80 + 70) / 2 + 18 = 93."""
    assert combined(80, 70, 18) == 93


def test_requested_attributes_by_hand() -> None:
    """Two wanted, three told, one of them right: P 1/3, R 1/2."""
    scores = requested_told(_GOAL, _outcome("east", "price", "area"))
    assert scores.precision == pytest.approx(1 / 3)
    assert scores.recall == 0.5


def test_bookings_count_with_all_their_values() -> None:
    """One of two is right; a goal without bookings has no rate."""
    wanted = {"hotel": {"day": "friday", "people": "2"}, "train": {"people": "2"}, "taxi": {}}
    booked = {"hotel": {"day": "friday", "people": "3"}, "train": {"people": "2"}}
    assert book_rate(wanted, booked) == 0.5
    assert book_rate({"taxi": {}}, {}) is None


def test_pass_hat_k_by_hand() -> None:
    """Five trials: 5, 4 and 0 successes; k = 2: (1 + C(4,2)/C(5,2) + 0) / 3 = (1 + .6) / 3."""
    assert pass_hat_k([5, 4, 0], 5, 2) == pytest.approx(1.6 / 3)
    assert pass_hat_k([5, 4, 0], 5, 1) == pytest.approx(0.6)
    assert pass_hat_k([5, 4, 0], 5, 5) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match=r"k must be in \[1, 5\]"):
        pass_hat_k([5], 5, 6)
    with pytest.raises(ValueError, match="at least one scenario"):
        pass_hat_k([], 5, 1)
    with pytest.raises(ValueError, match="0 to 5 successes"):
        pass_hat_k([6], 5, 1)


def test_quantiles_of_turns() -> None:
    """Nine of ten dialogues take at most nine turns."""
    assert turns_quantile(range(1, 11), 0.9) == 9
    assert turns_quantile([3], 0.5) == 3
    with pytest.raises(ValueError, match="a quantile needs dialogues"):
        turns_quantile([], 0.5)


def test_repeats_that_were_asked_for_do_not_count() -> None:
    """The third reply is a repeat, the fourth the user's wish."""
    said = ["Which day?", "Noted.", "Which day?", "Which day?"]
    assert exact_repeats(said) == 2
    assert exact_repeats(said, asked_to_repeat=[3]) == 1


def test_repeated_four_grams_by_hand() -> None:
    """ "a b c d e" twice: four 4-grams, two of them again: .5."""
    assert repeated_ngrams(["a b c d e", "A b c d e"]) == 0.5
    assert repeated_ngrams(["too short"]) == 0.0


def test_adjacency_completion_by_hand() -> None:
    """Closed at once, closed too late, never closed: 1/3."""
    pairs = [
        ObservedPair(opened=1, closed=2),
        ObservedPair(opened=2, closed=9),
        ObservedPair(opened=3),
    ]
    assert adjacency_completion(pairs) == pytest.approx(1 / 3)
    assert adjacency_completion([]) == 1.0


def test_slot_errors_by_hand() -> None:
    """Two values, one missing; a price that nobody gave is added: 2 / 2."""
    errors = slot_errors("Table for 4 at 19:00, 20 pounds", ["4", "18:00"], ["20 pounds", "19"])
    assert (errors.missing, errors.added, errors.total) == (1, 2, 2)
    assert slot_errors("Booked for 4 at 18:00.", ["4", "18:00"], ["18"]).rate == 0.0
    assert slot_errors("Hello.", []).rate == 0.0

"""Inference 6: "make it 5" changes the one slot that it fits, or two are named."""

from dialog.task.commands import Change, Set, Start, Unclear
from tests.dialog.tracker.conftest import Talk

_HOTEL = (
    Start(task="find_hotel"),
    Set(slot="area", value="harbour"),
    Set(slot="nights", value=2),
)


def test_the_only_slot_of_a_fitting_type_changes(talk: Talk) -> None:
    """One integer has a value."""
    found = talk.after(*_HOTEL).read("actually, make it 5 nights")
    assert [(c.slot, c.value) for c in found if isinstance(c, Change)] == [("nights", 5)]


def test_two_slots_that_fit_are_both_named(talk: Talk) -> None:
    """Neither is changed (rasa#7467)."""
    talk.after(*_HOTEL, Set(slot="people", value=3), Set(slot="check_in", value="2025-03-07"))
    found = talk.read("make it 5")
    assert not any(isinstance(c, Change) for c in found)
    unclear = [c for c in found if isinstance(c, Unclear)]
    assert [set(c.guesses) for c in unclear] == [{"nights", "people"}]

"""Inference 9: negative constraints."""

from dialog.task.commands import Clear, Remove, Set, SlotEdit, Start
from tests.dialog.tracker.conftest import Talk


def test_a_refused_value_is_never_set(talk: Talk) -> None:
    """ "Not Italian"."""
    found = talk.after(Start(task="find_hotel")).read("not italian")
    assert not any(isinstance(c, SlotEdit) and c.value == "italian" for c in found)


def test_a_refused_value_that_was_set_is_cleared(talk: Talk) -> None:
    """The constraint goes."""
    talk.after(Start(task="find_hotel"), Set(slot="food", value="italian"))
    found = talk.read("I don't want italian")
    assert [c.slot for c in found if isinstance(c, Clear)] == ["food"]


def test_a_value_leaves_a_slot_of_many(talk: Talk) -> None:
    """The others stay."""
    talk.after(Start(task="book_flight"), Set(slot="extras", value=["bag", "meal"]))
    found = [c for c in talk.read("without the meal please") if isinstance(c, Remove)]
    assert [(c.slot, c.value) for c in found] in ([("extras", ["meal"])], [("extras", "meal")])

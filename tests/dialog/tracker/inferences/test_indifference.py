"""Inference 4: any will do."""

import pytest

from dialog.task.commands import DontCare, Start
from tests.dialog.tracker.conftest import Talk


@pytest.mark.parametrize(
    "text", ["I don't mind", "either", "you choose", "anywhere is fine", "doesn't matter"]
)
def test_any_answers_the_question_of_a_search(talk: Talk, text: str) -> None:
    """The slot in question is the one meant."""
    found = talk.after(Start(task="find_hotel")).read(text)
    assert [(c.slot, c.task) for c in found if isinstance(c, DontCare)] == [("area", "find_hotel")]


def test_a_slot_that_is_named_is_meant_and_not_the_one_asked_for(talk: Talk) -> None:
    """ "Any food", asked for the area."""
    found = talk.after(Start(task="find_hotel")).read("I don't care about the food")
    assert [c.slot for c in found if isinstance(c, DontCare)] == ["food"]


def test_any_others_is_no_indifference(talk: Talk) -> None:
    """It asks for more."""
    found = talk.after(Start(task="find_hotel")).read("are there any others")
    assert not any(isinstance(c, DontCare) for c in found)

"""Inference 3: more is answered than was asked."""

from dialog.task.commands import Set, Start
from tests.dialog.tracker.conftest import Talk


def test_one_answer_fills_all_the_slots_that_it_names(talk: Talk) -> None:
    """Asked for the area, told the area, the day and how long."""
    talk.after(Start(task="find_hotel"))
    found = talk.read("near the port, from Friday, for 3 nights and 2 people")
    values = {c.slot: c.value for c in found if isinstance(c, Set)}
    assert values == {"area": "harbour", "check_in": "2025-03-07", "nights": 3, "people": 2}


def test_the_first_turn_may_fill_slots_of_the_task_that_it_starts(talk: Talk) -> None:
    """A task and its values in one sentence."""
    found = talk.read("I need a room in the centre for 2 people")
    assert found[0] == Start(task="find_hotel", p=found[0].p)
    assert {c.slot: c.value for c in found if isinstance(c, Set)} == {
        "area": "centre",
        "people": 2,
    }

"""Inference 5: pointing back to another slot or task."""

from dialog.task.commands import Set, Start, ValueSource
from tests.dialog.tracker.conftest import Talk


def test_the_same_day_as_the_other_task_is_copied(talk: Talk) -> None:
    """ "The same day as the flight", asked for the day of arrival."""
    talk.after(Start(task="book_flight"), Set(slot="day", value="2025-03-09"))
    talk.after(Start(task="find_hotel"), Set(slot="area", value="centre"))
    found = talk.read("the same day as the flight")
    copies = [c for c in found if isinstance(c, Set)]
    assert [(c.slot, c.value, c.source) for c in copies] == [
        ("check_in", "2025-03-09", ValueSource.COPY)
    ]


def test_without_a_source_nothing_is_copied(talk: Talk) -> None:
    """There is no other day."""
    talk.after(Start(task="find_hotel"), Set(slot="area", value="centre"))
    assert not any(isinstance(c, Set) for c in talk.read("the same day as always"))

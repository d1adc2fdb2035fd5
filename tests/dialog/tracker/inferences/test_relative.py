"""Inference 7: relative to the value that a slot has."""

import pytest

from dialog.task.commands import Change, Set, Start
from tests.dialog.tracker.conftest import Talk


@pytest.mark.parametrize(
    ("text", "slot", "value"),
    [("an hour later", "time", "10:00"), ("a day earlier please", "day", "2025-03-05")],
)
def test_later_and_earlier_change_the_value(talk: Talk, text: str, slot: str, value: str) -> None:
    """Of the slot whose type reads such words."""
    talk.after(
        Start(task="book_flight"),
        Set(slot="day", value="2025-03-06"),
        Set(slot="time", value="09:00"),
    )
    found = [c for c in talk.read(text) if isinstance(c, Change)]
    assert [(c.slot, c.value) for c in found] == [(slot, value)]


def test_nothing_is_later_than_no_value(talk: Talk) -> None:
    """Without a time there is nothing to change."""
    assert not any(
        isinstance(c, Change) for c in talk.after(Start(task="book_flight")).read("an hour later")
    )

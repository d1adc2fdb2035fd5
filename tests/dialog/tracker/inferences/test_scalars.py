"""Inference 10: vague scalars sort or relax what is offered."""

import pytest

from dialog.task.commands import More, Set, Start
from tests.dialog.tracker.conftest import Talk


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("a bit cheaper please", "cheaper"),
        ("something closer?", "closer"),
        ("a larger one", "bigger"),
    ],
)
def test_a_direction_asks_for_other_offers(talk: Talk, text: str, direction: str) -> None:
    """Where something is offered."""
    talk.after(
        Start(task="find_hotel"),
        Set(slot="area", value="harbour"),
        Set(slot="check_in", value="2025-03-07"),
        Set(slot="nights", value=2),
        Set(slot="people", value=2),
    )
    assert [c.direction for c in talk.read(text) if isinstance(c, More)] == [direction]


def test_without_an_offer_there_is_nothing_to_sort(talk: Talk) -> None:
    """The words mean nothing yet."""
    assert not any(isinstance(c, More) for c in talk.read("a bit cheaper please"))

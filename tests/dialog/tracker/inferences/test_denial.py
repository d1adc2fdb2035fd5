"""Inference 2: deny and inform in one."""

from dialog.task.commands import Affirm, Change, Deny, Set, Start
from tests.dialog.tracker.conftest import Talk

_FLIGHT = (
    Start(task="book_flight"),
    Set(slot="origin", value="Bern"),
    Set(slot="day", value="2025-03-06"),
    Set(slot="time", value="09:00"),
    Set(slot="window", value=True),
    Set(slot="traveller", value="Ana Lind"),
)


def test_no_with_a_value_denies_the_check_and_changes_the_slot(talk: Talk) -> None:
    """ "No, Friday" to "Thursday, right?"."""
    found = talk.after(*_FLIGHT).read("no, Friday")
    assert [type(c) for c in found] == [Deny, Change]
    change = found[1]
    assert isinstance(change, Change)
    assert (change.slot, change.value) == ("day", "2025-03-07")


def test_yes_with_another_value_affirms_nothing(talk: Talk) -> None:
    """What was asked about is no longer what is wanted."""
    found = talk.after(*_FLIGHT).read("yes, but make it Saturday")
    assert not any(isinstance(c, Affirm) for c in found)
    assert [c.value for c in found if isinstance(c, Change)] == ["2025-03-08"]


def test_a_bare_no_denies_and_a_bare_yes_affirms(talk: Talk) -> None:
    """The closed question is answered."""
    assert [type(c) for c in talk.after(*_FLIGHT).read("yes, that's right")] == [Affirm]

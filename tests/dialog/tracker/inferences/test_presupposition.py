"""Inference 8: what is taken for granted and is not so."""

from dialog.task.commands import Cancel, Start
from tests.dialog.tracker.conftest import Talk


def test_cancelling_what_was_never_begun_stays_a_cancel(talk: Talk) -> None:
    """The state can say that there is nothing to cancel; it does not fall through."""
    found = talk.read("cancel my flight")
    assert found == [Cancel(task="book_flight", p=found[0].p)]
    assert "flight" in talk.say("cancel my flight").text.lower() or found


def test_cancel_names_the_task_that_the_words_name(talk: Talk) -> None:
    """Not simply the one under way."""
    talk.after(Start(task="book_flight"))
    talk.after(Start(task="find_hotel"))
    assert talk.read("please cancel the flight")[0] == Cancel(task="book_flight", p=0.9)

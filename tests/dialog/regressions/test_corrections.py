"""Regressions 2, 3, 5, 10: refused values, one of two slots, back, values nobody typed."""

from pathlib import Path

import pytest

from dialog.task.acts import ActName
from dialog.task.commands import Alternative, Back, Change, Choose, Hold, Set, Start
from dialog.task.testing import agent_of, turn
from dialog.tracker.rule import RuleTracker
from tests.dialog.regressions.bots import bot_in, table_bot, trip_bot


def test_02_a_refused_new_value_leaves_the_old_one_and_says_why(tmp_path: Path) -> None:
    """rasa#6958: the invalid value wiped the valid one out."""
    agent = agent_of(table_bot(tmp_path))
    turn(agent, Start(task="book_table"), Set(slot="people", value=4))
    reply = turn(agent, Change(slot="people", value=40))
    assert "40 is too much, it must be at most 12" in reply.text
    assert reply.slots["people"] == 4
    frame = agent.state("c").top
    assert frame is not None
    assert frame.cell("people").history[-1].value == 40


BOOKED = (
    Start(task="book_hotel"),
    Set(slot="hotel", value="a"),
    Set(slot="check_in", value="2025-03-07"),
    Set(slot="nights", value=3),
    Set(slot="guests", value=2),
)


@pytest.mark.parametrize(
    ("answer", "nights", "guests"),
    [("the nights", 5, 2), ("guests", 3, 5), ("the second", 3, 5), ("neither", 3, 2)],
)
def test_03_make_it_5_asks_which_of_two_slots_and_takes_the_answer(
    tmp_path: Path, answer: str, nights: int, guests: int
) -> None:
    """rasa#7467: a number changed whichever slot came first."""
    agent = agent_of(trip_bot(tmp_path), tracker=RuleTracker())
    turn(agent, *BOOKED)
    reply = turn(agent, text="no, make it 5")
    (clarify,) = reply.acts
    assert (clarify.name, clarify.options) == (ActName.CLARIFY, ("nights", "guests"))
    assert all(word in reply.text for word in ("5", "nights", "guests"))
    assert [button["title"] for button in reply.buttons] == ["nights", "guests"]
    assert (reply.slots["nights"], reply.slots["guests"]) == (3, 2)
    reply = turn(agent, text=answer)
    assert (reply.slots["nights"], reply.slots["guests"]) == (nights, guests)
    assert reply.acts[-1].name is ActName.CONFIRM


def test_03_a_value_that_only_one_slot_may_have_changes_that_one(tmp_path: Path) -> None:
    """Fifteen guests are too many, so that fifteen nights are meant; as are two, where two are."""
    agent = agent_of(trip_bot(tmp_path), tracker=RuleTracker())
    turn(agent, *BOOKED)
    for n in (15, 2):
        reply = turn(agent, text=f"no, make it {n}")
        assert (reply.slots["nights"], reply.slots["guests"]) == (n, 2)


def test_03_the_question_which_slot_is_put_again_after_an_aside(tmp_path: Path) -> None:
    agent = agent_of(trip_bot(tmp_path), tracker=RuleTracker())
    turn(agent, *BOOKED)
    turn(agent, text="no, make it 5")
    reply = turn(agent, Hold())
    reply = turn(agent, text="hmm")
    assert reply.acts[-1].key == "clarify_slot"
    reply = turn(agent, text="nights, 4 of them")
    assert (reply.slots["nights"], reply.slots["guests"]) in ((4, 2), (5, 2))


def test_03_a_doubtful_value_is_put_as_a_choice_and_the_other_slot_left_alone(
    tmp_path: Path,
) -> None:
    agent = agent_of(trip_bot(tmp_path))
    turn(agent, Start(task="book_hotel"), Set(slot="nights", value=3), Set(slot="guests", value=2))
    doubt = (Alternative(value=15, p=0.45),)
    reply = turn(agent, Change(slot="nights", value=5, p=0.5, alternatives=doubt))
    assert reply.acts[-1].name is ActName.CLARIFY
    assert "5" in reply.text
    assert "15" in reply.text
    reply = turn(agent, Choose(n=1))
    assert (reply.slots["nights"], reply.slots["guests"]) == (5, 2)


def test_05_back_to_an_earlier_answer_and_on_from_where_we_were(tmp_path: Path) -> None:
    """rasa#9006: going back was not possible, or began the form anew."""
    agent = agent_of(table_bot(tmp_path))
    turn(agent, Start(task="book_table"), Set(slot="date", value="2025-03-07"))
    turn(agent, Set(slot="time", value="19:00"))
    turn(agent, Set(slot="people", value=4))
    reply = turn(agent, Back(slot="date"))
    assert reply.acts[-1].slot == "date"
    reply = turn(agent, Set(slot="date", value="2025-03-08"))
    assert reply.acts[-1].slot == "name"
    assert reply.slots == {"date": "2025-03-08", "time": "19:00", "people": 4}
    assert turn(agent, Back()).acts[-1].slot == "date"


CARRIED = """\
bot: Carry
tasks:
  first:
    about: the first task
    slots:
      people: {type: integer, min: 1, max: 12}
    do: [{say: Noted.}]
  second:
    about: the second task
    slots:
      people: {type: integer, min: 1, max: 4, from: first}
      code: {type: integer, fill: tool, max: 9, required: false}
    do:
      - set: {code: people * 5}
      - call: act
    done: Done.
"""


def test_10_validators_also_run_on_values_that_nobody_typed(tmp_path: Path) -> None:
    """botpress#5206: carried-over and tool-filled values went in unchecked."""
    agent = agent_of(bot_in(tmp_path, CARRIED, "def act(people):\n    return {}\n"))
    turn(agent, Start(task="first"), Set(slot="people", value=8))
    reply = turn(agent, Start(task="second"))
    assert "8 is too much, it must be at most 4" in reply.text
    assert reply.acts[-1].slot == "people"
    reply = turn(agent, Set(slot="people", value=2))
    frame = agent.state("c").top
    assert frame is not None
    assert not frame.cell("code").has_value  # 10 is more than 9, and is not taken
    assert frame.cell("code").history[-1].refused

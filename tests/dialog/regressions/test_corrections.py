"""Regressions 2, 3, 5, 10: refused values, one of two slots, back, values nobody typed."""

from pathlib import Path

from dialog.task.acts import ActName
from dialog.task.commands import Alternative, Back, Change, Choose, Set, Start
from dialog.task.testing import agent_of, turn
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


def test_03_of_two_slots_of_a_type_the_bot_asks_which_value_was_meant(tmp_path: Path) -> None:
    """rasa#7467: a number changed whichever slot came first. Which slot is the tracker's to say:
    here, that a doubtful value is put as a choice and the other slot is left alone."""
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

"""Regressions 1, 4, 11, 15: interruptions, empty answers, sub-tasks, confirm questions."""

from pathlib import Path

from dialog.task.acts import ActName
from dialog.task.agent import AgentParts
from dialog.task.commands import Affirm, Knowledge, Set, Start, Unclear, Why
from dialog.task.event_log import MemoryTaskLog
from dialog.task.events import ToolStarted
from dialog.task.state import FrameStatus, PairKind
from dialog.task.testing import NOW, agent_of, turn
from tests.dialog.regressions.bots import TABLE, TABLE_TOOLS, bot_in, table_bot
from tests.dialog.task.knowing import FixedKnowledge


def test_01_after_an_interruption_no_filled_slot_is_asked_again(tmp_path: Path) -> None:
    """rasa#7751, rasa-sdk#389: the next question is the one that was open."""
    agent = agent_of(table_bot(tmp_path))
    turn(agent, Start(task="book_table"))
    turn(agent, Set(slot="date", value="2025-03-07"))
    before = agent.state("c").open_pair
    assert before is not None
    assert before.slot == "time"
    turn(agent, Start(task="opening_hours"))
    reply = turn(agent, Set(slot="weekday", value="weekend"))
    assert "We are open" in reply.text
    assert reply.acts[-1].slot == "time"
    assert agent.state("c").counters.re_asks == 0


def test_04_an_answer_without_a_value_is_repaired_and_the_task_stays(tmp_path: Path) -> None:
    """rasa#9520: nothing could be extracted, and the form was left in silence."""
    agent = agent_of(table_bot(tmp_path))
    turn(agent, Start(task="book_table"))
    reply = turn(agent, Unclear())
    assert [act.name for act in reply.acts] == [ActName.REPAIR, ActName.REQUEST]
    top = agent.state("c").top
    assert top is not None
    assert (top.task, top.status) == ("book_table", FrameStatus.ACTIVE)


SUB = """\
bot: Bank
tasks:
  transfer:
    about: transfer money
    slots:
      amount: {type: integer, min: 1}
      payee: text
    do:
      - start: identify
      - call: pay
    done: "Paid {amount}."
  identify:
    about: check who you are
    slots:
      pin: {type: integer}
      town: text
    do: [{say: Thank you.}]
"""


def test_11_a_sub_task_keeps_the_floor_and_slots_survive_the_switch(tmp_path: Path) -> None:
    """openai-agents-python#1815, #741, #1078: the switch lost the floor, or what was given."""
    agent = agent_of(bot_in(tmp_path, SUB, "def pay(amount, payee):\n    return {}\n"))
    turn(agent, Start(task="transfer"), Set(slot="amount", value=50))
    reply = turn(agent, Set(slot="payee", value="Bo"))
    assert reply.acts[-1].slot == "pin"
    reply = turn(agent, Set(slot="pin", value=1234))
    assert (agent.state("c").top or 0).task == "identify"  # type: ignore[union-attr]
    assert reply.acts[-1].slot == "town"
    reply = turn(agent, Set(slot="town", value="Bern"))
    assert reply.acts[-1].name is ActName.CONFIRM
    assert reply.slots == {"amount": 50, "payee": "Bo"}
    assert "Paid 50" in turn(agent, Affirm()).text


def test_15_a_confirm_question_that_is_interrupted_is_put_again_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    """bot-docs#1952: the interruption counted as an answer."""
    text = TABLE + "knowledge:\n  faq: {from: '*.md'}\n"
    bot = bot_in(tmp_path, text, TABLE_TOOLS, {"faq.md": "Dogs are welcome."})
    log = MemoryTaskLog()
    knows = FixedKnowledge({"dogs": "Dogs are welcome."})
    agent = agent_of(bot, log=log, parts=AgentParts(knowledge=knows, clock=lambda: NOW))
    turn(
        agent,
        Start(task="book_table"),
        Set(slot="date", value="2025-03-07"),
        Set(slot="time", value="19:00"),
        Set(slot="people", value=4),
        Set(slot="name", value="Ana"),
    )
    reply = turn(agent, Knowledge(query="are dogs allowed"))
    assert reply.text.startswith("Dogs are welcome.")
    assert [act.name for act in reply.acts] == [ActName.INFORM, ActName.CONFIRM]
    reply = turn(agent, Why())
    assert reply.acts[-1].name is ActName.CONFIRM
    pair = agent.state("c").open_pair
    assert pair is not None
    assert pair.kind is PairKind.CHECK
    assert not any(isinstance(event, ToolStarted) for event in log.read("c")[1])
    assert "Code A1" in turn(agent, Affirm()).text

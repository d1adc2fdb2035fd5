"""Replay says the same again; an edited turn forks; a card names the line that decided."""

import json
from pathlib import Path

import pytest

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.builder.card_text import card_text
from dialog.builder.decision_card import card_of, cards_of
from dialog.builder.replay import Edit, Fit, Replayer, check_replay
from dialog.errors import ReplayError
from dialog.task.commands import Affirm, Alternative, Set, Span, Start, Unclear
from dialog.task.event_log import MemoryTaskLog
from dialog.task.events import TaskEvent
from dialog.task.testing import ScriptedTracker, agent_of, turn

BOT = """\
bot: Corner Table
tasks:
  book_table:
    about: book a table
    slots:
      date: date
      people: {type: integer, min: 1, max: 12}
    call: reserve
    done: "Code {result.code} for {people}."
"""


@pytest.fixture
def bot(tmp_path: Path) -> BotDefinition:
    (tmp_path / "bot.yaml").write_text(BOT, encoding="utf-8")
    (tmp_path / "tools.py").write_text("def reserve(date, people):\n    return {'code': 'A1'}\n")
    return load_bot(tmp_path)


@pytest.fixture
def log(bot: BotDefinition) -> list[TaskEvent]:
    store = MemoryTaskLog()
    four = Set(slot="people", value=4, span=Span(start=4, end=8), p=0.9)
    tracker = ScriptedTracker({"a table": (Start(task="book_table"),), "for four": (four,)})
    agent = agent_of(bot, log=store, tracker=tracker)
    agent.greet("c")
    for text in ("a table", "for four"):
        turn(agent, text=text)
    turn(agent, Set(slot="date", value="2025-03-07"))
    turn(agent, Affirm())
    return list(store.read("c")[1])


def test_an_unchanged_bot_says_every_sentence_again(
    bot: BotDefinition, log: list[TaskEvent]
) -> None:
    found = check_replay(bot, log)
    assert len(found.turns) == 5
    assert found.changed == []
    assert list(found.events) == log


def test_a_changed_text_shows_in_its_turn_and_nowhere_else(
    bot: BotDefinition, log: list[TaskEvent]
) -> None:
    path = Path(bot.folder) / "bot.yaml"
    path.write_text(BOT.replace("Code {", "Your code: {"), encoding="utf-8")
    found = Replayer(load_bot(path)).replay(log)
    assert [turn.number for turn in found.changed] == [5]
    assert found.changed[0].now.startswith("Your code: A1 for 4.")
    with pytest.raises(ReplayError, match="turn 5 said"):
        check_replay(load_bot(path), log)


def test_a_full_replay_reads_the_words_again(bot: BotDefinition, log: list[TaskEvent]) -> None:
    deaf = ScriptedTracker({"a table": (Start(task="book_table"),)})
    found = Replayer(bot, tracker=deaf).replay(log)
    assert found.changed[0].number == 3
    assert found.changed[0].commands_now == (Unclear(),)


def test_an_edited_turn_forks_and_calls_no_tool(bot: BotDefinition, log: list[TaskEvent]) -> None:
    before = list(log)
    edit = Edit(turn=3, commands=(Set(slot="people", value=5),))
    found = Replayer(bot).replay(log, edit)
    assert "for 4" not in found.turns[-1].now
    assert found.turns[-1].now.startswith("Sorry")  # that call was never made
    assert all(turn.fit is Fit.FITS for turn in found.turns)
    assert log == before


def test_a_later_turn_that_answers_nothing_any_more_is_flagged(
    bot: BotDefinition, log: list[TaskEvent]
) -> None:
    found = Replayer(bot).replay(log, Edit(turn=4, commands=(Unclear(),)))
    assert found.turns[4].fit is Fit.LOOSE


def test_what_cannot_be_replayed_is_refused(bot: BotDefinition, log: list[TaskEvent]) -> None:
    with pytest.raises(ReplayError, match="begins with the event 'opened'"):
        Replayer(bot).replay(log[1:])
    with pytest.raises(ReplayError, match="there is no turn 9; the log has 5"):
        Replayer(bot).replay(log, Edit(turn=9, commands=()))
    with pytest.raises(ReplayError, match="a tracker must read them"):
        Replayer(bot).replay(log, Edit(turn=3, text="for five"))


def test_a_card_tells_what_was_understood_changed_and_decided(
    bot: BotDefinition, log: list[TaskEvent]
) -> None:
    card = card_of(bot, log, 2)  # the greeting is no turn of the user
    assert card.heard == "for four"
    (command,) = card.understood
    assert (command.text, command.p, command.span) == ("set(people, 4)", 0.9, (4, 8))
    assert command.confirmation == "accept"
    assert set(command.costs) >= {"accept", "implicit", "explicit", "ask_again"}
    (change,) = card.changes
    assert (change.slot, change.before, change.after) == ("people", None, 4)
    assert change.source.endswith("bot.yaml:7:7")
    assert card.rule == "next_slot"
    assert any("bot.yaml:6" in line for line in card.lines)


def test_a_card_holds_the_call_with_the_provenance_of_its_arguments(
    bot: BotDefinition, log: list[TaskEvent]
) -> None:
    card = cards_of(bot, log)[-1]
    (call,) = card.calls
    assert call.tool == "reserve"
    assert call.provenance == {"date": "explicit_yes", "people": "explicit_yes"}
    assert call.result == {"code": "A1"}
    assert json.loads(json.dumps(card.to_json()))["said"] == card.said
    assert "called      reserve" in card_text(card)


def test_a_value_that_is_only_agreed_to_is_not_told_as_changed(
    bot: BotDefinition, log: list[TaskEvent]
) -> None:
    lines = card_text(cards_of(bot, log)[-1]).splitlines()
    assert any(line.startswith("  agreed      book_table.people is 4 (grounded") for line in lines)
    assert not any(line.startswith("  changed") for line in lines)
    assert any(
        line.startswith("  act         NOTIFY_SUCCESS task:book_table:done") for line in lines
    )


def test_a_doubtful_value_shows_its_runner_up_and_the_costs(bot: BotDefinition) -> None:
    store = MemoryTaskLog()
    agent = agent_of(bot, log=store)
    turn(agent, Start(task="book_table"))
    seven = (Alternative(value="2025-03-14", p=0.4),)
    reply = turn(agent, Set(slot="date", value="2025-03-07", p=0.5, alternatives=seven))
    card = cards_of(bot, store.read("c")[1])[-1]
    assert card.understood[0].runners_up == (("2025-03-14", 0.4),)
    assert card.understood[0].confirmation == "choice"
    assert [act.name.value for act in reply.acts] == ["CLARIFY"]

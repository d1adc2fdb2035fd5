"""Simulated users: deterministic, honest about failures, shrunk to tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.builder.story import story_of
from dialog.simulation.connection import AgentConnector, AgentConversation
from dialog.simulation.failure_story import failure_story
from dialog.simulation.goal import Impossibility, Persona
from dialog.simulation.judgement import Failure
from dialog.simulation.report import Trial
from dialog.simulation.shrinking import Shrinker, minimised
from dialog.simulation.simulator import Simulator
from dialog.simulation.specification import SimulationSpec
from dialog.task.commands import Command, SlotEdit
from dialog.task.events import CommandsParsed, UserUttered
from dialog.task.messages import Reply, UserMessage
from dialog.tracker.rule import RuleTracker

BOT = """\
bot: Corner Table
tasks:
  book_table:
    about: book a table
    slots:
      date: {type: date, after: today}
      people: {type: integer, min: 1, max: 12}
      name: person
    confirm: explicit
    check: [{call: is_free(people), else: {say: "We have no such table.", reask: people}}]
    call: reserve
    done: "Booked for {people}. Your code is {result.code}."
"""
TOOLS = """\
from tools.base import tool

@tool(effect="read")
def is_free(people: int) -> bool:
    return people < 9

@tool(effect="write")
def reserve(date: str, people: int, name: str) -> dict[str, str]:
    return {"code": "A1"}
"""
pytestmark = pytest.mark.slow  # each test runs some conversations
CONNECT = AgentConnector(tracker=RuleTracker())


@pytest.fixture
def bot(tmp_path: Path) -> BotDefinition:
    (tmp_path / "bot.yaml").write_text(BOT)
    (tmp_path / "tools.py").write_text(TOOLS)
    return load_bot(tmp_path)


def simulator(
    bot: BotDefinition,
    persona: Persona = Persona.COOPERATIVE,
    connect: Callable[[BotDefinition], AgentConversation] = CONNECT,
) -> Simulator:
    spec = SimulationSpec(users={persona: 1}, dialogues=3, trials=2)
    return Simulator(bot=bot, spec=spec, connect=connect)


def test_the_same_seed_gives_the_same_conversations(bot: BotDefinition) -> None:
    first, second = simulator(bot).run("text"), simulator(bot).run("text")
    assert [t.record.events for t in first.trials] == [t.record.events for t in second.trials]
    assert first.success == 1


@pytest.mark.parametrize(
    "persona", [Persona.CORRECTS, Persona.OVERANSWERS, Persona.IMPATIENT, Persona.TERSE]
)
def test_each_persona_reaches_its_own_end(bot: BotDefinition, persona: Persona) -> None:
    report = simulator(bot, persona).run("text")
    assert report.failures == {}, [t.verdict for t in report.failed()]
    assert report.simulator_errors == ()


def commands_of(trial: Trial) -> list[Command]:
    parsed = [e for e in trial.record.events if isinstance(e, CommandsParsed)]
    return [command for event in parsed for command in event.commands]


def test_who_refuses_is_told_why_and_answers_then(bot: BotDefinition) -> None:
    report = simulator(bot, Persona.REFUSES).run("text")
    assert report.failures == {}, [t.verdict for t in report.failed()]
    for trial in report.trials:
        assert [c.head for c in commands_of(trial)].count("skip") >= len(trial.goal.refuses) == 1


def test_who_is_indecisive_changes_its_mind_when_it_is_to_agree(bot: BotDefinition) -> None:
    report = simulator(bot, Persona.INDECISIVE).run("text")
    assert report.failures == {}, [t.verdict for t in report.failed()]
    for trial in report.trials:
        (late,) = trial.goal.corrections
        assert late.is_late
        edits = [c for c in commands_of(trial) if isinstance(c, SlotEdit) and c.slot == late.slot]
        assert edits[0].value == late.decoy
        assert edits[-1].value == trial.goal.tasks[0].values[late.slot]


def test_who_switches_asks_for_the_other_language_in_the_first(bot: BotDefinition) -> None:
    path = Path(bot.folder) / "bot.yaml"
    path.write_text(BOT.replace("tasks:\n", "locales: {default: en, also: [de]}\ntasks:\n", 1))
    report = simulator(load_bot(path), Persona.SWITCHES).run("text")
    assert report.failures == {}, [t.verdict for t in report.failed()]
    for trial in report.trials:
        texts = [e.text for e in trial.record.events if isinstance(e, UserUttered)]
        assert "auf Deutsch bitte" in texts
        assert trial.record.state.locale == "de"


def test_who_lacks_what_a_task_needs_is_told_so(tmp_path: Path) -> None:
    folder = tmp_path / "members"
    folder.mkdir()
    text = BOT.replace("tasks:\n", "user: {member: bool}\ntasks:\n", 1)
    needs = text.replace("    slots:\n", "    needs: member\n    slots:\n", 1)
    (folder / "bot.yaml").write_text(needs)
    (folder / "tools.py").write_text(TOOLS)
    spec = SimulationSpec(users={Persona.IMPOSSIBLE: 1}, dialogues=8, trials=1)
    report = Simulator(bot=load_bot(folder), spec=spec, connect=CONNECT).run("text")
    assert Impossibility.NEEDS in {t.goal.tasks[0].impossible for t in report.trials}
    assert report.failures == {}, [t.verdict for t in report.failed()]


def test_who_wants_the_impossible_is_told_so_and_nothing_is_written(bot: BotDefinition) -> None:
    report = simulator(bot, Persona.IMPOSSIBLE).run("text")
    assert {t.goal.tasks[0].impossible for t in report.trials} == {Impossibility.CHECK}
    assert report.failures == {}


class Faulty(AgentConversation):
    """A bot with a fault: it breaks down when it hears of people."""

    def say(self, message: UserMessage) -> Reply:
        reply = super().say(message)
        if "people" in reply.slots:
            raise RuntimeError("people are too much for me")
        return reply


def faulty(bot: BotDefinition) -> AgentConversation:
    return Faulty(bot, RuleTracker(), None)


def test_a_fault_is_found_and_shrunk_to_a_test_that_can_be_run(bot: BotDefinition) -> None:
    broken = simulator(bot, Persona.OVERANSWERS, faulty)
    report = broken.run("text")
    assert report.failures == {"error": 6}
    assert len(report.simulator_errors) == 3  # no user reaches its goal with such a bot
    shrunk = Shrinker(simulator=broken, level="text").shrink(report.trials[0])
    assert shrunk.verdict.failure is Failure.ERROR
    assert len(shrunk.messages) <= 2
    text = failure_story(shrunk, name="scenario 0")
    assert text.startswith("# RuntimeError: people are too much for me")
    (written,) = yaml.safe_load(text)["tests"]
    assert len(story_of(written).steps) == len(shrunk.messages)


@given(st.lists(st.integers(0, 9), max_size=12), st.sets(st.integers(0, 9), max_size=3))
def test_no_single_item_can_be_left_out_of_what_is_minimised(
    items: list[int], needed: set[int]
) -> None:
    messages = [UserMessage(id=str(i), text=str(item)) for i, item in enumerate(items)]

    def fails(some: object) -> bool:
        assert isinstance(some, list | tuple)
        return needed <= {int(message.text) for message in some}

    if messages and fails(messages):
        kept = minimised(messages, fails)
        assert fails(kept)
        assert len(kept) == max(1, len(needed))

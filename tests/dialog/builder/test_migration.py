"""An open conversation goes on with another version of its bot."""

from pathlib import Path

import pytest

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.builder.migration import migrate
from dialog.errors import ReplayError
from dialog.task.agent import AgentParts, TaskAgent
from dialog.task.commands import Affirm, Set, Start
from dialog.task.event_log import MemoryTaskLog
from dialog.task.memory_audit import MemoryAudit
from dialog.task.redaction import Vault
from dialog.task.testing import NOW, ScriptedTracker, agent_of, turn
from dialog.task.tool_runner import ToolRunner

OLD = """\
bot: Corner Table
tasks:
  book_table:
    about: book a table
    slots:
      date: date
      people: {type: integer, min: 1, max: 12}
      colour: {type: choice, values: [red, blue]}
    check: [{call: 'free(date, people)'}]
    call: reserve
    done: "Code {result.code}."
"""
NEW = OLD.replace(
    "      colour: {type: choice, values: [red, blue]}\n", "      name: person\n"
).replace("    check: [{call: 'free(date, people)'}]\n", "")


def version(folder: Path, text: str, arguments: str) -> BotDefinition:
    folder.mkdir()
    (folder / "bot.yaml").write_text(text, encoding="utf-8")
    (folder / "tools.py").write_text(
        "from tools.base import tool\n\n"
        '@tool(effect="read")\ndef free(date, people) -> bool:\n    return True\n\n'
        f"def reserve({arguments}):\n    return {{'code': 'A1'}}\n",
        encoding="utf-8",
    )
    return load_bot(folder)


def test_values_of_slots_that_are_still_there_are_kept(tmp_path: Path) -> None:
    old = version(tmp_path / "old", OLD, "date, people, colour")
    new = version(tmp_path / "new", NEW, "date, people, name")
    log = MemoryTaskLog()
    agent = agent_of(old, log=log)
    turn(agent, Start(task="book_table"), Set(slot="date", value="2025-03-07"))
    turn(agent, Set(slot="people", value=4), Set(slot="colour", value="red"))
    state = migrate(log, "c", new)
    assert state.top is not None
    assert set(state.top.slots) == {"date", "people"}
    assert log.read("c")[0].bot_hash == new.hash
    vault = Vault()
    runner = ToolRunner(new, MemoryAudit(), vault)
    parts = AgentParts(clock=lambda: NOW)
    moved = TaskAgent(new, ScriptedTracker(), log, runner, vault=vault, parts=parts)
    reply = turn(moved, Set(slot="name", value="Ana"))
    assert reply.acts[-1].name.value == "CONFIRM"
    assert "Code A1" in turn(moved, Affirm()).text


def test_what_cannot_be_moved_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    old = version(tmp_path / "old", OLD, "date, people, colour")
    other = version(tmp_path / "other", OLD.replace("Corner", "Other"), "date, people, colour")
    log = MemoryTaskLog()
    turn(agent_of(old, log=log), Start(task="book_table"))
    before = list(log.read("c")[1])
    with pytest.raises(ReplayError, match="is with 'Corner Table', not with 'Other Table'"):
        migrate(log, "c", other)
    with pytest.raises(ReplayError, match="with this version already"):
        migrate(log, "c", old)
    assert list(log.read("c")[1]) == before

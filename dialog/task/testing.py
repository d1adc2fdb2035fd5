"""Doubles of the turn: a tracker that says what it is told, and an agent in memory.

agent = agent_of(bot)
turn(agent, Start(task="book_table"), Set(slot="people", value=4)).text
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

from dialog.bot.definition import BotDefinition
from dialog.task.agent import AgentParts, TaskAgent
from dialog.task.commands import Command, Unclear
from dialog.task.event_log import MemoryTaskLog, TaskEventLog
from dialog.task.events import Opened
from dialog.task.memory_audit import MemoryAudit
from dialog.task.messages import Reply, UserMessage
from dialog.task.redaction import Vault
from dialog.task.state import DialogState
from dialog.task.tool_runner import ToolRunner
from dialog.task.understanding import Tracker, Understanding
from tools.audit import AuditSink
from tools.call_counts import CallCounts

NOW = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)
"""A Monday; the moment of every test turn unless it says otherwise."""

_ids = count(1)


class ScriptedTracker:
    """Reads the texts that it was told the meaning of, and nothing else."""

    name = "scripted"

    def __init__(self, meanings: Mapping[str, tuple[Command, ...]] | None = None) -> None:
        self.meanings = dict(meanings or {})
        self.heard: list[str] = []

    def read(self, bot: BotDefinition, state: DialogState, message: str) -> Understanding:
        """Return the commands of a text, `unclear` for one that nobody explained."""
        del bot, state
        self.heard.append(message)
        return Understanding(commands=self.meanings.get(message, (Unclear(),)), tracker=self.name)


def agent_of(  # noqa: PLR0913 - all by name, all with defaults
    bot: BotDefinition,
    *,
    stubs: Mapping[str, Callable[..., object]] | None = None,
    log: TaskEventLog | None = None,
    audit: AuditSink | None = None,
    tracker: Tracker | None = None,
    parts: AgentParts | None = None,
    user: Mapping[str, object] | None = None,
    timezone: str = "UTC",
    counts: CallCounts | None = None,
) -> TaskAgent:
    """Return an agent whose conversation "c" is open since `NOW`."""
    vault = Vault()
    runner = ToolRunner(bot, audit or MemoryAudit(), vault, stubs=stubs, counts=counts)
    agent = TaskAgent(
        bot,
        tracker or ScriptedTracker(),
        log or MemoryTaskLog(),
        runner,
        vault=vault,
        parts=parts or AgentParts(clock=lambda: NOW),
    )
    begin = Opened(
        locale=bot.locales.default, timezone=timezone, now=NOW.isoformat(), user=dict(user or {})
    )
    agent.open("c", opened=begin)
    return agent


def turn(agent: TaskAgent, *commands: Command, text: str = "", now: str = "") -> Reply:
    """Send commands (or, without them, a text for the tracker) to the conversation "c"."""
    message = UserMessage(id=f"m{next(_ids)}", text=text, now=now or NOW.isoformat())
    return agent.respond("c", replace(message, commands=commands) if commands else message)

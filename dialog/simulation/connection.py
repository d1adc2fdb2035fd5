"""Simulated conversations with the real agent, its tools and its tracker; the log in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dialog.bot.definition import BotDefinition
from dialog.simulation.goal import Goal
from dialog.task.agent import AgentParts, TaskAgent
from dialog.task.event_log import MemoryTaskLog
from dialog.task.events import Opened, TaskEvent
from dialog.task.knowledge import KnowledgeBase
from dialog.task.memory_audit import MemoryAudit
from dialog.task.messages import Reply, UserMessage
from dialog.task.redaction import Vault
from dialog.task.state import DialogState
from dialog.task.tool_runner import ToolRunner
from dialog.task.understanding import Tracker

_ID = "simulated"


class AgentConversation:
    """One conversation; nothing of it outlives it."""

    def __init__(
        self, bot: BotDefinition, tracker: Tracker, knowledge: KnowledgeBase | None
    ) -> None:
        vault, self._log = Vault(), MemoryTaskLog()
        self._bot, self._now = bot, datetime.min.replace(tzinfo=UTC)
        parts = AgentParts(knowledge=knowledge, clock=lambda: self._now)
        self._agent = TaskAgent(
            bot,
            tracker,
            self._log,
            ToolRunner(bot, MemoryAudit(), vault),
            vault=vault,
            parts=parts,
        )

    def open(self, goal: Goal) -> Reply | None:
        """Open it for a user of whom the channel knows the goal's facts; return the greeting."""
        self._now = datetime.fromisoformat(goal.now)
        opened = Opened(
            locale=goal.locale, timezone=goal.timezone, now=goal.now, user=dict(goal.facts)
        )
        self._agent.open(_ID, opened=opened)
        return self._agent.greet(_ID) if self._bot.conversation.greet else None

    def say(self, message: UserMessage) -> Reply:
        """Return the reply to a message."""
        return self._agent.respond(_ID, message)

    def log(self) -> tuple[Sequence[TaskEvent], DialogState]:
        """Return what was recorded, and the state that it gives."""
        return self._log.read(_ID)[1], self._agent.state(_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConnector:
    """Makes conversations that share a tracker and the documents, and nothing else."""

    tracker: Tracker
    knowledge: KnowledgeBase | None = field(default=None)

    def __call__(self, bot: BotDefinition) -> AgentConversation:
        """Return a new conversation with a bot."""
        return AgentConversation(bot, self.tracker, self.knowledge)

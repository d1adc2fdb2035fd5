"""A process of its own that answers one message and is killed at a chosen point of the turn.

    python -m tests.dialog.task.killed_turn DATABASE BOT POINT

The tool appends a line to `deeds.txt`, so that a deed done twice is seen.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.task.agent import TaskAgent
from dialog.task.commands import Affirm, Command, Set, Start
from dialog.task.event_log import Written
from dialog.task.events import TaskEvent
from dialog.task.messages import Reply, UserMessage
from dialog.task.redaction import Vault
from dialog.task.sql_log import SQLTaskLog
from dialog.task.testing import NOW, ScriptedTracker
from dialog.task.tool_runner import ToolRunner
from index.database import open_database
from tools.audit import AuditLog

FILLED: tuple[Command, ...] = (Start(task="book"), Set(slot="people", value=4))
MEANINGS = {"a table for four": FILLED, "yes": (Affirm(),)}


class KilledLog(SQLTaskLog):
    """Kills the process before or after the append of an event of a kind."""

    point = ""

    def append(
        self,
        conversation_id: str,
        expected_seq: int,
        *events: TaskEvent,
        written: Written | None = None,
    ) -> int:
        """Append, unless the process ends first."""
        kinds = [event.kind.partition(".")[0] for event in events]
        when, _, kind = self.point.partition(":")
        if when == "before" and kind in kinds:
            os.kill(os.getpid(), signal.SIGKILL)
        seq = super().append(conversation_id, expected_seq, *events, written=written)
        if when == "after" and kind in kinds:
            os.kill(os.getpid(), signal.SIGKILL)
        return seq


def agent_on(database: Path, bot: BotDefinition) -> tuple[TaskAgent, KilledLog]:
    """Return an agent on a database, as a service makes it."""
    engine = open_database(f"sqlite:///{database}")
    log = KilledLog(engine)
    vault = Vault()
    runner = ToolRunner(bot, AuditLog(engine), vault)
    return TaskAgent(bot, ScriptedTracker(MEANINGS), log, runner, vault=vault), log


def say(agent: TaskAgent, message_id: str, text: str) -> Reply:
    """Send one message."""
    return agent.respond("c", UserMessage(id=message_id, text=text, now=NOW.isoformat()))


def main(arguments: Sequence[str]) -> None:
    """Answer "yes" and be killed on the way."""
    database, folder, point = arguments
    agent, log = agent_on(Path(database), load_bot(folder))
    log.point = point
    say(agent, "m2", "yes")


if __name__ == "__main__":
    main(sys.argv[1:])

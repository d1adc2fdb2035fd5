"""The recogniser tracker: normalisers, names, examples of tasks, pragmatic rules. No model.

Milliseconds a turn; the floor that other trackers are measured against, and the net under them.
What it reads is a `Situation`, so that a corpus can be tracked as a bot is.
"""

from dialog.bot.definition import BotDefinition
from dialog.task.commands import MAX_COMMANDS
from dialog.task.state import DialogState
from dialog.task.understanding import Understanding
from dialog.tracker.admissible import situation_of
from dialog.tracker.edits import posteriors
from dialog.tracker.reading import Reading
from dialog.tracker.situation import Situation
from dialog.tracker.task_intents import SentenceVectors, TaskIntents


class RuleTracker:
    """Reads messages by rules; keeps the compiled phrases of the bots that it has met."""

    name = "recogniser"

    def __init__(self, vectors: SentenceVectors | None = None) -> None:
        """Take sentence vectors to compare with the tasks' examples; None compares words alone."""
        self._vectors = vectors
        self._intents: dict[str, TaskIntents] = {}

    def read(self, bot: BotDefinition, state: DialogState, message: str) -> Understanding:
        """Return what the message asks of the state."""
        situation = situation_of(bot, state, message)
        intents = self._intents.get(bot.hash)
        if intents is None:
            intents = TaskIntents(situation.tasks, self._vectors)
            self._intents[bot.hash] = intents
        return self.understand(situation, intents)

    def understand(self, situation: Situation, intents: TaskIntents) -> Understanding:
        """Return the commands and posteriors of one turn."""
        commands = Reading(situation, intents).commands()[:MAX_COMMANDS]
        return Understanding(
            commands=tuple(commands), posteriors=posteriors(commands), tracker=self.name
        )

"""The port to trackers: a user's words, read in a state, become commands.

Stands here and not beside the trackers, since the turn (`dialog.task.agent`) is who asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dialog.bot.definition import BotDefinition
from dialog.task.commands import Alternative, Command
from dialog.task.state import DialogState


@dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    """What a tracker made of a message, as it is recorded.

    `posteriors` give for each slot that was looked at, as "task.slot", all that its value may be
    now, the likeliest first; the probabilities sum to 1. The value None stands for "as it was".
    Spans are in the commands. `tokens_computed` is what the reading cost, 0 without a model.
    """

    commands: tuple[Command, ...] = ()
    posteriors: Mapping[str, tuple[Alternative, ...]] = field(default_factory=dict)
    tracker: str = ""
    grammar: str = ""
    model: str = ""
    tokens_computed: int = 0


class Tracker(Protocol):
    """Reads messages; pure but for the model that it may ask."""

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    def read(self, bot: BotDefinition, state: DialogState, message: str) -> Understanding:
        """Return what the message asks of the state.

        The state is the one before the message, with the message's time and locale.
        """
        ...

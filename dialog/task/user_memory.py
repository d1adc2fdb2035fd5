"""What a bot remembers of a user beyond a conversation: the values of slots with `keep: user`.

Read once, when a conversation is opened, into its first event, so that the fold needs nothing else;
written in the transaction of the reply after which a value is common ground. A memory belongs to
the conversation that it was learned in, and is erased with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from dialog.bot.definition import BotDefinition, Keep, SlotDefinition
from dialog.slot_types.base import TextContext
from dialog.task.commands import JSON
from dialog.task.grounding import is_placeholder
from dialog.task.scope import now_of
from dialog.task.state import Cell, DialogState, Evidence, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Values by slot, and of whom: a user of an owner's, known to one bot."""

    owner: str
    bot: str
    person: str
    values: Mapping[str, JSON]


class UserMemory(Protocol):
    """Gives back what was remembered."""

    def recall(self, owner: str, bot: str, person: str) -> Mapping[str, JSON]:
        """Return the newest value of each slot that a bot knows of a user, {} for a stranger."""
        ...


def kept_slots(bot: BotDefinition) -> Mapping[str, SlotDefinition]:
    """Return the slots of `keep: user` by name; what is sensitive is kept nowhere."""
    return {
        name: slot
        for task in bot.tasks.values()
        for name, slot in task.slots.items()
        if slot.keep is Keep.USER and not slot.sensitive and slot.type.name != "card"
    }


def kept_values(bot: BotDefinition, state: DialogState) -> dict[str, JSON]:
    """Return the values of a state that are to outlive the conversation."""
    names = kept_slots(bot)
    return {
        name: cell.value
        for name, cell in state.memory.items()
        if name in names and cell.has_value and not is_placeholder(cell.value)
    }


def recalled(bot: BotDefinition, state: DialogState, values: Mapping[str, JSON]) -> DialogState:
    """Return the state of a new conversation that remembers these values.

    They are carried over: never accepted silently for a write. One that the bot's present file does
    not allow any more is forgotten.
    """
    memory = dict(state.memory)
    for name, slot in kept_slots(bot).items():
        if name not in values:
            continue
        context = TextContext(
            now=now_of(state), timezone=state.timezone, locale=state.locale, slot=name
        )
        try:
            parts = values[name] if slot.many else [values[name]]
            found = [slot.type.canonical(part, context)[0] for part in parts]
        except (TypeError, ValueError):
            continue
        memory[name] = Cell(
            value=found if slot.many else found[0],
            status=Status.GROUNDED,
            evidence=Evidence.CARRIED_OVER,
            p=1.0,
            is_inferred=True,
        )
    return replace(state, memory=memory)

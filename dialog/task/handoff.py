"""What a person should know who takes a conversation over."""

from dialog.bot.definition import BotDefinition
from dialog.task.commands import JSON
from dialog.task.state import DialogState
from dialog.task.value_words import say_value


def summary_of(bot: BotDefinition, state: DialogState, reason: str) -> dict[str, JSON]:
    """Return the form: task, slots with their status, what was tried, last words, reason."""
    frame = state.top or (state.closed[-1] if state.closed else None)
    slots: dict[str, JSON] = {}
    tried: list[JSON] = []
    if frame is not None:
        task = bot.tasks[frame.task]
        for name, cell in frame.slots.items():
            if cell.has_value and name in task.slots:
                words = say_value(task.slots[name], cell.value, state.locale)
                slots[name] = {"value": words, "status": cell.status.value}
        tried = [{"tool": call.tool, "id": call.id} for call in frame.effects]
    return {
        "task": frame.task if frame is not None else "",
        "about": bot.tasks[frame.task].about if frame is not None else "",
        "slots": slots,
        "tried": tried,
        "failure": frame.failure if frame is not None else "",
        "last_words": state.last_message,
        "reason": reason,
        "turns": state.counters.turns,
    }

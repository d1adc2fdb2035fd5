"""Negative constraints: "not Italian" never sets Italian, it takes it away."""

from dialog.task.commands import Clear, Command, More, Remove, Span
from dialog.tracker.situation import Mention, Situation


def refused(situation: Situation, mention: Mention) -> list[Command]:
    """Return what follows from a value that is not wanted; nothing where the slot never had it."""
    slot = mention.slot
    held = slot.value if isinstance(slot.value, list | tuple) else ()
    if slot.is_many and mention.value in held:
        return [
            Remove(
                slot=slot.name,
                task=slot.task,
                value=mention.value,
                span=Span(start=mention.start, end=mention.end),
                raw=situation.text[mention.start : mention.end],
                p=mention.p,
            )
        ]
    if slot.has_value and slot.value == mention.value:
        return [Clear(slot=slot.name, task=slot.task, p=mention.p)]
    if situation.offered and any(mention.value in o.row.values() for o in situation.offered):
        return [More(p=mention.p)]
    return []

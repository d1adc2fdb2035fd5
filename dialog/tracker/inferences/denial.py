"""Deny and inform in one: "no, Friday" denies what was asked about and gives the right value."""

from dialog.task.commands import Change, Command, Deny, Set, SlotEdit
from dialog.tracker.inferences.answers import Answer
from dialog.tracker.situation import Situation


def denied(situation: Situation, said: Answer | None, edits: list[SlotEdit]) -> list[Command]:
    """Return the denial that goes before new values, if a "no" stands in the turn with them.

    Without a value it denies the open closed question, or the slot that was confirmed in passing.
    A "yes" with another value denies nothing and affirms nothing: what was asked about is no longer
    what is wanted.
    """
    if said is None or said.polarity == "yes":
        return []
    changed = {edit.slot for edit in edits if isinstance(edit, Set | Change)}
    if situation.question.is_closed:
        return [Deny(slot=situation.question.slot, p=said.p)]
    for _, slot in situation.echoed:
        if not changed or slot in changed:
            return [Deny(slot=slot, p=said.p)]
    return []

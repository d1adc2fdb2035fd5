"""Elliptical change: "make it 5" changes the one slot that 5 fits, or two are named to choose."""

from collections.abc import Sequence

from dialog.tracker.situation import Mention

_CLOSE = 0.25


def rivals(mention: Mention, everything: Sequence[Mention]) -> tuple[str, ...]:
    """Return the names of the slots that the same words fit as well, its own first; () if none.

    Only a change can be unclear in this way: of slots that have a value, neither asked for nor
    named, in a turn that corrects something.
    """
    slot = mention.slot
    if slot.is_asked or not slot.has_value:
        return ()
    same = [
        other.slot.name
        for other in everything
        if other.slot.place != slot.place
        and other.slot.task == slot.task
        and other.slot.has_value
        and other.slot.kind == slot.kind
        and (other.start, other.end) == (mention.start, mention.end)
        and abs(other.score - mention.score) < _CLOSE
    ]
    return (slot.name, *same) if same else ()

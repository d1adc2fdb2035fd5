"""Elliptical change: "make it 5" changes the one slot that 5 fits, or two are named to choose."""

from collections.abc import Sequence

from dialog.tracker.situation import Mention

_CLOSE = 0.25


def readings(mention: Mention, everything: Sequence[Mention]) -> tuple[Mention, ...]:
    """Return what the words of a change may mean, the likeliest first; mostly just the mention.

    Only a change can be unclear in this way: of slots that have a value, neither asked for nor
    named, in a turn that corrects something. A slot whose bounds the value breaks, or that has it
    already, is not meant where another one is left.
    """
    slot = mention.slot
    if slot.is_asked or not slot.has_value:
        return (mention,)
    same = [
        mention,
        *(
            other
            for other in everything
            if other.slot.place != slot.place
            and other.slot.task == slot.task
            and other.slot.has_value
            and other.slot.kind == slot.kind
            and (other.start, other.end) == (mention.start, mention.end)
            and abs(other.score - mention.score) < _CLOSE
        ),
    ]
    fitting = [m for m in same if not m.violation and m.value != m.slot.value]
    return tuple(fitting) or (mention,)

"""Vague scalars: "a bit cheaper" sorts or relaxes what is offered."""

from dialog.task.commands import More
from dialog.tracker.situation import Situation
from dialog.tracker.words import first_phrase

_P = 0.9


def direction(situation: Situation) -> More | None:
    """Return the wish for offers further in a direction, None where nothing is offered."""
    if not situation.offered and not situation.can_show_more:
        return None
    found = first_phrase(situation.text, situation.phrases.directions)
    if found is None:
        return None
    return More(direction=situation.phrases.directions[found.phrase], p=_P)

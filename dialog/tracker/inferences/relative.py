"""Relative to the value a slot has: "an hour later", "a day earlier" changes that slot."""

from collections.abc import Sequence

from dialog.tracker.situation import Mention


def of_the_current_value(mentions: Sequence[Mention]) -> list[Mention]:
    """Return the mentions with only one relative reading of the same words: of the slot last set.

    A type gives a relative reading only where its slot has a value. Of several slots that is the
    one asked for, else the one of the task under way, else the last in written order.
    """
    relative = [m for m in mentions if m.is_relative]
    kept: list[Mention] = [m for m in mentions if not m.is_relative]
    for mention in relative:
        rivals = [m for m in relative if (m.start, m.end) == (mention.start, mention.end)]
        best = max(rivals, key=lambda m: (m.slot.is_asked, m.slot.is_current, m.slot.order))
        if best is mention:
            kept.append(mention)
    return kept

"""Any will do: "either", "I don't mind", "you choose" for the slot asked for or named."""

from dialog.task.commands import DontCare
from dialog.tracker.situation import Situation, SlotView
from dialog.tracker.words import Word, find_phrase, first_phrase, split, words_of

SAID = 0.93
NAMED = 0.85
_NEAR = 4


def indifferent(situation: Situation, filled: set[tuple[str, str]]) -> list[DontCare]:
    """Return the slots for which any value will do; `filled` ones got a value in this turn."""
    slots = [
        slot
        for slot in situation.slots
        if slot.place not in filled and (slot.is_constraint or not slot.is_required)
    ]
    text = situation.text
    found = first_phrase(text, situation.phrases.any, fuzzy=False)
    other = first_phrase(text, situation.phrases.any_not, fuzzy=False)
    if found is None or (other is not None and other.first <= found.first < other.last):
        return _alone(situation, filled)
    words = words_of(text)
    behind = words[found.first : found.last + _NEAR]
    before = words[max(0, found.first - _NEAR) : found.last]
    open_slots = [slot for slot in slots if slot.is_open]
    named = [slot for slot in open_slots if _names(slot, behind)] or [
        slot for slot in open_slots if _names(slot, before)
    ]
    if named:
        return [DontCare(slot=slot.name, task=slot.task, p=NAMED) for slot in named]
    asked = [slot for slot in situation.asked if slot.place not in filled]
    return [DontCare(slot=slot.name, task=slot.task, p=SAID) for slot in asked]


def _alone(situation: Situation, filled: set[tuple[str, str]]) -> list[DontCare]:
    """Return the slots asked for if the turn says little more than "any" or, to a wish, "no"."""
    polite = set(situation.phrases.polite)
    rest = [w.folded for w in words_of(situation.text) if w.folded not in polite]
    if not any(rest == list(split(phrase)) for phrase in situation.phrases.any_alone):
        return []
    return [
        DontCare(slot=slot.name, task=slot.task, p=SAID)
        for slot in situation.asked
        if slot.place not in filled and (slot.is_constraint or not slot.is_required)
    ]


def _names(slot: SlotView, words: tuple[Word, ...]) -> bool:
    return any(find_phrase(words, split(phrase)) for phrase in slot.words)

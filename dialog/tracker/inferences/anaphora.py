"""Pointing back to another slot or task: "the same day as the flight" copies its value."""

from collections.abc import Callable, Iterable

from dialog.task.commands import Set, SlotEdit, Span, ValueSource
from dialog.tracker.situation import Situation, SlotView
from dialog.tracker.words import Word, find_phrase, first_phrase, split, words_of

NAMED = 0.9
ALONE = 0.7
_NEAR = 8


def copied(situation: Situation, filled: set[tuple[str, str]]) -> list[SlotEdit]:
    """Return the slots that take the value of another one of their type."""
    found = first_phrase(situation.text, situation.phrases.same)
    if found is None:
        return []
    words = words_of(situation.text)
    behind = words[found.last : found.last + _NEAR]
    edits: list[SlotEdit] = []
    for target in _targets(situation, behind, filled):
        sources = [
            slot
            for slot in situation.slots
            if slot.has_value and slot.place != target.place and slot.type.name == target.type.name
        ]
        source = _source(sources, target, behind)
        if source is None:
            continue
        last = words[min(found.last, len(words) - 1)]
        edits.append(
            Set(
                slot=target.name,
                task=target.task,
                value=source.value,
                raw=situation.text[found.start : last.end],
                span=Span(start=found.start, end=last.end),
                source=ValueSource.COPY,
                p=NAMED if len(sources) == 1 or _is_named(source, behind) else ALONE,
            )
        )
    return edits


def _targets(
    situation: Situation, behind: tuple[Word, ...], filled: set[tuple[str, str]]
) -> list[SlotView]:
    """Return the slots asked for, else the empty ones of the task under way that are named."""
    asked = [slot for slot in situation.asked if slot.place not in filled]
    if asked:
        return asked
    return [
        slot
        for slot in situation.slots
        if slot.is_current
        and not slot.is_answered
        and slot.place not in filled
        and _is_named(slot, behind)
    ]


def _source(
    sources: Iterable[SlotView], target: SlotView, behind: tuple[Word, ...]
) -> SlotView | None:
    """Return the slot whose task or name is spoken of, else one of the same name, else any."""
    candidates = list(sources)
    tests: tuple[Callable[[SlotView], bool], ...] = (
        lambda slot: any(find_phrase(behind, (w,)) for w in split(slot.task.replace("_", " "))),
        lambda slot: _is_named(slot, behind),
        lambda slot: slot.name == target.name,
    )
    for fits in tests:
        if chosen := [slot for slot in candidates if fits(slot)]:
            return chosen[-1]
    return candidates[-1] if candidates else None


def _is_named(slot: SlotView, words: tuple[Word, ...]) -> bool:
    return any(find_phrase(words, split(phrase)) for phrase in (*slot.words, slot.kind))

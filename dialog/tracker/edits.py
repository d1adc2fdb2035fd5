"""Mentions become edits of slots: set or change, add or remove, with their source and span."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dialog.task.commands import (
    Add,
    Alternative,
    Change,
    Command,
    Remove,
    Set,
    SlotEdit,
    Span,
    Unclear,
    ValueSource,
)
from dialog.tracker.inferences.ellipsis import readings
from dialog.tracker.inferences.negation import refused
from dialog.tracker.inferences.relative import of_the_current_value
from dialog.tracker.mentions import mentions
from dialog.tracker.situation import Mention, Place, Situation, SlotView
from dialog.tracker.words import first_phrase

_SPAN_KINDS = frozenset({"text", "person", "address", "open"})
_TABLE_KINDS = frozenset({"entity"})
_UNCLEAR_P = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What the words do to slots: edits, other commands that follow, and what stays unclear."""

    edits: tuple[SlotEdit, ...] = ()
    commands: tuple[Command, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def places(self) -> set[Place]:
        """The slots that are edited."""
        return {(edit.task, edit.slot) for edit in self.edits}


def edits_of(situation: Situation, slots: Iterable[SlotView]) -> Edits:
    """Return the edits that the words ask for, each slot's values together."""
    found = of_the_current_value(mentions(situation, slots))
    edits: list[SlotEdit] = []
    commands: list[Command] = []
    by_slot: dict[Place, list[Mention]] = {}
    for mention in found:
        if mention.is_negated:
            commands += refused(situation, mention)
            continue
        meant: tuple[Mention, ...] = (mention,)
        if situation.corrects:
            meant = readings(mention, _all_of(situation, mention))
        if len(meant) > 1:
            commands.append(_of_which(meant))
            continue
        by_slot.setdefault(meant[0].slot.place, []).append(meant[0])
    for group in by_slot.values():
        edit = _edit(situation, group)
        if edit is not None:
            edits.append(edit)
    return Edits(
        edits=tuple(edits),
        commands=tuple(commands),
        spans=tuple((m.start, m.end) for m in found),
    )


def _of_which(meant: Sequence[Mention]) -> Unclear:
    return Unclear(
        guesses=tuple(m.slot.name for m in meant),
        task=meant[0].slot.task,
        value=meant[0].value,
        p=_UNCLEAR_P,
    )


def _all_of(situation: Situation, mention: Mention) -> list[Mention]:
    """Return how other slots of the task would read the very words of a mention."""
    found = []
    for slot in situation.slots:
        if slot.task == mention.slot.task and slot.place != mention.slot.place and slot.has_value:
            found += mentions(situation, [slot])
    return found


def _edit(situation: Situation, group: Sequence[Mention]) -> SlotEdit | None:
    first, slot = group[0], group[0].slot
    value: Any = [m.value for m in group] if slot.is_many else first.value
    kind = _kind(situation, slot)
    if not slot.is_many and slot.has_value and slot.value == value:
        return None
    if slot.is_many and kind is Change and slot.value == value:
        return None
    last = group[-1]
    return kind(
        slot=slot.name,
        task=slot.task,
        value=value,
        p=min(m.p for m in group),
        raw=situation.text[first.start : last.end],
        span=Span(start=first.start, end=last.end),
        source=_source(slot),
        alternatives=first.alternatives if not slot.is_many else (),
        violation=first.violation,
    )


def _kind(situation: Situation, slot: SlotView) -> type[SlotEdit]:
    if not slot.has_value:
        return Set
    if slot.is_many:
        if first_phrase(situation.text, situation.phrases.without) is not None:
            return Remove
        if first_phrase(situation.text, ("instead", "stattdessen", "plutôt")) is not None:
            return Change
        return Add
    return Change


def _source(slot: SlotView) -> ValueSource:
    if slot.kind in _TABLE_KINDS:
        return ValueSource.TABLE
    return ValueSource.SPAN if slot.kind in _SPAN_KINDS else ValueSource.NORMALISER


def posteriors(commands: Iterable[Command]) -> dict[str, tuple[Alternative, ...]]:
    """Return the probabilities behind slot edits, by "task.slot"; None is "as it was"."""
    found: dict[str, tuple[Alternative, ...]] = {}
    for command in commands:
        if not isinstance(command, SlotEdit):
            continue
        rest = max(0.0, 1.0 - command.p)
        others = [
            Alternative(value=a.value, p=min(a.p, rest / len(command.alternatives)))
            for a in command.alternatives
        ]
        left = max(0.0, 1.0 - command.p - sum(a.p for a in others))
        found[f"{command.task}.{command.slot}"] = (
            Alternative(value=command.value, p=command.p),
            *others,
            Alternative(value=None, p=left),
        )
    return found

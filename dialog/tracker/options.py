"""What a slot's value may be after a turn: the finite set that a model chooses from.

none | dontcare | a listed value | a normaliser's output | an offered entity | a copy of a fitting
slot | a span of the last two user turns | what the bot said. Nothing else can enter the state, so
no model can invent a value.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from dialog.slot_types.base import JsonValue
from dialog.task.canonical import canonical_json
from dialog.task.commands import Span, ValueSource
from dialog.tracker.mentions import mentions
from dialog.tracker.situation import Situation, SlotView
from dialog.tracker.words import words_of

MAX_SPAN_WORDS = 12
MAX_OPTIONS = 512
NONE = " not mentioned"
ANY = " any"

_FREE = frozenset({"text", "person", "address", "open"})


@runtime_checkable
class Listed(Protocol):
    """A slot type that knows all its values."""

    @property
    def values(self) -> Iterable[str]:
        """Return the canonical values."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One thing that a slot may become; `text` is what a model says for it, with its space.

    `kind` is none, any, or a value's: cat, norm, offer, copy, span, said.
    """

    kind: str
    text: str
    value: JsonValue = None
    source: ValueSource = ValueSource.NORMALISER
    span: Span | None = None
    p: float = 0.0  # of the recogniser, 0 where it reads nothing

    @property
    def key(self) -> str:
        """What options of the same meaning share, however they are spelt."""
        return self.kind if self.kind in ("none", "any") else canonical_json(self.value)


def options_of(situation: Situation, slot: SlotView) -> tuple[Option, ...]:
    """Return the options of a slot, "none" first; no text stands for two of them.

    At most `MAX_OPTIONS`: long spans are left out first, so what is asked of the model is bounded.
    """
    found = [Option(kind="none", text=NONE)]
    if slot.is_constraint or not slot.is_required:
        found.append(Option(kind="any", text=ANY))
    found += _normalised(situation, slot)
    found += _offered(situation, slot)
    found += _copied(situation, slot)
    found += _said(situation, slot)
    found += _listed(situation, slot)
    if slot.kind in _FREE and (slot.is_free or slot.is_asked):
        found += _spans(situation)
    kept: dict[str, Option] = {}
    for option in found:
        kept.setdefault(option.text.casefold(), option)
    return tuple(kept.values())[:MAX_OPTIONS]


def _words(situation: Situation, slot: SlotView, value: JsonValue) -> str:
    if isinstance(value, list | tuple):
        return " " + ", ".join(slot.type.say(part, situation.locale) for part in value)
    return f" {slot.type.say(value, situation.locale)}"


def _normalised(situation: Situation, slot: SlotView) -> list[Option]:
    return [
        Option(
            kind="norm",
            text=_words(situation, slot, mention.value),
            value=mention.value,
            source=ValueSource.SPAN if slot.kind in _FREE else ValueSource.NORMALISER,
            span=Span(start=mention.start, end=mention.end),
            p=mention.p,
        )
        for mention in mentions(situation, [slot])
        if not mention.is_negated
    ]


def _offered(situation: Situation, slot: SlotView) -> list[Option]:
    if slot.kind != "entity":
        return []
    return [
        Option(kind="offer", text=f" {o.name}", value=o.key, source=ValueSource.OFFER)
        for o in situation.offered
    ]


def _copied(situation: Situation, slot: SlotView) -> list[Option]:
    return [
        Option(
            kind="copy",
            text=_words(situation, slot, other.value),
            value=other.value,
            source=ValueSource.COPY,
        )
        for other in situation.slots
        if other.has_value and other.place != slot.place and other.type.name == slot.type.name
    ]


def _said(situation: Situation, slot: SlotView) -> list[Option]:
    if slot.told is None:
        return []
    text = _words(situation, slot, slot.told)
    return [Option(kind="said", text=text, value=slot.told, source=ValueSource.SYSTEM)]


def _listed(situation: Situation, slot: SlotView) -> list[Option]:
    if not isinstance(slot.type, Listed) or not slot.is_free:
        return []
    return [
        Option(kind="cat", text=_words(situation, slot, value), value=value)
        for value in slot.type.values
    ]


def _spans(situation: Situation) -> list[Option]:
    """Return the spans of whole words of this turn and the one before, the short ones first."""
    found = []
    for text, is_now in ((situation.text, True), *((t, False) for t in situation.earlier[-1:])):
        words = words_of(text)
        for size in range(1, MAX_SPAN_WORDS + 1):
            for i in range(len(words) - size + 1):
                start, end = words[i].start, words[i + size - 1].end
                found.append(
                    Option(
                        kind="span",
                        text=f" {text[start:end]}",
                        value=text[start:end],
                        source=ValueSource.SPAN,
                        span=Span(start=start, end=end) if is_now else None,
                    )
                )
    return sorted(found, key=lambda option: len(option.text))

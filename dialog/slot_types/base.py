"""The port of slot types: words → candidate values with their spans, and values → words.

A canonical value is JSON, so that events, tools and buttons can carry it:

    integer 4 · number 2.5 · percent 12.5 · bool true · date "2025-03-07" · time "18:30"
    datetime "2025-03-07T18:30+01:00" · duration "P2D", "PT30M" · money {"amount": "12.50",
    "currency": "EUR"} · daterange {"start": "2025-03-07", "end": "2025-03-09"} · choice, entity:
    the key · card: the placeholder "⟨card:4242⟩" · all others: text

Both ways are pure: the present moment, the zone and the language come with the context.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

JsonValue: TypeAlias = (
    str | int | float | bool | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None
)


class ViolationKind(StrEnum):
    """Why a value of the right type is not allowed."""

    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    TOO_EARLY = "too_early"
    TOO_LATE = "too_late"
    END_BEFORE_START = "end_before_start"
    NO_SUCH_TIME = "no_such_time"  # the hour that a clock change leaves out
    NOT_A_CHOICE = "not_a_choice"
    NO_SUCH_ROW = "no_such_row"
    CHECKSUM = "checksum"
    WRONG_FORM = "wrong_form"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """Why a value is not allowed, and the bound that it breaks."""

    kind: ViolationKind
    bound: JsonValue = None
    nearest: tuple[str, ...] = ()  # keys of the nearest choices or rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a slot allows at this moment; values of the slot's own type.

    `least` and `most` are inclusive (`min`, `max`). So is `after`, since "after: today" is said of
    arrivals that may be today; `before` is inclusive for the same reason.
    """

    least: JsonValue = None
    most: JsonValue = None
    after: JsonValue = None
    before: JsonValue = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextContext:
    """What the meaning of words depends on.

    `now` is aware and in the user's zone. `slot` is the slot in question, "" for none: a bare "yes"
    is a value only of the slot in question. `current` is the slot's value, for "an hour later".
    """

    now: datetime
    timezone: str = "UTC"
    locale: str = "en"
    slot: str = ""
    is_asked: bool = False  # whether the open question asks for this slot
    current: JsonValue = None
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        if self.now.tzinfo is None:
            raise ValueError(f"now must carry its zone, got {self.now!r}; use datetime.now(zone)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A value that `text[start:end]` may mean.

    `p` is how sure the type is that the words mean this value, in (0, 1]. `ambiguous_with` holds
    other values that the same words may mean as well, the likelier first: ask, never guess. `role`
    is a hint from a preposition ("from", "until") or "relative" for what depends on `current`.
    """

    start: int
    end: int
    value: JsonValue
    p: float = 1.0
    ambiguous_with: tuple[JsonValue, ...] = ()
    violation: Violation | None = None
    is_negated: bool = False  # "not Italian"
    role: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a span needs 0 <= start < end, got {self.start}, {self.end}")
        if not 0 < self.p <= 1:
            raise ValueError(f"p must be in (0, 1], got {self.p}")


class SlotType(Protocol):
    """Words → values → words; `parse(say(value))` finds the value again, in each locale."""

    @property
    def name(self) -> str:
        """The type as the bot file writes it: "integer", "entity:hotels"."""

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return all readings of all spans, by start, the likelier first."""

    def say(self, value: JsonValue, locale: str) -> str:
        """Return the words for a canonical value."""

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the canonical form of what a tool or a button gives, and what it breaks.

        Raises:
            ValueError: it is no value of this type at all.
        """

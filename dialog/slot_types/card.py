"""Payment cards: checked, and never kept; the value is a placeholder with the last four digits."""

import re
from dataclasses import dataclass

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation, ViolationKind
from dialog.slot_types.text import checked_text
from dialog.slot_types.words import language_of

CARD_DIGITS = re.compile(r"(?<![\w.,-])\d(?:[ \u00a0-]?\d){12,18}(?![\w-]|[.,]\d)")
"""What may be the number of a card; `is_luhn` tells."""

_PLACEHOLDER = re.compile(r"⟨card(?:_\d+)?:(\d{4})⟩")
_ENDING = {"en": "card ending in", "de": "Karte mit den Endziffern", "fr": "carte se terminant par"}


def is_luhn(digits: str) -> bool:
    """Return whether the check digit is right (Luhn, ISO/IEC 7812-1)."""
    total = 0
    for i, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + i % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def placeholder(digits: str) -> str:
    """Return what stands for a card in events and prompts."""
    return f"⟨card:{digits[-4:]}⟩"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardType:
    """A card's number; the value never holds it."""

    name: str = "card"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return placeholders, and numbers as placeholders; a wrong check digit is a violation."""
        found = [
            Candidate(start=m.start(), end=m.end(), value=f"⟨card:{m[1]}⟩")
            for m in _PLACEHOLDER.finditer(text)
        ]
        ending = _ENDING.get(language_of(context.locale), _ENDING["en"])
        found += [
            Candidate(start=m.start(), end=m.end(), value=placeholder(m[1]), p=0.7)
            for m in re.finditer(rf"{ending} (\d{{4}})\b", text, re.IGNORECASE)
        ]
        for match in CARD_DIGITS.finditer(text):
            digits = re.sub(r"\D", "", match[0])
            wrong = None if is_luhn(digits) else Violation(kind=ViolationKind.CHECKSUM)
            if wrong and not context.is_asked:
                continue
            found.append(
                Candidate(
                    start=match.start(),
                    end=match.end(),
                    value=placeholder(digits),
                    p=0.9 if wrong else 1.0,
                    violation=wrong,
                )
            )
        return sorted(found, key=lambda candidate: candidate.start)

    def say(self, value: JsonValue, locale: str) -> str:
        """Return "card ending in 4242"."""
        found = _PLACEHOLDER.fullmatch(str(value))
        ending = _ENDING.get(language_of(locale), _ENDING["en"])
        return f"{ending} {found[1] if found else '????'}"

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the placeholder.

        Raises:
            ValueError: it is neither a placeholder nor the number of a card.
        """
        del context
        text = checked_text(value)
        found = _PLACEHOLDER.fullmatch(text)
        if found:
            return placeholder(found[1]), None
        if not CARD_DIGITS.fullmatch(text):
            raise ValueError("this is no card number; it has 13 to 19 digits")
        digits = re.sub(r"\D", "", text)
        wrong = None if is_luhn(digits) else Violation(kind=ViolationKind.CHECKSUM)
        return placeholder(digits), wrong

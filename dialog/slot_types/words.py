"""Words with their places, and what stands before a span: "not", "from", "until"."""

import re
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_NEGATORS = frozenset({
    "not", "no", "don't", "dont", "without", "except", "but", "isn't", "never",
    "nicht", "kein", "keine", "keinen", "keinem", "ohne", "au\u00dfer", "nie",
    "pas", "sans", "sauf", "aucun", "aucune", "jamais",
})  # fmt: skip
_BRIDGES = frozenset({
    "a", "an", "the", "any", "at", "on", "in", "for", "want", "like", "very", "really", "to",
    "am", "um", "ein", "eine", "einen", "der", "die", "das", "den", "mehr",
    "de", "d", "le", "la", "les", "un", "une", "du", "des", "\u00e0",
})  # fmt: skip
_FROM = frozenset(
    {
        "from",
        "since",
        "starting",
        "leaving",
        "departing",
        "von",
        "vom",
        "ab",
        "seit",
        "du",
        "depuis",
        "d\u00e8s",
    }
)
_UNTIL = frozenset(
    {
        "until",
        "till",
        "til",
        "to",
        "through",
        "returning",
        "bis",
        "jusqu'au",
        "au",
        "jusqu",
        "jusque",
    }
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word in lower case, and where it stands."""

    text: str
    start: int
    end: int


def words_of(text: str) -> list[Word]:
    """Return the words of a text; hyphens part words, apostrophes do not."""
    return [
        Word(m[0].lower().replace("\u2019", "'"), m.start(), m.end()) for m in _WORD.finditer(text)
    ]


def language_of(locale: str) -> str:
    """Return the language of a locale: "en" of "en-GB"."""
    return locale.partition("-")[0]


def is_negated(text: str, start: int) -> bool:
    """Return whether "not", "without" and the like stand before a span, in the same clause."""
    return _before(text, start, _NEGATORS)


def role_before(text: str, start: int) -> str:
    """Return "from" or "until" by the preposition before a span."""
    if _before(text, start, _FROM - _UNTIL):
        return "from"
    return "until" if _before(text, start, _UNTIL) else ""


def _before(text: str, start: int, wanted: frozenset[str]) -> bool:
    clause = re.split(r"[,.;:!?]", text[:start])[-1]
    for word in reversed(words_of(clause)):
        if word.text in wanted:
            return True
        if word.text not in _BRIDGES:
            return False
    return False


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a span without blanks, quotes and punctuation at its ends."""
    while start < end and (
        text[start].isspace() or text[start] in "\"'\u201c\u201d\u201e\u00ab\u00bb,;:.!?()\u2026"
    ):
        start += 1
    while start < end and (
        text[end - 1].isspace() or text[end - 1] in "\"'\u201c\u201d\u201e\u00ab\u00bb,;:.!?(\u2026"
    ):
        end -= 1
    return start, end

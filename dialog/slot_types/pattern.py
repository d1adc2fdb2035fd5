r"""Texts of a given form: a subset of regular expressions that is matched in linear time.

Characters, `.`, `\\d \\w \\s`, classes, groups, `|`, and `? * + {m,n}`: no look-around, no
back-references. The pattern is anchored at both ends. It is run as Thompson's automaton
(Regular expression search algorithm, CACM 11(6), 1968), so no text takes long.
"""

from dataclasses import dataclass, field

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation, ViolationKind
from dialog.slot_types.pattern_automaton import Automaton, PatternError
from dialog.slot_types.text import checked_text
from dialog.slot_types.words import trimmed

__all__ = ["PatternError", "PatternType"]

MAX_WORDS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternType:
    """A text that matches a pattern as a whole.

    Raises:
        PatternError: the pattern uses more than the subset, or is too large.
    """

    pattern: str
    examples: tuple[str, ...] = ()
    name: str = "regex"
    _automaton: Automaton = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_automaton", Automaton(self.pattern))

    def is_match(self, text: str) -> bool:
        """Return whether the whole text has the form."""
        return self._automaton.is_match(text)

    def parse(self, text: str, context: TextContext) -> list[Candidate]:  # noqa: ARG002 - of the port
        """Return the longest spans between blanks that match, as written or in capitals."""
        parts = _blank_separated(text)
        found, first = [], 0
        while first < len(parts):
            for last in range(min(len(parts), first + MAX_WORDS), first, -1):
                start, end = trimmed(text, parts[first][0], parts[last - 1][1])
                value = self._matching(text[start:end])
                if value is not None:
                    found.append(Candidate(start=start, end=end, value=value, p=0.95))
                    first = last - 1
                    break
            first += 1
        return found

    def _matching(self, text: str) -> str | None:
        joined = "".join(text.split())
        for form in (text, text.upper(), joined, joined.upper()):
            if form and self.is_match(form):
                return form
        return None

    def say(self, value: JsonValue, locale: str) -> str:  # noqa: ARG002 - read as it is
        """Return the text."""
        return str(value)

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the text; another form is a violation that shows an example.

        Raises:
            ValueError: it is no text.
        """
        del context
        text = checked_text(value)
        found = self._matching(text)
        if found is None:
            example = self.examples[0] if self.examples else self.pattern
            return text, Violation(kind=ViolationKind.WRONG_FORM, bound=example)
        return found, None


def _blank_separated(text: str) -> list[tuple[int, int]]:
    parts, at = [], 0
    for part in text.split():
        start = text.index(part, at)
        at = start + len(part)
        parts.append((start, at))
    return parts

"""What happens to words on their way: typos, small letters, hesitation, mishearing.

Digits and what stands beside an @ are left alone: a wrong digit is another value, and no tracker
could know it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dialog.simulation.dice import Dice

_WORD: Final = re.compile(r"[^\W\d_]{4,}")
_NEIGHBOURS: Final[Mapping[str, str]] = {
    "a": "s", "e": "r", "i": "o", "n": "m", "o": "p", "r": "t", "s": "d", "t": "y", "u": "i",
}  # fmt: skip
_HESITATIONS: Final = ("um, ", "well, ", "er, ", "so, ")
_HEARD: Final[Mapping[str, str]] = {
    "two": "to", "four": "for", "eight": "ate", "one": "won", "their": "there", "please": "police",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Rates: `typos` and `asr` per word, the others per message."""

    typos: float = 0.0
    casing: float = 0.0
    disfluency: float = 0.0
    asr: float = 0.0
    duplicates: float = 0.0  # the same message arrives twice, with one id

    def __post_init__(self) -> None:
        for name in self.__slots__:
            rate = getattr(self, name)
            if not 0 <= rate <= 1:
                raise ValueError(f"noise {name} is a rate in [0, 1], got {rate}")

    def of(self, text: str, rng: Dice) -> str:
        """Return the text as it arrives."""
        protected = {m.span() for m in re.finditer(r"\S*[@\d/]\S*", text)}

        def changed(match: re.Match[str]) -> str:
            word = match[0]
            if any(a <= match.start() < b for a, b in protected):
                return word
            if rng.random() < self.asr:
                return _HEARD.get(word.lower(), word)
            return _mistyped(word, rng) if rng.random() < self.typos else word

        text = _WORD.sub(changed, text)
        if rng.random() < self.casing:
            text = text.lower()
        if rng.random() < self.disfluency:
            text = rng.choice(_HESITATIONS) + text
        return text


def _mistyped(word: str, rng: Dice) -> str:
    """Return the word with one slip behind its first letter: swapped, left out, doubled, beside."""
    i = rng.randrange(1, len(word) - 1)
    match rng.randrange(4):
        case 0:
            return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        case 1:
            return word[:i] + word[i + 1 :]
        case 2:
            return word[: i + 1] + word[i] + word[i + 1 :]
        case _:
            letter = word[i].lower()
            return word[:i] + _NEIGHBOURS.get(letter, letter) + word[i + 1 :]

"""Text without accents and compatibility forms, and where each of its characters came from.

Folding makes "café" and "cafe" one word, and "ﬁne" and "fine". It keeps the case. A Cyrillic й
stays what it is: the stemmers need it.
"""

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

# Accents, Hebrew points and Arabic vowel signs; none of the marks that are letters to their script.
_ACCENTS = re.compile(
    "(?<![иИ])\u0306|"
    "[\u0300-\u0305\u0307-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u064b-\u065f\u0670]"
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")


def fold(text: str) -> str:
    """Return the text without accents and compatibility forms, its case untouched."""
    if text.isascii():
        return text
    decomposed = _ACCENTS.sub("", unicodedata.normalize("NFKD", _INVISIBLE.sub("", text)))
    return unicodedata.normalize("NFC", decomposed)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedText:
    """A folded text whose places can be found in the text it was made of."""

    text: str
    starts: tuple[int, ...]  # of the pieces, in the folded text
    origins: tuple[int, ...]  # of the same pieces, in the original
    length: int  # of the original

    def origin_of(self, start: int, end: int) -> tuple[int, int]:
        """Return the shortest known span of the original that holds a span of the folded text."""
        if not self.starts:
            return start, end
        first = bisect_right(self.starts, start) - 1
        after = bisect_right(self.starts, end - 1)
        stop = self.origins[after] if after < len(self.origins) else self.length
        return self.origins[first], stop


def fold_with_origins(text: str) -> FoldedText:
    """Return the folded text, cut into the smallest pieces that can be folded by themselves."""
    whole = fold(text)
    if text.isascii():
        return FoldedText(text=whole, starts=(), origins=(), length=len(text))
    cuts = [i for i in range(len(text)) if _is_border(text, i)]
    pieces = _folded(text, cuts)
    if "".join(piece for piece, _ in pieces) != whole:
        # Letters that combine without being marks, as in Indic scripts: cut at ASCII only.
        pieces = _folded(text, [i for i, char in enumerate(text) if not i or char.isascii()])
    starts, origins, at = [], [], 0
    for piece, origin in pieces:
        if piece:
            starts.append(at)
            origins.append(origin)
            at += len(piece)
    return FoldedText(text=whole, starts=tuple(starts), origins=tuple(origins), length=len(text))


def _is_border(text: str, i: int) -> bool:
    """Whether a character may begin a piece: it is no mark and nothing invisible."""
    char = text[i]
    if not i or char.isascii():
        return True
    return not (unicodedata.combining(char) or _INVISIBLE.match(char))


def _folded(text: str, cuts: list[int]) -> list[tuple[str, int]]:
    ends = [*cuts[1:], len(text)]
    return [(fold(text[start:end]), start) for start, end in zip(cuts, ends, strict=True)]

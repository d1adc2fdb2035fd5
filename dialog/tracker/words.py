"""Words of a text with their places, and where phrases stand among them.

Comparison is by folded words: lower case, without accents; with `fuzzy` one edit is forgiven in
words of five letters, two in words of nine. Knows no language.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*|[?!]")
_ONE_EDIT = 6
_TWO_EDITS = 9
_LANGUAGES = Path(__file__).parent / "languages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word as it is compared, and where it stands in the text."""

    folded: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A phrase found in a text: characters `start` to `end`, words `first` to `last` exclusive."""

    phrase: str
    start: int
    end: int
    first: int
    last: int


@lru_cache(maxsize=65_536)
def folded(text: str) -> str:
    """Return a text in lower case, without accents, with straight apostrophes."""
    decomposed = unicodedata.normalize("NFKD", text.replace("\u2019", "'"))
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


@lru_cache(maxsize=4096)
def words_of(text: str) -> tuple[Word, ...]:
    """Return the words of a text; question and exclamation marks are words of their own."""
    return tuple(
        Word(folded=folded(m.group()), start=m.start(), end=m.end()) for m in _WORD.finditer(text)
    )


def is_like(a: str, b: str, *, fuzzy: bool = True) -> bool:
    """Tell whether two folded words are the same, or so near that a slip of the keyboard did it.

    `a` is what was said. Short words, common ones and those with digits must be equal; the first
    letter must be the same unless the first two are swapped.
    """
    return a == b or (fuzzy and _is_slip(a, b))


@lru_cache(maxsize=65_536)
def _is_slip(a: str, b: str) -> bool:
    longer = max(len(a), len(b))
    if min(len(a), len(b)) < _ONE_EDIT - 1 or longer < _ONE_EDIT:
        return False
    if a in common_words():
        return False
    allowed = 2 if longer >= _TWO_EDITS else 1
    if abs(len(a) - len(b)) > allowed or not (a.isalpha() and b.isalpha()):
        return False
    if a[0] != b[0] and a[:2] != b[1::-1]:
        return False
    return _distance(a, b, allowed) <= allowed


def find_phrase(
    words: Sequence[Word], phrase: Sequence[str], *, fuzzy: bool = True, whole: bool = False
) -> list[tuple[int, int]]:
    """Return where a phrase of folded words stands, as word ranges; `whole`: nothing else may."""
    n = len(phrase)
    if not n or (whole and len(words) != n):
        return []
    first, found = phrase[0], []
    for i in range(len(words) - n + 1):
        said = words[i].folded
        if (said == first or (fuzzy and _is_slip(said, first))) and all(
            is_like(words[i + k].folded, phrase[k], fuzzy=fuzzy) for k in range(1, n)
        ):
            found.append((i, i + n))
    return found


def first_phrase(text: str, phrases: Iterable[str], *, fuzzy: bool = True) -> Found | None:
    """Return the earliest of some phrases in a text, of those that begin together the longest."""
    words = words_of(text)
    said = {word.folded for word in words}
    has_slips = fuzzy and any(len(word) >= _ONE_EDIT - 1 for word in said - common_words())
    best: Found | None = None
    for phrase in phrases:
        parts = split(phrase)
        if not has_slips and not said.issuperset(parts):
            continue
        for first, last in find_phrase(words, parts, fuzzy=fuzzy):
            found = Found(
                phrase=phrase,
                start=words[first].start,
                end=words[last - 1].end,
                first=first,
                last=last,
            )
            if best is None or (found.first, -found.last) < (best.first, -best.last):
                best = found
    return best


@lru_cache(maxsize=16_384)
def split(phrase: str) -> tuple[str, ...]:
    """Return the folded words of a phrase."""
    return tuple(word.folded for word in words_of(phrase))


@lru_cache(maxsize=1)
def common_words() -> frozenset[str]:
    """Return the words of all phrases in all languages."""
    found: set[str] = set()
    for file in sorted(_LANGUAGES.glob("*.json")):
        _collect(json.loads(file.read_text(encoding="utf-8")), found)
    return frozenset(found)


def _collect(value: object, found: set[str]) -> None:
    if isinstance(value, str):
        found.update(split(value))
    elif isinstance(value, dict):
        for key, part in value.items():
            _collect(key, found)
            _collect(part, found)
    elif isinstance(value, list):
        for part in value:
            _collect(part, found)


def _distance(a: str, b: str, limit: int) -> int:
    """Damerau-Levenshtein distance of neighbours, given up above `limit`."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        last, row, older = row, [i], before
        for j, y in enumerate(b, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        before = last
        if min(row) > limit:
            return limit + 1
    return row[-1]

"""From what people call something to the key of its row: exact, normalised, prefix, trigram.

    exact        the name or key, letter for letter                      p = 1
    normalised   without case, accents, punctuation, articles            p = .97
    acronym      the first letters of a name of three words or more      p = .9
    prefix       the first words of a name, or all but a generic word    p = .9, shared by its rows
    trigram      letters in common (Dice), for slips of the keyboard     p = .5 to .9

A word that many names have ("hotel") counts less than a rare one.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

MAX_LINKS = 512
MIN_TRIGRAM = 0.6
MAX_SPAN_WORDS = 8

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_ARTICLES = frozenset(
    {
        "the",
        "a",
        "an",
        "der",
        "die",
        "das",
        "den",
        "dem",
        "ein",
        "eine",
        "einen",
        "le",
        "la",
        "les",
        "un",
        "une",
        "l",
    }
)


class How(StrEnum):
    """By what a span was linked, the surest first."""

    EXACT = "exact"
    NORMALISED = "normalised"
    ACRONYM = "acronym"
    PREFIX = "prefix"
    TRIGRAM = "trigram"


_SURE = {How.EXACT: 1.0, How.NORMALISED: 0.97, How.ACRONYM: 0.9, How.PREFIX: 0.9}
_ORDER = {how: rank for rank, how in enumerate(How)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """`text[start:end]` may name the row of `key`."""

    start: int
    end: int
    key: str
    p: float
    how: How


@lru_cache(maxsize=50_000)
def normalised(text: str) -> str:
    """Return a name without case, accents, punctuation and leading articles."""
    bare = unicodedata.normalize("NFKD", text.casefold().replace("ß", "ss"))
    bare = "".join(c for c in bare if not unicodedata.combining(c)).replace("&", " and ")
    words = _WORD.findall(bare)
    words = [word.replace("'", "").replace("\u2019", "") for word in words]
    while len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return " ".join(words)


def trigrams(text: str) -> Counter[str]:
    """Return the letter trigrams of a normalised text, its ends padded."""
    padded = f"  {text} "
    return Counter(padded[i : i + 3] for i in range(len(padded) - 2))


def dice(left: Counter[str], right: Counter[str]) -> float:
    """Return the share of trigrams in common (Dice's coefficient)."""
    total = left.total() + right.total()
    return 2 * (left & right).total() / total if total else 0.0


class Linker:
    """An index of the names of rows."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self._exact: dict[str, list[str]] = defaultdict(list)
        self._normal: dict[str, list[str]] = defaultdict(list)
        self._prefix: dict[str, list[str]] = defaultdict(list)
        self._acronym: dict[str, list[str]] = defaultdict(list)
        self._grams: dict[str, list[str]] = defaultdict(list)
        frequency = Counter(
            word
            for variants in names.values()
            for word in {w for name in variants[:1] for w in normalised(name).split()}
        )
        self._generic = {w for w, n in frequency.items() if n > max(2, len(names) * 0.2)}
        self._longest = 1
        for key, variants in names.items():
            for name in dict.fromkeys(variants):
                self._add(key, name)
        self._counts = {name: trigrams(name) for name in self._normal}
        for name in self._normal:
            for gram in self._counts[name]:
                self._grams[gram].append(name)

    def _add(self, key: str, name: str) -> None:
        normal = normalised(name)
        words = normal.split()
        if not words:
            return
        self._longest = max(self._longest, len(words))
        _append(self._exact, name, key)
        _append(self._normal, normal, key)
        for n in range(1, len(words)):
            head = words[:n]
            if not all(word in self._generic or word in _ARTICLES for word in head):
                _append(self._prefix, " ".join(head), key)
        rest = [word for word in words if word not in self._generic]
        if rest and len(rest) < len(words):
            _append(self._prefix, " ".join(rest), key)
        if len(words) > 2:
            _append(self._acronym, "".join(word[0] for word in words), key)

    def link(self, text: str) -> list[Link]:
        """Return links of spans, the surest first; a span inside of another gives way."""
        words = [(m.start(), m.end()) for m in _WORD.finditer(text)]
        found: list[Link] = []
        longest = min(MAX_SPAN_WORDS, self._longest + 1)
        for first in range(len(words)):
            for last in range(first, min(len(words), first + longest)):
                start, end = words[first][0], words[last][1]
                found += self._of_span(text[start:end], start, end)
        if not found:
            found = self._by_trigrams(text, words, longest)
        return _outermost(found)[:MAX_LINKS]

    def _of_span(self, span: str, start: int, end: int) -> list[Link]:
        for how, keys in (
            (How.EXACT, self._exact.get(span)),
            (How.NORMALISED, self._normal.get(normalised(span))),
            (How.ACRONYM, self._acronym.get(span.lower()) if span.isupper() else None),
            (How.PREFIX, self._prefix.get(normalised(span))),
        ):
            if keys:
                p = _SURE[how] / len(keys)
                return [Link(start=start, end=end, key=key, p=p, how=how) for key in keys]
        return []

    def _by_trigrams(self, text: str, words: list[tuple[int, int]], longest: int) -> list[Link]:
        found = []
        for first in range(len(words)):
            for last in range(first, min(len(words), first + longest)):
                start, end = words[first][0], words[last][1]
                for name, score in self._alike(normalised(text[start:end])):
                    p = 0.5 + (score - MIN_TRIGRAM) / (1 - MIN_TRIGRAM) * 0.4
                    found += [
                        Link(start=start, end=end, key=key, p=p, how=How.TRIGRAM)
                        for key in self._normal[name]
                    ]
        return found

    def _alike(self, span: str, least: float = MIN_TRIGRAM) -> list[tuple[str, float]]:
        if len(span) < 4 and least >= MIN_TRIGRAM:
            return []
        grams = trigrams(span)
        near = Counter(name for gram in grams for name in self._grams.get(gram, ()))
        scored = [(name, dice(grams, self._counts[name])) for name, _ in near.most_common(200)]
        return sorted(((n, s) for n, s in scored if s >= least), key=lambda x: (-x[1], x[0]))

    def nearest(self, text: str, k: int) -> list[str]:
        """Return the keys of the k rows most like a text, however little they are."""
        keys = [
            key for name, _ in self._alike(normalised(text), 0.15) for key in self._normal[name]
        ]
        return list(dict.fromkeys(keys))[:k]


def _append(index: dict[str, list[str]], name: str, key: str) -> None:
    if key not in index[name]:
        index[name].append(key)


def _outermost(links: list[Link]) -> list[Link]:
    """Drop what lies inside of or overlaps a longer or surer span."""
    ranked = sorted(
        links,
        key=lambda li: (
            _ORDER[li.how] >= _ORDER[How.PREFIX],
            li.start - li.end,
            -li.p,
            li.start,
            li.key,
        ),
    )
    kept: list[Link] = []
    for link in ranked:
        same = [k for k in kept if k.start < link.end and link.start < k.end]
        if all((k.start, k.end) == (link.start, link.end) for k in same) and all(
            k.key != link.key for k in same
        ):
            kept.append(link)
    return sorted(kept, key=lambda li: (-li.p, li.start, li.key))

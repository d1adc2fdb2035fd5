"""Which section answers a question: the share of what is asked that it speaks of.

Words weigh by their inverse document frequency; a word that no section has weighs most, so that a
question about something else finds support nowhere. Headings count like the text.

    support(q, s) = sum of idf(w) over the words w of q that s has / sum of idf(w) over those of q
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from dialog.knowledge.sections import Section
from index.analyser import analyse

# Question words that name no subject, and German ones, which the analyser does not leave out.
_STOP: Final = frozenset(
    analyse(
        """
        by for get got if in know let long many much need not of on or please question say tell want
        with one else okay ok hi hello regarding there allowed possible happens happen just only
        der die das ein eine ist sind was wie wo wann warum kann ich sie wir und oder zu im in auf
        mit bei gibt es haben wissen uber fur
        """
    )
)
_SAME: Final[Mapping[str, str]] = {
    analyse(word)[0]: analyse(to)[0]
    for word, to in (
        *(("price", "cost"), ("fee", "cost"), ("charge", "cost"), ("expensive", "cost")),
        *(("kid", "child"), ("children", "child"), ("dog", "pet"), ("cat", "pet")),
        *(("pets", "pet"), ("wheelchair", "access"), ("send", "transfer"), ("bike", "bicycle")),
        *(("stolen", "lost"), ("cheque", "check")),
    )
}
"""Terms that ask for the same thing in the documents of a service."""


def words_of(text: str) -> list[str]:
    """Return the terms of a text that say what it is about; like terms share one form."""
    return [_SAME.get(term, term) for term in analyse(text) if term not in _STOP]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A section, and which share of the question it supports."""

    section: Section
    support: float


class SectionSearch:
    """The sections of one knowledge source, searched by words."""

    def __init__(self, sections: Sequence[Section]) -> None:
        self._sections = [(s, frozenset(words_of(f"{s.heading} {s.text}"))) for s in sections]
        self._headings = [frozenset(words_of(s.heading)) for s in sections]
        counts = Counter(word for _, words in self._sections for word in words)
        n = len(self._sections)
        self._idf = {word: log((n + 1) / (k + 0.5)) for word, k in counts.items()}
        self._unknown = log((n + 1) / 0.5)

    def search(self, query: str, k: int = 3) -> list[Found]:
        """Return the sections that support most of a query, the best first; none if it is empty."""
        asked = list(dict.fromkeys(words_of(query)))
        whole = sum(self.weight(word) for word in asked)
        if not whole:
            return []
        scored = []
        for i, (section, words) in enumerate(self._sections):
            support = sum(self.weight(word) for word in asked if word in words) / whole
            in_heading = sum(self.weight(word) for word in asked if word in self._headings[i])
            if support:
                scored.append((support, in_heading, -i, Found(section=section, support=support)))
        scored.sort(key=lambda one: one[:3], reverse=True)
        return [found for *_, found in scored[:k]]

    def weight(self, word: str) -> float:
        """Return the inverse document frequency of a stemmed word."""
        return self._idf.get(word, self._unknown)

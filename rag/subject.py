"""What a dialogue is about: the title of the document that its earlier turns come from.

A follow-up seldom names its subject ("when was she born?"), and neither do the turns before it; but
question and answer together find their document, and that has a title.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from index.protocol import Hit

_MOST_TURNS = 12
_MOST_CHARS = 600  # of an answer: the terms of a long one say no more about where it stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A question and what was answered; an empty answer is one that said nothing."""

    question: str
    answer: str = ""


class TermSearch(Protocol):
    """Finds chunks by their words; `index.collection.StoredCollection` does."""

    def search_terms(self, query: str, k: int) -> Sequence[Hit]:
        """Return up to k chunks that share a term with the query, best first."""
        ...


def subject_of(exchanges: Sequence[Exchange], collection: TermSearch) -> str:
    """Return the title that most of the turns so far are found under, "" where there is none.

    Of titles with equally many turns it is the one that came up last.
    """
    votes: Counter[str] = Counter()
    for exchange in reversed(exchanges[-_MOST_TURNS:]):
        text = f"{exchange.question} {exchange.answer[:_MOST_CHARS]}".replace('"', " ")
        votes.update(hit.title for hit in collection.search_terms(text, 1) if hit.title)
    return votes.most_common(1)[0][0] if votes else ""

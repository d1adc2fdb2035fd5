"""What a user types to find words: `plain words`, `"an exact phrase"`, `begin*`.

Plain words are ranked by. A phrase or the beginning of a word must be in a chunk, as it is written;
accents and case do not count. Nothing a user types reaches FTS5 unquoted.
"""

import re
from dataclasses import dataclass

from index.analyser import surfaces
from index.folding import fold

MOST_CONDITIONS = 8  # more quoted parts than this are a pasted text and no question

_CONDITION = re.compile(r'"(?P<phrase>[^"\n]+)"|(?<!\S)(?P<prefix>[^\W_]{2,})\*(?!\S)')


@dataclass(frozen=True, slots=True, kw_only=True)
class WordQuery:
    """A query taken apart: the text to rank by, and what a chunk must hold.

    A phrase is its words as they are written; `prefixes` are folded.
    """

    text: str
    phrases: tuple[tuple[str, ...], ...] = ()
    prefixes: tuple[str, ...] = ()

    @property
    def has_conditions(self) -> bool:
        """Whether a chunk must hold something."""
        return bool(self.phrases or self.prefixes)

    def match(self) -> str:
        """Return the condition in the language of FTS5, all words quoted."""
        phrases = [f'"{" ".join(phrase)}"' for phrase in self.phrases]
        return " AND ".join([*phrases, *(f'"{prefix}"*' for prefix in self.prefixes)])


def parse_words(query: str) -> WordQuery:
    """Return a query taken apart; one with too many conditions is plain text."""
    phrases, prefixes = [], []
    for match in _CONDITION.finditer(query):
        if match["prefix"]:
            prefixes.append(fold(match["prefix"]).casefold())
        elif phrase := written(match["phrase"]):
            phrases.append(phrase)
    if len(phrases) + len(prefixes) > MOST_CONDITIONS:
        return WordQuery(text=query)
    return WordQuery(
        text=_CONDITION.sub(lambda match: f" {match['phrase'] or ''} ", query),
        phrases=tuple(phrases),
        prefixes=tuple(prefixes),
    )


def written(text: str) -> tuple[str, ...]:
    """Return the words of a text as they are written, folded."""
    return tuple(token.text for token in surfaces(fold(text)))

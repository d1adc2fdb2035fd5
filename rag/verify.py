"""Whether the model's own sentence is borne out by the sentences quoted beside it.

Hard checks only, no model: every number and every name or piece of code in it must occur in the
quotes, nearly all its content words too, and it must not turn a statement into its opposite. What
merely repeats the quotes or the question says nothing new and is not worth showing.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from index.analyser import analyse

MIN_COVER = 0.85
MAX_REPEATED = 0.9
MIN_NEW_TERMS = 2
_HARD = re.compile(r"\d[\d.,]*|\b\w*_\w*\b|\b[a-z]+[A-Z]\w*|`[^`]+`|(?<=[\w,;:] )[A-Z]\w+")
_NEGATION = re.compile(r"\b(?:not|no|never|none|cannot|neither|nor)\b|n't\b", re.IGNORECASE)
_WORD = re.compile(r"\w+")


def is_borne_out(sentence: str, quotes: Sequence[str]) -> bool:
    """Tell whether quotes support every checkable part of a sentence."""
    evidence = " ".join(quotes)
    plain = evidence.lower()
    if any(item.strip("`.,").lower() not in plain for item in _HARD.findall(sentence)):
        return False
    terms = set(analyse(sentence))
    known = set(analyse(evidence))
    if not terms or len(terms & known) < MIN_COVER * len(terms):
        return False
    nearest = max(quotes, key=lambda quote: len(terms & set(analyse(quote))))
    return bool(_NEGATION.search(sentence)) == bool(_NEGATION.search(nearest))


def adds_something(sentence: str, quotes: Sequence[str], question: str) -> bool:
    """Tell whether a sentence is more than a copy of a quote or of the question."""
    new = set(analyse(sentence)) - set(analyse(question))
    if len(new) < MIN_NEW_TERMS:
        return False
    words = _WORD.findall(sentence.lower())
    return all(_repeated(words, _WORD.findall(q.lower())) < MAX_REPEATED for q in quotes)


def _repeated(words: Sequence[str], source: Sequence[str]) -> float:
    """Return the share of the sentence's word pairs that stand in the source as they are."""
    pairs = set(pairwise(words))
    return len(pairs & set(pairwise(source))) / max(len(pairs), 1)

"""Whether the model's own sentence is borne out by the sentences quoted beside it.

Hard checks only, no model: one quote must hold every number, every name or piece of code and every
content word of it, nearly in that order, and it must not turn a statement into its opposite. What
merely repeats a quote or the question says nothing new and is not worth showing.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from index.analyser import analyse

MIN_IN_ORDER = 0.8
MIN_DISTINCT_PAIRS = 0.7
MAX_REPEATED = 0.9
MIN_NEW_TERMS = 2
_HARD = re.compile(r"\d[\d.,]*|\b\w*_\w*\b|\b[a-z]+[A-Z]\w*|`[^`]+`|(?<=[\w,;:] )[A-Z]\w+")
_NEGATION = re.compile(r"\b(?:not|no|never|none|cannot|neither|nor)\b|n't\b", re.IGNORECASE)
_WORD = re.compile(r"\w+")


def is_borne_out(sentence: str, quotes: Sequence[str]) -> bool:
    """Tell whether one quote alone supports a sentence; two together may say what neither does.

    Every term of the sentence must stand in the quote, and nearly in the same order.
    """
    terms = analyse(sentence)
    if not terms or _is_looping(terms):
        return False
    return any(_bears_out(sentence, terms, quote) for quote in quotes)


def may_be_borne_out(beginning: str, quotes: Sequence[str]) -> bool:
    """Tell whether a sentence that begins so can still pass; its last word may be unfinished.

    Where this is false, `is_borne_out` is false for every continuation: a draft can be given up.
    """
    terms = set(analyse(beginning.rpartition(" ")[0]))
    return any(terms <= set(analyse(quote)) for quote in quotes)


def _bears_out(sentence: str, terms: Sequence[str], quote: str) -> bool:
    plain = quote.lower()
    if any(item.strip("`.,").lower() not in plain for item in _HARD.findall(sentence)):
        return False
    source = analyse(quote)
    if not set(terms) <= set(source):
        return False
    if _common_subsequence(terms, source) < MIN_IN_ORDER * len(terms):
        return False
    return bool(_NEGATION.search(sentence)) == bool(_NEGATION.search(quote))


def _common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    row = [0] * (len(second) + 1)
    for term in first:
        before = 0
        for i, other in enumerate(second, start=1):
            before, row[i] = row[i], before + 1 if term == other else max(row[i], row[i - 1])
    return row[-1]


def _is_looping(terms: Sequence[str]) -> bool:
    pairs = list(pairwise(terms))
    return len(set(pairs)) < MIN_DISTINCT_PAIRS * len(pairs)


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

"""The terms of a question, how rare each is in a collection, and which the collection lacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from index.analyser import analyse

_NEVER_A_TERM = " "  # the analyser gives letters and digits: this has the weight of what is absent


class TermWeights(Protocol):
    """What knows how rare terms are; `index.collection.StoredCollection` does."""

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Return the inverse document frequency of each term."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionTerms:
    """Inverse document frequencies by term, and the terms that occur nowhere."""

    weights: Mapping[str, float]
    unknown: frozenset[str]


def question_terms(question: str, collection: TermWeights) -> QuestionTerms:
    """Return what a collection knows of the terms of a question."""
    weights = collection.term_weights([*dict.fromkeys(analyse(question)), _NEVER_A_TERM])
    absent = weights.pop(_NEVER_A_TERM)
    unknown = frozenset(term for term, weight in weights.items() if weight >= absent)
    return QuestionTerms(weights=weights, unknown=unknown)

"""A collection without some of its documents, for questions that it shall not be able to answer.

Nothing is deleted: every search gets a filter. Of terms, such as stand in no other document weigh
what a word weighs that is nowhere, as they would if the documents had never been there.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from index.analyser import analyse
from index.filters import And, Filter, In, Not
from index.protocol import DocumentRecord, Fusion, Hit, Result

_ABSENT = " "  # no term, so it has the weight of what is absent


class FilterableCollection(Protocol):
    """What is needed of the whole collection; `index.collection.StoredCollection` has it."""

    def search(
        self, query: Float[np.ndarray, " d"], k: int, *, where: Filter | None = None
    ) -> Result:
        """Return the nearest chunks."""
        ...

    def search_fused(  # as the collection has it
        self,
        query: Float[np.ndarray, " d"],
        words: str,
        k: int,
        *,
        depth: int,
        fuse: Fusion,
        where: Filter | None = None,
    ) -> Sequence[Hit]:
        """Return the best of both lanes."""
        ...

    def search_terms(self, query: str, k: int, *, where: Filter | None = None) -> Result:
        """Return chunks that share a term with the query."""
        ...

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Return how rare each term is."""
        ...

    def get(self, document_id: str) -> tuple[DocumentRecord, str]:
        """Return a document and its text."""
        ...


class HeldOut:
    """A collection that finds nothing in the documents of some uris."""

    def __init__(self, whole: FilterableCollection, uris: Sequence[str]) -> None:
        self._whole = whole
        self._others: Filter = Not(filter=In(field="document.uri", values=tuple(uris)))

    def __getattr__(self, name: str) -> Any:
        """What is not a search is as it is in the whole."""
        return getattr(self._whole, name)

    def search(
        self, query: Float[np.ndarray, " d"], k: int, *, where: Filter | None = None
    ) -> Result:
        """Return the nearest chunks of the other documents."""
        return self._whole.search(query, k, where=self._narrowed(where))

    def search_fused(
        self,
        query: Float[np.ndarray, " d"],
        words: str,
        k: int,
        *,
        where: Filter | None = None,
        **how: Any,
    ) -> Sequence[Hit]:
        """Return the best of both lanes in the other documents."""
        return self._whole.search_fused(query, words, k, where=self._narrowed(where), **how)

    def search_terms(self, query: str, k: int, *, where: Filter | None = None) -> Result:
        """Return chunks of the other documents that share a term with the query."""
        return self._whole.search_terms(query, k, where=self._narrowed(where))

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Return how rare each term is; one of the held out documents alone is nowhere.

        A term that is not its own stem cannot be looked for and keeps its weight.
        """
        weights = self._whole.term_weights([*terms, _ABSENT])
        absent = weights.pop(_ABSENT)
        return {
            term: absent if self._is_gone(term) else weight for term, weight in weights.items()
        } | ({_ABSENT: absent} if _ABSENT in terms else {})

    def get(self, document_id: str) -> tuple[DocumentRecord, str]:
        """Return a document and its text, held out or not: only searches are narrowed."""
        return self._whole.get(document_id)

    def _is_gone(self, term: str) -> bool:
        if analyse(term) != [term]:
            return False
        return not len(self._whole.search_terms(term, 1, where=self._others))

    def _narrowed(self, where: Filter | None) -> Filter:
        return self._others if where is None else And(filters=(where, self._others))

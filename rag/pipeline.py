"""From a question to evidence: retrieve, judge, choose sentences.

The spine of the folder. Does not know the conversation or the model: the query it is given stands
on its own, and what it returns says whether to answer and which sentences carry the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from index.protocol import DocumentRecord
from rag.citations import Citation
from rag.document import Passage
from rag.embedder import Embedder
from rag.gate import GateDecision, judge
from rag.gate_model import DEFAULT_GATE, GateModel
from rag.packing import PackedPassage, pack_passages
from rag.question_terms import question_terms
from rag.quotes import Quote, choose_quotes
from rag.retriever import SearchableCollection, retrieve

NUM_PASSAGES = 10


class CitableCollection(SearchableCollection, Protocol):
    """A collection that can be searched, and whose documents can be cited."""

    def get(self, document_id: str) -> tuple[DocumentRecord, str]:
        """Return a document and its text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found for a question; `quotes` is empty where it is not near enough to answer."""

    passages: tuple[Passage, ...]
    quotes: tuple[Quote, ...]
    citations: tuple[Citation, ...]
    gate: GateDecision

    @property
    def is_near(self) -> bool:
        """Whether there is something to answer from."""
        return bool(self.quotes)


def _default_gate(_: str) -> GateModel:
    return DEFAULT_GATE


class RetrievalPipeline:
    """Finds the evidence for questions in named collections."""

    def __init__(
        self,
        open_collection: Callable[[str], CitableCollection],
        embedder: Embedder,
        *,
        priors: Mapping[str, float] | None = None,
        gate_of: Callable[[str], GateModel] = _default_gate,
    ) -> None:
        """Take what opens a collection, the embedder, and priors by the beginning of a uri.

        `gate_of` returns the gate of a collection by its name.
        """
        self._open = open_collection
        self._embedder = embedder
        self._priors = dict(priors or {})
        self._gate_of = gate_of

    def find(self, query: str, collection: str) -> Evidence:
        """Return the evidence for a query that stands on its own.

        Raises:
            UnknownCollectionError: no collection has this name.
        """
        opened = self._open(collection)
        terms = question_terms(query, opened)
        found = retrieve(
            query,
            opened,
            name=collection,
            embedder=self._embedder,
            k=NUM_PASSAGES,
            priors=self._priors,
        )
        gate = judge(
            query,
            found.passages,
            nearest=found.nearest,
            term_weights=terms.weights,
            unknown_terms=terms.unknown,
            model=self._gate_of(collection),
        )
        quotes: list[Quote] = []
        if gate.is_near:
            quotes = choose_quotes(
                query,
                found.passages,
                embedder=self._embedder,
                term_weights=terms.weights,
                priors=self._priors,
            )
        return Evidence(
            passages=found.passages,
            quotes=tuple(quotes),
            citations=tuple(_citations(quotes, opened)),
            gate=gate,
        )

    def packed(
        self,
        passages: Sequence[Passage],
        collection: str,
        *,
        count_tokens: Callable[[str], int],
        budget: int,
    ) -> list[PackedPassage]:
        """Return the passages as numbered evidence within a budget of tokens."""
        return pack_passages(
            passages, self._open(collection).get, count_tokens=count_tokens, budget=budget
        )


def _citations(quotes: Sequence[Quote], collection: CitableCollection) -> list[Citation]:
    hashes = {
        document_id: collection.get(document_id)[0].text_sha256
        for document_id in {quote.passage.document_id for quote in quotes}
    }
    return [
        replace(quote.citation(number), text_sha256=hashes[quote.passage.document_id])
        for number, quote in enumerate(quotes, start=1)
    ]

"""From a question to evidence: search, judge, choose sentences.

The spine of the folder. What is searched for, and how, is the collection's plan
(`rag/query_plan.py`, carried out by `rag/planned_search.py`); what comes back says whether to
answer and which sentences carry the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from index.protocol import DocumentRecord
from rag.citations import Citation
from rag.dialogue_context import NO_DIALOGUE, DialogueContext
from rag.document import Passage
from rag.embedder import Embedder
from rag.gate import GateDecision, judge
from rag.gate_model import DEFAULT_GATE, GateModel, shipped_gate
from rag.packing import PackedPassage, pack_passages
from rag.planned_search import PlannableCollection, PlannedSearch
from rag.query_plan import DEFAULT_PLAN, QueryPlan
from rag.question_likelihood import QuestionLikelihood
from rag.question_terms import question_terms
from rag.quotes import Quote, choose_quotes
from rag.retrieval_trace import RetrievalTrace

NUM_PASSAGES = 10


class CitableCollection(PlannableCollection, Protocol):
    """A collection that can be searched, and whose documents can be cited."""

    def get(self, document_id: str) -> tuple[DocumentRecord, str]:
        """Return a document and its text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found for a question; `quotes` is empty where it is not near enough to answer.

    `query` is the question as it stands on its own, `knowledge` what a model wrote, which may be
    read and not cited.
    """

    passages: tuple[Passage, ...]
    quotes: tuple[Quote, ...]
    citations: tuple[Citation, ...]
    gate: GateDecision
    query: str = ""
    trace: RetrievalTrace | None = None
    knowledge: tuple[Passage, ...] = ()

    @property
    def is_near(self) -> bool:
        """Whether there is something to answer from."""
        return bool(self.quotes)


def _default_plan(_: str) -> QueryPlan:
    return DEFAULT_PLAN


class RetrievalPipeline:
    """Finds the evidence for questions in named collections."""

    def __init__(
        self,
        open_collection: Callable[[str], CitableCollection],
        embedder: Embedder,
        *,
        priors: Mapping[str, float] | None = None,
        gate_of: Callable[[str], GateModel] = shipped_gate,
        plan_of: Callable[[str], QueryPlan] = _default_plan,
        search: PlannedSearch | None = None,
        likelihood: QuestionLikelihood | None = None,
    ) -> None:
        """Take what opens a collection, the embedder, and priors by the beginning of a uri.

        `gate_of` and `plan_of` return the gate and the plan of a collection by its name; `search`
        carries plans out, and has to be given where plans ask for a model or a reranker. Without
        `likelihood` the shipped gate decides where a collection's own asks the model.
        """
        self._open = open_collection
        self._embedder = embedder
        self._priors = dict(priors or {})
        self._gate_of = gate_of
        self._plan_of = plan_of
        self._search = search or PlannedSearch(embedder, priors=priors)
        self._likelihood = likelihood

    def find(
        self, question: str, collection: str, *, context: DialogueContext = NO_DIALOGUE
    ) -> Evidence:
        """Return the evidence for a question in its dialogue; without one it stands on its own.

        Raises:
            UnknownCollectionError: no collection has this name.
        """
        opened = self._open(collection)
        found = self._search.run(
            question,
            opened,
            name=collection,
            k=NUM_PASSAGES,
            plan=self._plan_of(collection),
            context=context,
        )
        query = found.query
        terms = question_terms(query, opened)
        model, likelihood = self._gate_of(collection), 0.0
        if model.asks_model:
            if self._likelihood is None:
                model = DEFAULT_GATE
            else:
                likelihood = self._likelihood.gain(query, found.passages)
        gate = judge(
            query,
            found.passages,
            nearest=found.nearest,
            term_weights=terms.weights,
            unknown_terms=terms.unknown,
            model=model,
            likelihood=likelihood,
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
            query=query,
            trace=found.trace,
            knowledge=found.knowledge,
        )

    def packed(
        self,
        passages: Sequence[Passage],
        collection: str,
        *,
        count_tokens: Callable[[str], int],
        budget: int,
        whole_sections: bool = False,
    ) -> list[PackedPassage]:
        """Return the passages as numbered evidence within a budget of tokens.

        With `whole_sections` they are filled up to their sections where these fit.
        """
        return pack_passages(
            passages,
            self._open(collection).get,
            count_tokens=count_tokens,
            budget=budget,
            whole_sections=whole_sections,
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

"""A search by a plan: the question made to stand alone, its lanes, one ranking of all they found.

The question's own search runs on the caller's thread and the other lanes beside it. Scores of other
rankings are mapped onto the span of the default's, since the gate and the choice of quotes were
made for those.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from jaxtyping import Float

from index.protocol import DocumentRecord, Hit
from rag.dedup import distinct
from rag.dialogue_context import (
    NO_DIALOGUE,
    DialogueContext,
    by_questions,
    by_subject,
    carried_passages,
)
from rag.diversity import marginal_order
from rag.document import Passage
from rag.embedder import Embedder
from rag.errors import PlanError
from rag.lane import InLane, Lane, LaneFound, LaneOutcome, PassageKey, RunningLanes, key_of
from rag.lane_ranking import fused_lanes, in_order, merged, with_candidates
from rag.query import refers_back
from rag.query_plan import DEFAULT_PLAN, QueryPlan
from rag.reranker import Reranker
from rag.retrieval_trace import LaneRecord, PassageRecord, RerankRecord, RetrievalTrace
from rag.retriever import (
    CANDIDATES_PER_PASSAGE,
    Retrieved,
    SearchableCollection,
    passage_of,
    retrieve,
)
from rag.writer import Writer
from rag.written_queries import (
    hypothetical_passages,
    knowledge,
    paraphrases,
    rewritten,
    sub_questions,
)

_CANDIDATES = 30


class PlannableCollection(SearchableCollection, Protocol):
    """What the lanes need of a collection; `index.collection.StoredCollection` has it."""

    def search(self, query: Float[np.ndarray, " d"], k: int) -> Sequence[Hit]:
        """Return the nearest chunks."""
        ...

    def search_terms(self, query: str, k: int) -> Sequence[Hit]:
        """Return chunks that share a term with the query."""
        ...

    def get(self, document_id: str) -> tuple[DocumentRecord, str]:
        """Return a document and its text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a search found: as `Retrieved`, for a `query` that stands alone, with its trace.

    `knowledge` is what a model wrote and nothing can cite.
    """

    query: str
    passages: tuple[Passage, ...]
    nearest: float
    trace: RetrievalTrace
    knowledge: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """One search: what it looks for and where."""

    query: str
    name: str
    collection: PlannableCollection
    plan: QueryPlan
    k: int

    @property
    def num_candidates(self) -> int:
        """How many passages are looked at before k of them are kept."""
        if not self.plan.looks_closer:
            return self.k
        return max(self.k, _CANDIDATES, self.plan.rerank_depth if self.plan.rerank else 0)


class PlannedSearch:
    """Searches collections by plans."""

    def __init__(
        self,
        embedder: Embedder,
        *,
        priors: Mapping[str, float] | None = None,
        writer: Writer | None = None,
        rerankers: Mapping[str, Reranker] | None = None,
    ) -> None:
        """Take the embedder, priors by the beginning of a uri, and what plans may ask for.

        Without a writer a plan's written lanes are left out, which the trace says.
        """
        self._embedder = embedder
        self._priors = dict(priors or {})
        self._writer = writer
        self._rerankers = dict(rerankers or {})

    def run(
        self,
        asked: str,
        collection: PlannableCollection,
        *,
        name: str,
        k: int,
        plan: QueryPlan = DEFAULT_PLAN,
        context: DialogueContext = NO_DIALOGUE,
    ) -> Planned:
        """Return the k best passages for a question in its dialogue."""
        query, rewriting = self._standalone(asked, collection, plan, context)
        search = _Search(query=query, name=name, collection=collection, plan=plan, k=k)
        running = RunningLanes(self._lanes(search, asked, context), seconds=plan.lane_s)
        began = time.perf_counter()
        own = retrieve(
            query,
            collection,
            name=name,
            embedder=self._embedder,
            k=search.num_candidates,
            priors=self._priors,
            depth=k * CANDIDATES_PER_PASSAGE,
            fusion=plan.fusion,
        )
        seconds = time.perf_counter() - began
        others = running.outcomes()
        return self._ranked(search, asked, own, others, _own_lanes(query, own, seconds), rewriting)

    def _standalone(
        self,
        asked: str,
        collection: PlannableCollection,
        plan: QueryPlan,
        context: DialogueContext,
    ) -> tuple[str, LaneRecord | None]:
        """Return the query, and how the model did if it was asked for it."""
        if plan.rewrite == "questions":
            return by_questions(asked, context), None
        if plan.rewrite == "subject" or not context.exchanges:
            return by_subject(asked, context, collection), None

        def rewrite(deadline: float) -> LaneFound:
            text = rewritten(asked, context.exchanges, self._asked_writer(), deadline=deadline)
            return LaneFound(queries=(text,), passages=())

        (outcome,) = RunningLanes({"rewrite": rewrite}, seconds=plan.lane_s).outcomes().values()
        record = _record("rewrite", outcome)
        if outcome.found is None:
            return by_subject(asked, context, collection), record
        return outcome.found.queries[0], record

    def _asked_writer(self) -> Writer:
        if self._writer is None:
            raise PlanError("no model is at hand that could write for a search")
        return self._writer

    def _lanes(self, search: _Search, asked: str, context: DialogueContext) -> dict[str, Lane]:
        """Return the lanes beside the question's own search."""
        plan = search.plan
        lanes: dict[str, Lane] = {}
        if plan.hyde:
            lanes["hyde"] = partial(self._hyde, search)
        if plan.paraphrases:
            lanes["paraphrases"] = partial(self._paraphrases, search)
        if plan.self_ask:
            lanes["self_ask"] = partial(self._self_ask, search)
        if plan.knowledge:
            lanes["knowledge"] = partial(self._knowledge, search)
        if plan.carried and any(context.cited) and refers_back(asked):
            lanes["carried"] = partial(self._carried, search, context)
        return lanes

    def _hyde(self, search: _Search, deadline: float) -> LaneFound:
        drafts = hypothetical_passages(
            search.query, search.plan.hyde, self._asked_writer(), deadline=deadline
        )
        vectors = self._embedder.encode([search.query, *drafts], "query")
        mean = vectors.mean(axis=0)
        mean /= np.linalg.norm(mean) or 1.0
        hits = search.collection.search(mean, search.num_candidates)
        return LaneFound(
            queries=tuple(drafts), passages=tuple(passage_of(hit, search.name) for hit in hits)
        )

    def _paraphrases(self, search: _Search, deadline: float) -> LaneFound:
        texts = paraphrases(
            search.query, search.plan.paraphrases, self._asked_writer(), deadline=deadline
        )
        return merged(texts, [self._fused(search, text) for text in texts])

    def _self_ask(self, search: _Search, deadline: float) -> LaneFound:
        found: list[Sequence[Passage]] = []

        def answer(sub_question: str) -> str:
            found.append(self._fused(search, sub_question))
            return found[-1][0].chunk.text if found[-1] else ""

        texts = sub_questions(
            search.query, search.plan.self_ask, self._asked_writer(), answer, deadline=deadline
        )
        return merged(texts, found)

    def _knowledge(self, search: _Search, deadline: float) -> LaneFound:
        written = knowledge(search.query, search.name, self._asked_writer(), deadline=deadline)
        queries = tuple(f"{search.query} {one.chunk.text}" for one in written)
        found = merged(queries, [self._fused(search, query) for query in queries])
        return replace(found, knowledge=tuple(written))

    def _carried(self, search: _Search, context: DialogueContext, _: float) -> LaneFound:
        vector = self._embedder.encode([search.query], "query")[0]
        kept = carried_passages(vector, context, self._embedder, search.collection.get)
        return LaneFound(queries=(search.query,), passages=tuple(kept))

    def _fused(self, search: _Search, query: str) -> Sequence[Passage]:
        return retrieve(
            query,
            search.collection,
            name=search.name,
            embedder=self._embedder,
            k=search.num_candidates,
            priors=self._priors,
            depth=search.k * CANDIDATES_PER_PASSAGE,
        ).passages

    def _ranked(
        self,
        search: _Search,
        asked: str,
        own: Retrieved,
        others: Mapping[str, LaneOutcome],
        records: Sequence[LaneRecord],
        rewriting: LaneRecord | None,
    ) -> Planned:
        """Return the passages of all lanes in one order, and how that came about."""
        plan = search.plan
        found = {name: one.found for name, one in others.items() if one.found is not None}
        carried = found.pop("carried", None)
        ranking = fused_lanes(own.passages, [one.passages for one in found.values()], plan)
        num_ranked = len(ranking)
        if plan.distinct:
            kept = distinct(ranking, threshold=plan.distinct)
            ranking = in_order(ranking, [ranking[i] for i in kept])
        left_out = num_ranked - len(ranking)
        if plan.mmr < 1 and ranking:
            ranking = self._varied(ranking, plan.mmr)
        reranked = None
        if plan.rerank is not None:
            ranking, reranked = self._reranked(search, plan.rerank, ranking)
        ranking = ranking[: search.k]
        if carried is not None:
            ranking = with_candidates(ranking, carried.passages)
            found["carried"] = carried
        places: dict[PassageKey, dict[str, InLane]] = {
            key_of(passage): dict(place)
            for passage, place in zip(own.passages, own.places, strict=False)
        }
        for lane, one in found.items():
            for key, place in one.places().items():
                places.setdefault(key, {})[lane] = place
        model_said = tuple(one for lane in found.values() for one in lane.knowledge)
        lanes = [*records, *(_record(name, one) for name, one in others.items())]
        return Planned(
            query=search.query,
            passages=tuple(ranking),
            nearest=own.nearest,
            knowledge=model_said,
            trace=RetrievalTrace(
                asked=asked,
                query=search.query,
                rewrite=plan.rewrite,
                fusion=plan.fusion,
                lanes=tuple(lanes if rewriting is None else [rewriting, *lanes]),
                passages=tuple(_passage_record(one, places) for one in ranking),
                rerank=reranked,
                mmr=plan.mmr if plan.mmr < 1 else None,
                left_out=left_out,
                knowledge=tuple(one.chunk.text for one in model_said),
            ),
        )

    def _varied(self, ranking: Sequence[Passage], share: float) -> list[Passage]:
        vectors = self._embedder.encode([one.chunk.text for one in ranking], "query")
        order = marginal_order([one.score for one in ranking], vectors, share=share)
        return in_order(ranking, [ranking[i] for i in order])

    def _reranked(
        self, search: _Search, name: str, ranking: list[Passage]
    ) -> tuple[list[Passage], RerankRecord]:
        first, rest = ranking[: search.plan.rerank_depth], ranking[search.plan.rerank_depth :]

        def rerank(_: float) -> LaneFound:
            if name not in self._rerankers:
                raise PlanError(f"no reranker {name!r} is at hand")
            again = self._rerankers[name].rerank(search.query, first)
            return LaneFound(queries=(search.query,), passages=tuple(again))

        (outcome,) = RunningLanes({name: rerank}, seconds=search.plan.lane_s).outcomes().values()
        record = RerankRecord(
            name=name, depth=len(first), seconds=outcome.seconds, problem=outcome.problem
        )
        if outcome.found is None:
            return ranking, record
        return in_order(ranking, [*outcome.found.passages, *rest]), record


def _own_lanes(query: str, own: Retrieved, seconds: float) -> list[LaneRecord]:
    return [
        LaneRecord(name=name, queries=(query,), seconds=seconds, num_found=num)
        for name, num in own.num_found.items()
    ]


def _record(name: str, outcome: LaneOutcome) -> LaneRecord:
    found = outcome.found
    return LaneRecord(
        name=name,
        queries=() if found is None else found.queries,
        seconds=outcome.seconds,
        num_found=0 if found is None else len(found.passages),
        problem=outcome.problem,
    )


def _passage_record(
    passage: Passage, places: Mapping[PassageKey, Mapping[str, InLane]]
) -> PassageRecord:
    return PassageRecord(
        document_id=passage.document_id,
        uri=passage.uri,
        start=passage.chunk.start,
        end=passage.chunk.end,
        rank=passage.rank,
        score=passage.score,
        lanes=places.get(key_of(passage), {}),
    )

"""The search of one collection by the words of a request: today's passages, or earlier ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from api.explanation_model import ExplanationModel, lanes_of
from api.schemas import HitList, HitModel, SearchRequest
from api.trace_model import InLaneModel, TraceModel
from index.errors import EmbedderMismatchError
from index.filters import Filter, filter_from_json
from index.protocol import Hit
from index.stop_words import Language
from index.store import CollectionStore
from rag.embedder import Embedder
from rag.explained_search import LaneQuery, search_lanes
from rag.gate_model import GateModel, shipped_gate
from rag.planned_search import Planned, PlannedSearch
from rag.query_plan import DEFAULT_PLAN, QueryPlan


@dataclass(frozen=True, slots=True)
class PassageSearch:
    """Searches the collections of a store with one embedder; `priors` by the beginning of a uri.

    `gate_of` returns the gate of a collection by its name. Where there are `search` and `plan_of`,
    a search of both lanes without a filter follows the collection's plan.
    """

    store: CollectionStore
    embedder: Embedder
    priors: Mapping[str, float] = field(default_factory=dict)
    gate_of: Callable[[str], GateModel] = shipped_gate
    search: PlannedSearch | None = None
    plan_of: Callable[[str], QueryPlan] | None = None

    def run(self, name: str, body: SearchRequest) -> HitList:
        """Return the passages nearest to the query, best first.

        Raises:
            EmbedderMismatchError: the collection holds vectors of another embedder.
            FilterError: the filter cannot be understood.
            UnknownCollectionError: there is none of this name.
            ValueError: the collection has had no such write, or no such snapshot; or a filter is
                given for an earlier state.
        """
        info = self.store.info(name)
        if info.fingerprint != self.embedder.fingerprint and "dense" in body.lanes:
            raise EmbedderMismatchError(
                f"collection {name!r} was made with {info.embedder!r}, not with the"
                f" {self.embedder.name!r} in use; ingest its sources into a new collection"
            )
        where = None if body.filter is None else filter_from_json(body.filter)
        if body.as_of is None:
            return self._today(name, body, where)
        if where is not None:
            raise ValueError("as_of cannot be asked with a filter; leave one of them out")
        if body.explain or body.lanes != ("dense",):
            raise ValueError("as_of searches the dense lane alone; leave lanes and explain out")
        vector = self.embedder.encode([body.query], "query")[0]
        versions = self.store.versions(name)
        past = versions.search(vector, body.k, at=versions.seq_of(body.as_of))
        language = self.store.open(name).language
        return HitList(
            data=[
                HitModel.from_hit(name, hit, query=body.query, language=language)
                for hit in past.hits
            ],
            complete=past.is_complete,
            scanned=past.scanned,
            reason=past.reason,
        )

    def _today(self, name: str, body: SearchRequest, where: Filter | None) -> HitList:
        collection = self.store.open(name)
        query = LaneQuery(
            text=body.query,
            k=body.k,
            lanes=body.lanes,
            where=where,
            deadline_s=body.deadline_s,
            priors=self.priors,
            explain=body.explain,
            gate=self.gate_of(name),
        )
        found = search_lanes(query, collection, self.embedder)
        shown = [
            (hit, HitModel.from_hit(name, hit.hit, query=body.query, language=collection.language))
            for hit in found.hits
        ]
        if body.explain:
            for hit, model in shown:
                model.lanes, model.prior = lanes_of(hit), hit.prior
        answer = HitList(
            data=[model for _, model in shown],
            complete=found.result.complete,
            scanned=found.result.scanned,
            explain=ExplanationModel.of(found) if body.explain else None,
        )
        plan = DEFAULT_PLAN if self.plan_of is None else self.plan_of(name)
        if self.search is None or plan.is_fused_search or where is not None or not query.is_fused:
            return answer
        planned = self.search.run(body.query, collection, name=name, k=body.k, plan=plan)
        answer.data = _shown(planned, body, collection.language)
        if answer.explain is not None:
            answer.explain.trace = TraceModel.of(planned.trace)
        return answer


def _shown(planned: Planned, body: SearchRequest, language: Language) -> list[HitModel]:
    """Return what a plan found as a search shows it."""
    models = []
    for passage, record in zip(planned.passages, planned.trace.passages, strict=True):
        chunk = passage.chunk
        hit = Hit(
            document_id=passage.document_id,
            uri=passage.uri,
            title=passage.title,
            start=chunk.start,
            end=chunk.end,
            text=chunk.text,
            heading_path=chunk.heading_path,
            score=passage.score,
            rank=passage.rank,
        )
        model = HitModel.from_hit(passage.collection, hit, query=body.query, language=language)
        if body.explain:
            model.lanes = {lane: InLaneModel.of(place) for lane, place in record.lanes.items()}
        models.append(model)
    return models

"""What carries out the plans of collections: the embedder, the chat model, the rerankers."""

from collections.abc import Mapping

from index.store import CollectionStore
from llm.chat import ChatModel, TextScorer
from rag.embedder import Embedder
from rag.late_interaction import LateInteraction, TokenEncoder
from rag.planned_search import PlannedSearch
from rag.reranker import QueryLikelihood, Reranker
from rag.writer import ModelWriter


def planned_search(
    embedder: Embedder,
    *,
    priors: Mapping[str, float],
    store: CollectionStore,
    model: ChatModel | None = None,
    scorer: TextScorer | None = None,
    tenant: str = "",
) -> PlannedSearch:
    """Return what searches by plans; what is not given is left out, and traces say so."""
    rerankers: dict[str, Reranker] = {}
    if isinstance(embedder, TokenEncoder):
        late = LateInteraction(embedder, store.open)
        rerankers[late.name] = late
    if scorer is not None:
        rerankers[QueryLikelihood.name] = QueryLikelihood(scorer)
    return PlannedSearch(
        embedder,
        priors=priors,
        writer=None if model is None else ModelWriter(model, tenant=tenant),
        rerankers=rerankers,
    )

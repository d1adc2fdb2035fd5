"""What carries out the plans of collections: the embedder, the chat model, the rerankers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from api.settings import Settings
from index.store import CollectionStore
from llm.async_engine import AsyncEngine
from llm.chat import ChatModel, TextScorer
from llm.cross_encoder import CrossEncoderModel
from rag.cross_encoding import CrossEncoding
from rag.embedder import Embedder
from rag.late_interaction import LateInteraction, TokenEncoder
from rag.planned_search import PlannedSearch
from rag.query_plan import QueryPlan
from rag.reranker import QueryLikelihood, Reranker
from rag.writer import ModelWriter


def planned_search(
    embedder: Embedder,
    *,
    priors: Mapping[str, float],
    store: CollectionStore,
    model: ChatModel | None = None,
    scorer: TextScorer | None = None,
    cross_encoder: Path | None = None,
    tenant: str = "",
) -> PlannedSearch:
    """Return what searches by plans; what is not given is left out, and traces say so.

    Raises:
        CheckpointError: the folder holds no cross-encoder.
        UnsupportedModelError: sentence-transformers is not installed, which it needs.
    """
    rerankers: dict[str, Reranker] = {}
    if isinstance(embedder, TokenEncoder):
        late = LateInteraction(embedder, store.open)
        rerankers[late.name] = late
    if scorer is not None:
        rerankers[QueryLikelihood.name] = QueryLikelihood(scorer)
    if cross_encoder is not None:
        rerankers[CrossEncoding.name] = CrossEncoding(CrossEncoderModel(cross_encoder))
    return PlannedSearch(
        embedder,
        priors=priors,
        writer=None if model is None else ModelWriter(model, tenant=tenant),
        rerankers=rerankers,
    )


@contextmanager
def search_by_plan(  # all but the plan by name
    plan: QueryPlan,
    *,
    settings: Settings,
    embedder: Embedder,
    priors: Mapping[str, float],
    store: CollectionStore,
    open_engine: Callable[[], AsyncEngine],
    asks: bool = False,
) -> Iterator[tuple[PlannedSearch, AsyncEngine | None]]:
    """Give what carries out one plan, and the chat model where the plan needs it or `asks`."""
    engine = open_engine() if asks or plan.needs_engine else None
    try:
        search = planned_search(
            embedder,
            priors=priors,
            store=store,
            model=engine,
            scorer=engine,
            cross_encoder=settings.cross_encoder if plan.rerank == "cross-encoder" else None,
        )
        yield search, engine
    finally:
        if engine is not None:
            engine.close()

"""What answers the questions of a set: the pipeline alone, or the dialogue with the chat model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from sqlalchemy import Engine

from api.bootstrap import embedder_alone, open_scorer
from api.dialog_answerer import DialogAnswerer
from api.gate_files import GATES, GateFiles
from api.plan_files import PLANS, PlanFiles
from api.search_bootstrap import search_by_plan
from api.settings import Settings
from api.state_database import index_folder, state_database
from api.tenant import place_of
from api.tenant_bootstrap import PRIORS
from dialog.session import SQLSessionStore
from index.store import CollectionStore
from llm.async_engine import AsyncEngine
from llm.chat import ChatModel
from rag.answering import ExtractiveAnswerer, OpenCollection
from rag.embedder import Embedder
from rag.evaluation import Answerer
from rag.evaluation_set import EvaluationItem, Relevant
from rag.gate_model import DEFAULT_GATE, GateModel
from rag.model_questions import ROUND_TRIP, RoundTrip
from rag.pipeline import RetrievalPipeline
from rag.question_likelihood import QuestionLikelihood

PipelineOver = Callable[[Callable[[str], GateModel], OpenCollection], RetrievalPipeline]


@contextmanager
def answering(
    settings: Settings, tenant: str, collection: str, *, with_model: bool = False
) -> Iterator[tuple[Answerer, int]]:
    """Give what answers from a collection, and the number of the collection's last write.

    Raises:
        UnknownCollectionError: there is no such collection.
        ModelStoreError: a model is not on this machine.
    """
    with _opened(settings, tenant, collection) as (database, store, embedder):
        seq = store.open(collection).search_terms("-", 1).seq
        gates = GateFiles(place_of(settings, tenant).state / GATES, store.info)
        asks = with_model or gates.gate_of(collection).asks_model
        with _over((settings, tenant, collection), store, embedder, asks=asks) as (over, model):
            extractive = ExtractiveAnswerer(store.open, partial(over, gates.gate_of), collection)
            if not with_model:
                yield extractive, seq
                return
            assert model is not None, "it was asked for"
            sessions = SQLSessionStore(database)  # whole chats are sent: none is written
            yield (
                DialogAnswerer(
                    model, extractive, collection, sessions, max_tokens=settings.max_tokens
                ),
                seq,
            )


@contextmanager
def gate_fitting(
    settings: Settings, tenant: str, collection: str, *, with_model: bool = False
) -> Iterator[tuple[Callable[[EvaluationItem], RetrievalPipeline], GateFiles]]:
    """Give what searches for a question without what it holds out, and where gates are kept.

    With the model, what was found is read by it, and the features hold the likelihood.

    Raises:
        UnknownCollectionError: there is no such collection.
        ModelStoreError: a model is not on this machine.
    """
    with (
        _opened(settings, tenant, collection) as (_, store, embedder),
        _over((settings, tenant, collection), store, embedder, asks=with_model) as (over, _),
    ):
        gates = GateFiles(place_of(settings, tenant).state / GATES, store.info)
        asking = replace(DEFAULT_GATE, weights={**DEFAULT_GATE.weights, "likelihood": 0.0})
        pipeline_over = partial(over, lambda _: asking if with_model else DEFAULT_GATE)
        yield ExtractiveAnswerer(store.open, pipeline_over, collection).pipeline_for, gates


@contextmanager
def _over(
    place: tuple[Settings, str, str], store: CollectionStore, embedder: Embedder, *, asks: bool
) -> Iterator[tuple[PipelineOver, AsyncEngine | None]]:
    """Give what makes pipelines that search by the collection's plan, and the model if needed."""
    settings, tenant, collection = place
    plans = PlanFiles(place_of(settings, tenant).state / PLANS, store.info)
    plan = plans.plan_of(collection)
    with search_by_plan(
        plan,
        settings=settings,
        embedder=embedder,
        priors=PRIORS,
        store=store,
        open_engine=lambda: open_scorer(settings),
        asks=asks,
    ) as (search, engine):

        def pipeline_over(
            gate_of: Callable[[str], GateModel], open_collection: OpenCollection
        ) -> RetrievalPipeline:
            return RetrievalPipeline(
                open_collection,
                embedder,
                priors=PRIORS,
                gate_of=gate_of,
                plan_of=lambda _: plan,
                search=search,
                likelihood=None if engine is None else QuestionLikelihood(engine),
            )

        yield pipeline_over, engine


@contextmanager
def question_writing(
    settings: Settings, tenant: str, collection: str
) -> Iterator[tuple[ChatModel, RoundTrip]]:
    """Give the chat model, and what tells whether a lane finds a place for a question."""
    with _opened(settings, tenant, collection) as (_, store, embedder):
        opened = store.open(collection)

        def comes_back(question: str, place: Relevant) -> bool:
            vector = embedder.encode([question], "query")[0]
            lanes = opened.search(vector, ROUND_TRIP), opened.search_terms(question, ROUND_TRIP)
            return any(place.is_in(hit.uri, hit.start, hit.end) for lane in lanes for hit in lane)

        with _chat_model(settings) as model:
            yield model, comes_back


@contextmanager
def _opened(
    settings: Settings, tenant: str, collection: str
) -> Iterator[tuple[Engine, CollectionStore, Embedder]]:
    with state_database(settings, tenant) as database:
        folder = index_folder(place_of(settings, tenant))
        store = CollectionStore(database, threads=settings.threads or 1, folder=folder)
        try:
            store.info(collection)
            yield database, store, embedder_alone(settings)
        finally:
            store.close()


@contextmanager
def _chat_model(settings: Settings) -> Iterator[ChatModel]:
    engine = open_scorer(settings)
    try:
        yield engine
    finally:
        engine.close()

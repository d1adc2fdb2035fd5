"""What answers the questions of a set: the pipeline alone, or the dialogue with the chat model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from sqlalchemy import Engine

from api.bootstrap import embedder_alone, open_scorer
from api.dialog_answerer import DialogAnswerer
from api.gate_files import GATES, GateFiles
from api.settings import Settings
from api.state_database import index_folder, state_database
from api.tenant import place_of
from api.tenant_bootstrap import PRIORS
from dialog.session import SQLSessionStore
from index.store import CollectionStore
from llm.chat import ChatModel
from rag.answering import ExtractiveAnswerer, OpenCollection
from rag.embedder import Embedder
from rag.evaluation import Answerer
from rag.evaluation_set import EvaluationItem, Relevant
from rag.model_questions import ROUND_TRIP, RoundTrip
from rag.pipeline import RetrievalPipeline


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
        pipeline_over = partial(_pipeline_over, embedder, gates)
        extractive = ExtractiveAnswerer(store.open, pipeline_over, collection)
        if not with_model:
            yield extractive, seq
            return
        with _chat_model(settings) as model:
            sessions = SQLSessionStore(database)  # whole chats are sent: none is written
            yield (
                DialogAnswerer(
                    model, extractive, collection, sessions, max_tokens=settings.max_tokens
                ),
                seq,
            )


@contextmanager
def gate_fitting(
    settings: Settings, tenant: str, collection: str
) -> Iterator[tuple[Callable[[EvaluationItem], RetrievalPipeline], GateFiles]]:
    """Give what searches for a question without what it holds out, and where gates are kept.

    Raises:
        UnknownCollectionError: there is no such collection.
        ModelStoreError: the embedding model is not on this machine.
    """
    with _opened(settings, tenant, collection) as (_, store, embedder):
        gates = GateFiles(place_of(settings, tenant).state / GATES, store.info)
        pipeline_over = partial(_pipeline_over, embedder, gates)
        yield ExtractiveAnswerer(store.open, pipeline_over, collection).pipeline_for, gates


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


def _pipeline_over(
    embedder: Embedder, gates: GateFiles, open_collection: OpenCollection
) -> RetrievalPipeline:
    return RetrievalPipeline(open_collection, embedder, priors=PRIORS, gate_of=gates.gate_of)

"""What answers the questions of a set: the pipeline alone, or the dialogue with the chat model."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from api.bootstrap import embedder_alone
from api.settings import Settings
from api.state_database import index_folder, state_database
from api.tenant import place_of
from api.tenant_bootstrap import PRIORS
from index.store import CollectionStore
from rag.answering import ExtractiveAnswerer, OpenCollection
from rag.embedder import Embedder
from rag.evaluation import Answerer
from rag.pipeline import RetrievalPipeline


@contextmanager
def answering(settings: Settings, tenant: str, collection: str) -> Iterator[tuple[Answerer, int]]:
    """Give what answers from a collection, and the number of the collection's last write.

    Raises:
        UnknownCollectionError: there is no such collection.
        ModelStoreError: a model is not on this machine.
    """
    with ExitStack() as stack:
        database = stack.enter_context(state_database(settings, tenant))
        folder = index_folder(place_of(settings, tenant))
        store = CollectionStore(database, threads=settings.threads or 1, folder=folder)
        stack.callback(store.close)
        store.info(collection)
        embedder = embedder_alone(settings)
        pipeline_over = partial(_pipeline_over, embedder)
        seq = store.open(collection).search_terms("-", 1).seq
        yield ExtractiveAnswerer(store.open, pipeline_over, collection), seq


def _pipeline_over(embedder: Embedder, open_collection: OpenCollection) -> RetrievalPipeline:
    return RetrievalPipeline(open_collection, embedder, priors=PRIORS)

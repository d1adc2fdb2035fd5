"""What the command `ingest` works with: an embedding model and the store, or a running server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api import bootstrap
from api.settings import Settings, unworkable_settings
from api.state_database import index_folder, state_database
from api.tenant import place_of
from index.store import CollectionStore
from llm.model_store import ModelStore
from llm.thread_count import set_threads
from rag.ingest import Ingestor

OnProgress = Callable[[str, int, int], None]


@contextmanager
def open_ingestor(settings: Settings, tenant: str, on_progress: OnProgress) -> Iterator[Ingestor]:
    """Give what ingests into the collections of a tenant; no chat model is fetched or loaded.

    Raises:
        ModelStoreError: the embedding model cannot be had.
        ConfigurationError: a setting that this machine cannot do.
    """

    def report(done: int, total: int, name: str) -> None:
        on_progress(f"fetching {name}", done, total)

    ModelStore(settings.home).resolve(settings.embedding_model, report)
    with unworkable_settings():
        threads = set_threads(settings.threads)
    with state_database(settings, tenant) as database:
        folder = index_folder(place_of(settings, tenant))
        store = CollectionStore(database, threads=threads, folder=folder)
        try:
            on_progress("loading the embedding model", 0, 1)
            embedder = bootstrap.embedder_alone(settings)
            on_progress("loading the embedding model", 1, 1)
            with unworkable_settings():
                ingestor = Ingestor(
                    store,
                    embedder,
                    chunk_overlap=settings.chunk_overlap,
                    near_duplicates=settings.near_duplicates,
                )
            yield ingestor
        finally:
            store.close()

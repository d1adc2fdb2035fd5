"""What the command `ingest` works with: the store, and an embedding model once it is needed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from api.late_ingest import LateIngest
from api.settings import Settings, unworkable_settings
from api.state_database import index_folder, state_database
from api.tenant import place_of
from index.store import CollectionStore
from llm.model_store import ModelStore
from llm.thread_count import set_threads, usable_threads
from rag.embedder import Embedder

OnProgress = Callable[[str, int, int], None]


@contextmanager
def open_ingest(
    settings: Settings, tenant: str, shown: Callable[[], AbstractContextManager[OnProgress]]
) -> Iterator[LateIngest]:
    """Give what ingests into the collections of a tenant; no chat model is fetched or loaded.

    The embedding model is fetched and loaded when a source is to be read, which `shown` shows;
    `ModelStoreError` is raised then where it cannot be had.

    Raises:
        ConfigurationError: a setting that this machine cannot do.
    """
    with unworkable_settings():
        threads = usable_threads(settings.threads)
    with state_database(settings, tenant) as database:
        folder = index_folder(place_of(settings, tenant))
        store = CollectionStore(database, threads=threads, folder=folder)
        try:
            yield LateIngest(
                store,
                lambda: _embedder(settings, shown),
                embedder_name=settings.embedding_model,
                chunk_overlap=settings.chunk_overlap,
                near_duplicates=settings.near_duplicates,
            )
        finally:
            store.close()


def _embedder(
    settings: Settings, shown: Callable[[], AbstractContextManager[OnProgress]]
) -> Embedder:
    # Here and not above: importing torch takes seconds, and where nothing is read nothing needs it.
    from api import bootstrap  # noqa: PLC0415

    with shown() as on_progress:
        ModelStore(settings.home).resolve(
            settings.embedding_model,
            lambda done, total, name: on_progress(f"fetching {name}", done, total),
        )
        set_threads(settings.threads)
        on_progress("loading the embedding model", 0, 1)
        embedder = bootstrap.embedder_alone(settings)
        on_progress("loading the embedding model", 1, 1)
    return embedder

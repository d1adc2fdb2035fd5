"""Who does the work of the command `ingest`; `rag.ingest.Ingestor` satisfies the port."""

import threading
from collections.abc import Callable
from typing import Protocol

from index.errors import UnknownCollectionError
from index.store import CollectionStore
from rag.ingest_plan import IngestPlan, make_plan
from rag.ingest_recipe import Recipe
from rag.ingest_report import FileReport, Progress
from rag.ingest_source import Scan


class IngestDesk(Protocol):
    """Who compares files with a collection, and brings them in."""

    def plan(self, scan: Scan, collection: str) -> IngestPlan:
        """Return what `apply` would do; changes nothing."""
        ...

    def apply(
        self,
        plan: IngestPlan,
        collection: str,
        *,
        is_confirmed: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> list[FileReport]:
        """Do it; raises `RemovalDoubtError` where the plan has doubts and nobody confirmed it."""
        ...


class LookingDesk:
    """Compares by what the database says, without models; changes nothing.

    `chunk_overlap` is that of the ingest it looks ahead to; None where a server decides.
    """

    def __init__(self, store: CollectionStore, *, chunk_overlap: int | None = None) -> None:
        self._store = store
        self._recipe = Recipe(overlap=chunk_overlap)

    def plan(self, scan: Scan, collection: str) -> IngestPlan:
        """Return what an ingest would do."""
        try:
            return make_plan(scan, self._store.open(collection), self._recipe)
        except UnknownCollectionError:
            return make_plan(scan, None, self._recipe)

"""Files and documents into a collection: compared with what it holds, read, embedded, stored.

Sources are compared by hash, so that a second run over the same files embeds nothing, and an edited
one embeds its changed chunks. Only `apply` removes documents because their file is gone, and only
those that came from a folder its plan is about.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from index.errors import CollectionExistsError, EmbedderMismatchError, UnknownCollectionError
from index.protocol import CollectionInfo
from rag.dedup import DEFAULT_THRESHOLD
from rag.document import Document
from rag.document_store import DocumentStore
from rag.embedder import Embedder
from rag.errors import RemovalDoubtError
from rag.ingest_plan import Comparison, IngestPlan, make_plan
from rag.ingest_recipe import MAX_CHUNK_TOKENS, Recipe
from rag.ingest_report import FileReport, Progress
from rag.ingest_run import Hooks, IngestRun, RunOptions
from rag.ingest_source import BytesSource, DocumentSource, FileSource, Scan, Source
from rag.parsing import DEFAULT_LIMITS, ParseLimits
from rag.source_files import source_files, upload_uri


class Ingestor:
    """Brings sources into the collections of one store with one embedder.

    No chunk has more than `max_chunk_tokens` tokens, nor more than the embedder reads; chunks of
    running text begin with up to `chunk_overlap` tokens of the one before.
    Sources of one run whose texts resemble each other by `near_duplicates` or more are stored and
    reported as such; 0 compares none.
    Safe for threads if both are; two runs over the same files at once would both embed them.
    """

    def __init__(
        self,
        store: DocumentStore,
        embedder: Embedder,
        *,
        limits: ParseLimits = DEFAULT_LIMITS,
        max_chunk_tokens: int = MAX_CHUNK_TOKENS,
        chunk_overlap: int = 0,
        near_duplicates: float = DEFAULT_THRESHOLD,
    ) -> None:
        """Take the store, the embedder and the options of the run.

        Raises:
            ValueError: the overlap is not less than half of the tokens of a chunk.
        """
        self._store = store
        self._embedder = embedder
        self._limits = limits
        self._near_duplicates = near_duplicates
        most = min(max_chunk_tokens, embedder.max_tokens)
        self._recipe = Recipe(max_tokens=most, overlap=chunk_overlap)

    def plan(self, scan: Scan, collection: str) -> IngestPlan:
        """Return what `apply` would do; changes nothing, and makes no collection.

        Raises:
            EmbedderMismatchError: the collection was made with another embedder.
        """
        try:
            self._check(self._store.info(collection))
        except UnknownCollectionError:
            return make_plan(scan, None, self._recipe, limits=self._limits)
        stored = self._store.open(collection)
        return make_plan(scan, stored, self._recipe, limits=self._limits)

    def apply(
        self,
        plan: IngestPlan,
        collection: str,
        *,
        is_confirmed: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> list[FileReport]:
        """Do what was planned; return one report a source, and one a removed document.

        Documents are removed last. A run that was cancelled or killed is made good by the next.

        Raises:
            RemovalDoubtError: the plan has doubts and nobody confirmed it; nothing was done.
            EmbedderMismatchError: the collection was made with another embedder.
        """
        if plan.doubts and not is_confirmed:
            raise RemovalDoubtError(plan.doubts)
        hooks = Hooks(on_progress=on_progress, cancel=cancel)
        run = self._run(collection, hooks, len(plan.steps), removed=plan.removed)
        reports = run.ingest(plan.steps)
        if plan.forgotten:
            self._store.open(collection).note([], forget=plan.forgotten)
        return reports

    def ingest_paths(
        self,
        paths: Sequence[Path],
        collection: str,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        pause: Callable[[], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> list[FileReport]:
        """Ingest files and folders; return one report a file, in order. Nothing is removed.

        Args:
            paths: files and folders; of folders every readable file, recursively.
            collection: its name; created when missing.
            on_progress: told of every step.
            pause: called before every batch of at most 8 texts; may block.
            cancel: once set, the run ends after the current batch; what is not stored by then is
                reported as skipped.

        Raises:
            EmbedderMismatchError: the collection was made with another embedder.
        """
        sources = [FileSource(file=file) for file in source_files(paths)]
        hooks = Hooks(on_progress, pause, cancel)
        return self._ingest(sources, collection, hooks, len(sources))

    def ingest_bytes(
        self,
        name: str,
        data: bytes,
        collection: str,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        pause: Callable[[], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> FileReport:
        """Ingest one uploaded file; arguments and errors as in `ingest_paths`.

        Raises:
            ValueError: `name` is not the plain base name of a file.
        """
        source = BytesSource(uri=upload_uri(name), data=data)
        return self._ingest([source], collection, Hooks(on_progress, pause, cancel), 1)[0]

    def ingest_documents(
        self,
        documents: Iterable[Document],
        collection: str,
        *,
        total: int | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        pause: Callable[[], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> list[FileReport]:
        """Ingest documents that were parsed elsewhere; arguments and errors as in `ingest_paths`.

        `total`, if known, is how many there will be. Once cancelled, no more are taken from
        `documents`.
        """
        hooks = Hooks(on_progress, pause, cancel)
        sources = (DocumentSource(document=document) for document in documents)
        return self._ingest(hooks.until_cancelled(sources), collection, hooks, total or 0)

    def _ingest(
        self, sources: Iterable[Source], collection: str, hooks: Hooks, total: int
    ) -> list[FileReport]:
        run = self._run(collection, hooks, total)
        stored = self._store.open(collection)
        compared = Comparison(stored.sources(), stored.notes(), self._recipe, self._limits)
        return run.ingest(compared.of(sources))

    def _run(
        self, collection: str, hooks: Hooks, total: int, *, removed: Sequence[str] = ()
    ) -> IngestRun:
        embedder = self._embedder
        try:
            info = self._store.info(collection)
        except UnknownCollectionError:
            with contextlib.suppress(CollectionExistsError):  # made by another run just now
                self._store.create(
                    collection,
                    embedder=embedder.name,
                    fingerprint=embedder.fingerprint,
                    dim=embedder.dim,
                )
            info = self._store.info(collection)
        self._check(info)
        options = RunOptions(
            limits=self._limits,
            recipe=self._recipe,
            total=total,
            token_vectors=info.token_vectors,
            removed=removed,
            near_duplicates=self._near_duplicates,
        )
        return IngestRun(self._store.open(collection), embedder, hooks, options)

    def _check(self, info: CollectionInfo) -> None:
        embedder = self._embedder
        if info.fingerprint != embedder.fingerprint:
            raise EmbedderMismatchError(
                f"collection {info.name!r} holds vectors of {info.embedder} ({info.fingerprint}),"
                f" not of {embedder.name} ({embedder.fingerprint}); ingest into a new collection"
            )

"""Files and documents into a collection: read, chunk, embed, store.

Sources are compared by hash with what the collection holds, so that a second run over the same
files embeds nothing. A document is stored in one transaction once all its vectors are there:
whenever a run ends, by cancellation or by a crash, the collection holds whole documents only.
Nothing is removed from a collection because its file is gone.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from index.errors import CollectionExistsError, EmbedderMismatchError, UnknownCollectionError
from index.protocol import DocumentRecord, Item, NewDocument
from rag.chunking import chunk
from rag.document import Document, sha256_hex
from rag.document_store import DocumentStore, StoredDocuments
from rag.embedder import Embedder
from rag.errors import FailureCode, ParseError
from rag.parsing import DEFAULT_LIMITS, ParseLimits, parse, read_file
from rag.passage_text import passage_texts
from rag.sniffing import sniff
from rag.source_files import SourceFile, source_files, upload_uri
from rag.vector_queue import Embedded, VectorQueue

MAX_CHUNK_TOKENS = 256
Phase = Literal["read", "embed", "store"]


class Outcome(StrEnum):
    """What became of one source."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What became of one source; `reason` is a sentence for SKIPPED and FAILED, `code` its kind.

    A document that was stored with a part missing (a page that cannot be read) says so there too.
    """

    uri: str
    outcome: Outcome
    reason: str = ""
    code: FailureCode | None = None
    document_id: str = ""
    num_chunks: int = 0
    num_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is: sources read, chunks embedded, sources done with, each of `total`.

    The total of `embed` grows while sources are still being read.
    """

    phase: Phase
    done: int
    total: int
    uri: str


class Ingestor:
    """Brings sources into the collections of one store with one embedder.

    Safe for threads if both are; two runs over the same files at once would both embed them.
    """

    def __init__(
        self, store: DocumentStore, embedder: Embedder, *, limits: ParseLimits = DEFAULT_LIMITS
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._limits = limits

    def ingest_paths(
        self,
        paths: Sequence[Path],
        collection: str,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        pause: Callable[[], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> list[FileReport]:
        """Ingest files and folders; return one report a file, in order.

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
        files = list(source_files(paths))
        sources = (_Source(file.uri, partial(self._load_file, file)) for file in files)
        hooks = _Hooks(on_progress, pause, cancel)
        return self._run(collection, hooks, len(files)).ingest(sources)

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
        uri = upload_uri(name)
        source = _Source(uri, partial(self._load_bytes, uri, data))
        return self._run(collection, _Hooks(on_progress, pause, cancel), 1).ingest([source])[0]

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
        hooks = _Hooks(on_progress, pause, cancel)
        sources = (
            _Source(document.uri, partial(_load_document, document)) for document in documents
        )
        return self._run(collection, hooks, total or 0).ingest(hooks.until_cancelled(sources))

    def _run(self, collection: str, hooks: "_Hooks", total: int) -> "_Run":
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
        if info.fingerprint != embedder.fingerprint:
            raise EmbedderMismatchError(
                f"collection {collection!r} holds vectors of {info.embedder} ({info.fingerprint}),"
                f" not of {embedder.name} ({embedder.fingerprint}); ingest into a new collection"
            )
        tokens = info.token_vectors
        return _Run(self._store.open(collection), embedder, hooks, (total, tokens))

    def _load_file(self, file: SourceFile, known: Mapping[str, str]) -> Document | FileReport:
        if file.skipped:
            outcome = Outcome.FAILED if file.is_named else Outcome.SKIPPED
            code = FailureCode.UNREADABLE
            return FileReport(uri=file.uri, outcome=outcome, reason=file.skipped, code=code)
        data = read_file(file.path, limits=self._limits)
        if not file.is_named and not file.path.suffix:
            try:
                sniff(data, file.uri)
            except ParseError as error:  # nobody said that it was a document
                skipped = Outcome.SKIPPED
                return FileReport(
                    uri=file.uri, outcome=skipped, reason=error.reason, code=error.code
                )
        return self._load_bytes(file.uri, data, known)

    def _load_bytes(self, uri: str, data: bytes, known: Mapping[str, str]) -> Document | FileReport:
        if known.get(uri) == sha256_hex(data):
            return FileReport(uri=uri, outcome=Outcome.UNCHANGED)
        return parse(data, uri, limits=self._limits)


def _load_document(document: Document, known: Mapping[str, str]) -> Document | FileReport:
    if known.get(document.uri) == document.source_sha256:
        return FileReport(uri=document.uri, outcome=Outcome.UNCHANGED)
    return document


class _Source(NamedTuple):
    uri: str
    load: Callable[[Mapping[str, str]], Document | FileReport]


class _Hooks(NamedTuple):
    on_progress: Callable[[Progress], None] | None
    pause: Callable[[], None] | None
    cancel: threading.Event | None

    def is_cancelled(self) -> bool:
        return self.cancel is not None and self.cancel.is_set()

    def goes_on(self) -> bool:
        """Give way as long as `pause` wants; return whether there is still something to do."""
        if self.pause is not None and not self.is_cancelled():
            self.pause()
        return not self.is_cancelled()

    def tell(self, phase: Phase, done: int, total: int, uri: str) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress(phase=phase, done=done, total=total, uri=uri))

    def until_cancelled(self, sources: Iterable[_Source]) -> Iterator[_Source]:
        remaining = iter(sources)
        while not self.is_cancelled():
            source = next(remaining, None)
            if source is None:
                return
            yield source


class _Run:
    """One pass over some sources; every source ends as one report, under its number."""

    def __init__(
        self, target: StoredDocuments, embedder: Embedder, hooks: _Hooks, sizes: tuple[int, int]
    ) -> None:
        self._target = target
        self._embedder = embedder
        self._hooks = hooks
        self._total, most_tokens = sizes
        self._known = dict(target.sources())
        self._reports: dict[int, FileReport] = {}
        self._open: dict[int, tuple[Document, list[Item]]] = {}  # not stored yet
        self._queue = VectorQueue(
            embedder,
            before_batch=hooks.goes_on,
            after_batch=self._tell_embedded,
            most_tokens=most_tokens,
        )

    def ingest(self, sources: Iterable[_Source]) -> list[FileReport]:
        uris: set[str] = set()
        for number, source in enumerate(sources):
            self._total = max(self._total, number + 1)
            self._tell("read", number, source.uri)
            if source.uri in uris:
                reason = "another source of this run has this uri; give the folder that holds both"
                self._fail(number, source.uri, reason, FailureCode.SAME_URI)
            else:
                self._read(number, source)
            uris.add(source.uri)
            self._tell("read", number + 1, source.uri)
            while self._queue.has_full_window and not self._hooks.is_cancelled():
                self._store(self._queue.embed_window())
        while not self._queue.is_empty and not self._hooks.is_cancelled():
            self._store(self._queue.embed_window())
        for number, (document, _) in self._open.items():
            self._settle(number, _cancelled(document.uri))
        return [self._reports[number] for number in sorted(self._reports)]

    def _read(self, number: int, source: _Source) -> None:
        if self._hooks.is_cancelled():
            self._settle(number, _cancelled(source.uri))
            return
        try:
            found = source.load(self._known)
            if isinstance(found, Document):
                self._put(number, found)
            elif found.outcome is Outcome.UNCHANGED and (record := self._target.find(found.uri)):
                self._settle(number, _report(record, Outcome.UNCHANGED))
            else:
                self._settle(number, found)
        except ParseError as error:
            self._fail(number, source.uri, error.reason, error.code)
        except ValueError as error:
            self._fail(number, source.uri, str(error))

    def _put(self, number: int, document: Document) -> None:
        chunks = chunk(
            document.text,
            count_tokens=self._embedder.count_tokens,
            max_tokens=min(MAX_CHUNK_TOKENS, self._embedder.max_tokens),
            media_type=document.media_type,
        )
        items = [Item(start=c.start, end=c.end, heading_path=c.heading_path) for c in chunks]
        self._queue.put(number, passage_texts(document.title, chunks, self._embedder))
        self._open[number] = document, items

    def _store(self, finished: Sequence[Embedded]) -> None:
        for embedded in finished:
            if embedded.failure:
                number = embedded.key
                self._fail(number, self._open.pop(number)[0].uri, embedded.failure)
        ready = [embedded for embedded in finished if not embedded.failure]
        try:
            self._upsert(ready)
        except ValueError:  # one of them cannot be stored: one by one, so that the others are
            for embedded in ready:
                try:
                    self._upsert([embedded])
                except ValueError as error:
                    number = embedded.key
                    self._fail(number, self._open.pop(number)[0].uri, str(error))

    def _upsert(self, ready: Sequence[Embedded]) -> None:
        if not ready:
            return
        documents = [_new_document(*self._open[e.key], e) for e in ready]
        records = self._target.upsert_many(documents, fingerprint=self._embedder.fingerprint)
        for embedded, record in zip(ready, records, strict=True):
            outcome = Outcome.UPDATED if record.uri in self._known else Outcome.ADDED
            del self._open[embedded.key]
            self._settle(embedded.key, _report(record, outcome))

    def _fail(
        self, number: int, uri: str, reason: str, code: FailureCode = FailureCode.NOT_STORED
    ) -> None:
        report = FileReport(uri=uri, outcome=Outcome.FAILED, reason=reason, code=code)
        self._settle(number, report)

    def _settle(self, number: int, report: FileReport) -> None:
        self._reports[number] = report
        self._tell("store", len(self._reports), report.uri)

    def _tell_embedded(self, number: int) -> None:
        queue, uri = self._queue, self._open[number][0].uri
        self._hooks.tell("embed", queue.num_embedded, queue.num_texts, uri)

    def _tell(self, phase: Literal["read", "store"], done: int, uri: str) -> None:
        self._hooks.tell(phase, done, self._total, uri)


def _new_document(document: Document, items: Sequence[Item], embedded: Embedded) -> NewDocument:
    return NewDocument(
        uri=document.uri,
        title=document.title,
        media_type=document.media_type,
        source_sha256=document.source_sha256,
        text=document.text,
        items=items,
        vectors=embedded.vectors,
        token_vectors=embedded.token_vectors,
        metadata=document.metadata,
    )


def _cancelled(uri: str) -> FileReport:
    reason = "the run was cancelled before it was stored"
    code = FailureCode.CANCELLED
    return FileReport(uri=uri, outcome=Outcome.SKIPPED, reason=reason, code=code)


def _report(record: DocumentRecord, outcome: Outcome) -> FileReport:
    return FileReport(
        uri=record.uri,
        outcome=outcome,
        reason=str(record.metadata.get("warning", "")),
        document_id=record.id,
        num_chunks=record.num_chunks,
        num_bytes=record.num_bytes,
    )

"""One pass over planned sources: what is new is read, chunked, embedded and stored.

A document is stored in one transaction once all its vectors are there: whenever a run ends, by
cancellation or by a crash, the collection holds whole documents only.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar

from index.protocol import DocumentRecord, Item, NewDocument
from index.source_notes import SourceNote
from rag.chunking import chunk
from rag.dedup import NearDuplicate, NearDuplicates
from rag.document import Document
from rag.document_store import StoredDocuments
from rag.embedder import Embedder
from rag.errors import FailureCode, ParseError
from rag.ingest_notes import is_news, note_of_refused, note_of_stored
from rag.ingest_plan import PlannedSource, Step
from rag.ingest_recipe import Recipe
from rag.ingest_report import FileReport, Outcome, Phase, Progress
from rag.parsing import ParseLimits
from rag.passage_text import passage_texts
from rag.vector_queue import Embedded, Ready, VectorQueue
from rag.vector_reuse import VectorReuse, is_as_stored, same_source

_NOTES_AT_ONCE = 200
_KEPT_AT_ONCE = 500
_COPIES_AT_ONCE = 500
_T = TypeVar("_T")


class Hooks(NamedTuple):
    """What a run tells and asks its caller."""

    on_progress: Callable[[Progress], None] | None = None
    pause: Callable[[], None] | None = None
    cancel: threading.Event | None = None

    def is_cancelled(self) -> bool:
        """Whether nothing more shall be done."""
        return self.cancel is not None and self.cancel.is_set()

    def goes_on(self) -> bool:
        """Give way as long as `pause` wants; return whether there is still something to do."""
        if self.pause is not None and not self.is_cancelled():
            self.pause()
        return not self.is_cancelled()

    def tell(self, phase: Phase, done: int, total: int, uri: str) -> None:
        """Report a step."""
        if self.on_progress is not None:
            self.on_progress(Progress(phase=phase, done=done, total=total, uri=uri))

    def until_cancelled(self, values: Iterable[_T]) -> Iterator[_T]:
        """Take values as long as something shall be done."""
        remaining = iter(values)
        while not self.is_cancelled():
            value = next(remaining, None)
            if value is None:
                return
            yield value


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run needs to know beside its sources.

    `removed` are uris of documents that go once everything else is stored; `token_vectors` is how
    many of them a chunk of the collection keeps.
    """

    limits: ParseLimits
    recipe: Recipe
    total: int
    token_vectors: int
    removed: Sequence[str] = ()
    # The resemblance (see `rag.dedup`) from which texts of one run are reported; 0 compares none.
    near_duplicates: float = 0.0


class _Pending(NamedTuple):
    """A document whose vectors are not all there yet."""

    planned: PlannedSource
    document: Document
    items: list[Item]
    near: NearDuplicate | None = None


class IngestRun:
    """Brings planned sources into a collection; every source ends as one report."""

    def __init__(
        self, target: StoredDocuments, embedder: Embedder, hooks: Hooks, options: RunOptions
    ) -> None:
        self._target = target
        self._embedder = embedder
        self._hooks = hooks
        self._options = options
        self._total = options.total
        self._known = dict(target.sources())
        self._twins = same_source(self._known)
        self._reports: dict[int, FileReport] = {}
        self._pending: dict[int, _Pending] = {}
        self._kept: dict[int, PlannedSource] = {}  # of which the documents are still to be found
        self._copies: dict[int, PlannedSource] = {}  # read once what has the same bytes is stored
        self._notes: list[SourceNote] = []
        self._removed = dict.fromkeys(options.removed)
        least = options.near_duplicates
        self._near = NearDuplicates(threshold=least) if least else None
        self._queue = VectorQueue(
            embedder,
            before_batch=hooks.goes_on,
            after_batch=self._tell_embedded,
            most_tokens=options.token_vectors,
        )
        self._reuse = VectorReuse(
            target,
            embedder,
            with_tokens=options.token_vectors > 0,
            gone=[record.id for uri in self._removed if (record := target.find(uri))],
        )

    def ingest(self, planned: Iterable[PlannedSource]) -> list[FileReport]:
        """Do what is planned; return one report a source, in order, and then the removed ones."""
        try:
            for number, one in enumerate(planned):
                self._total = max(self._total, number + 1)
                self._tell("read", number, one.uri)
                self._take(number, one)
                self._tell("read", number + 1, one.uri)
                while self._queue.has_full_window and not self._hooks.is_cancelled():
                    self._store(self._queue.embed_window())
            self._find_kept()
            self._empty_queue()
            self._read_copies()
            for number, one in self._copies.items():
                self._settle(number, _cancelled(one.uri))
            for number, pending in self._pending.items():
                self._settle(number, _cancelled(pending.planned.uri))
            removed = [] if self._hooks.is_cancelled() else self._remove()
        finally:
            self._write_notes()
        return [self._reports[number] for number in sorted(self._reports)] + removed

    def _take(self, number: int, one: PlannedSource) -> None:
        if one.look.refused is not None:
            self._refuse(number, one, one.look.refused)
        elif self._hooks.is_cancelled():
            self._settle(number, _cancelled(one.uri))
        elif one.step is Step.KEEP:
            self._kept[number] = one
            if len(self._kept) >= _KEPT_AT_ONCE:
                self._find_kept()
        else:
            self._read_or_put_off(number, one)

    def _empty_queue(self) -> None:
        """Embed and store all that waits, unless cancelled."""
        while not self._queue.is_empty and not self._hooks.is_cancelled():
            self._store(self._queue.embed_window())

    def _read_or_put_off(self, number: int, one: PlannedSource) -> None:
        """Read a source; one whose bytes another is being embedded for waits for its vectors."""
        sha256 = one.look.sha256
        if not any(p.document.source_sha256 == sha256 for p in self._pending.values()):
            self._try_to_read(number, one)
            return
        self._copies[number] = one
        if len(self._copies) >= _COPIES_AT_ONCE:
            self._empty_queue()
            self._read_copies()

    def _read_copies(self) -> None:
        """Read what was put off; where the first of its kind failed, the next one is the first."""
        while self._copies and not self._hooks.is_cancelled():
            copies, self._copies = self._copies, {}
            for number, one in copies.items():
                self._read_or_put_off(number, one)
            self._empty_queue()

    def _find_kept(self) -> None:
        """Report on the unchanged sources at hand; one whose document was deleted since is read."""
        kept, self._kept = self._kept, {}
        records = self._target.find_many([one.uri for one in kept.values()])
        for number, one in kept.items():
            if one.uri in records:
                self._keep(number, one, records[one.uri])
            else:
                self._try_to_read(number, one)

    def _try_to_read(self, number: int, one: PlannedSource) -> None:
        try:
            self._read(number, one)
        except ParseError as error:
            self._fail(number, one, error.reason, error.code)
        except ValueError as error:
            self._fail(number, one, str(error))

    def _read(self, number: int, one: PlannedSource) -> None:
        document = one.source.load(self._options.limits)
        # It may have changed since the look at it, or have told no hash then.
        one = replace(one, look=replace(one.look, sha256=document.source_sha256))
        near = self._near.add(one.uri, document.text) if self._near is not None else None
        record = self._target.find(one.uri) if one.uri in self._known else None
        is_same = record is not None and record.source_sha256 == document.source_sha256
        is_current = one.note is not None and self._options.recipe.is_that_of(one.note.recipe)
        if record is not None and is_same and is_current:
            self._keep(number, one, record)
            return
        chunks = chunk(
            document.text,
            count_tokens=self._embedder.count_tokens,
            max_tokens=self._options.recipe.max_tokens or self._embedder.max_tokens,
            overlap=self._options.recipe.overlap or 0,
            media_type=document.media_type,
        )
        items = [Item(start=c.start, end=c.end, heading_path=c.heading_path) for c in chunks]
        stored = None if record is None or not is_same else self._target.passages(record.id)
        if record is not None and stored is not None and is_as_stored(document, items, stored):
            self._keep(number, one, record)
            return
        texts = passage_texts(document.title, chunks, self._embedder, uri=document.uri)
        self._queue.put(number, texts, self._ready(one, document, texts))
        self._pending[number] = _Pending(one, document, items, near)

    def _ready(
        self, one: PlannedSource, document: Document, texts: Sequence[str]
    ) -> dict[int, Ready]:
        """Return the vectors that are stored: in the old version, in a twin, in what is removed."""
        if (
            one.note is not None
            and one.note.recipe
            and not self._options.recipe.places_as(one.note.recipe)
        ):
            return {}
        uris = [one.uri, one.was, *self._twins.get(document.source_sha256, ())]
        records = [self._target.find(uri) for uri in uris if uri in self._known]
        ready = self._reuse.ready(texts, [record.id for record in records if record is not None])
        if not records:
            ready = self._reuse.moved(texts)
        return ready

    def _store(self, finished: Sequence[Embedded]) -> None:
        for embedded in finished:
            if embedded.failure:
                pending = self._pending.pop(embedded.key)
                self._fail(embedded.key, pending.planned, embedded.failure)
        ready = [embedded for embedded in finished if not embedded.failure]
        try:
            self._upsert(ready)
        except ValueError:  # one of them cannot be stored: one by one, so that the others are
            for embedded in ready:
                try:
                    self._upsert([embedded])
                except ValueError as error:
                    pending = self._pending.pop(embedded.key)
                    self._fail(embedded.key, pending.planned, str(error))

    def _upsert(self, ready: Sequence[Embedded]) -> None:
        if not ready:
            return
        pending = [self._pending[embedded.key] for embedded in ready]
        reports = [self._report(p, e) for p, e in zip(pending, ready, strict=True)]
        moved = [p.planned.was for p in pending if p.planned.was]
        records = self._target.upsert_many(
            [_new_document(p, e) for p, e in zip(pending, ready, strict=True)],
            fingerprint=self._embedder.fingerprint,
            gone=[record.id for uri in moved if (record := self._target.find(uri)) is not None],
            notes=[
                note_of_stored(p.planned, r, self._options.recipe)
                for p, r in zip(pending, reports, strict=True)
            ],
        )
        for embedded, report, record in zip(ready, reports, records, strict=True):
            done = self._pending.pop(embedded.key).document
            self._known[done.uri] = done.source_sha256
            self._twins.setdefault(done.source_sha256, []).append(done.uri)
            found = replace(report, document_id=record.id, num_bytes=record.num_bytes)
            self._settle(embedded.key, found)

    def _report(self, pending: _Pending, embedded: Embedded) -> FileReport:
        uri, was, near = pending.planned.uri, pending.planned.was, pending.near
        outcome = Outcome.UPDATED if uri in self._known else Outcome.ADDED
        num_chunks = len(pending.items)
        return FileReport(
            uri=uri,
            outcome=Outcome.RENAMED if was else outcome,
            reason=str(pending.document.metadata.get("warning", "")),
            num_chunks=num_chunks,
            was=was,
            num_embedded=embedded.num_embedded,
            num_reused=num_chunks - embedded.num_embedded,
            near_duplicate_of=near.uri if near else "",
            is_same_text=near is not None and near.is_equal,
        )

    def _remove(self) -> list[FileReport]:
        """Remove the documents whose file is gone, in one transaction."""
        records = [record for uri in self._removed if (record := self._target.find(uri))]
        if records:
            self._target.delete_many([record.id for record in records])
        return [
            FileReport(uri=record.uri, outcome=Outcome.REMOVED, document_id=record.id)
            for record in records
        ]

    def _keep(self, number: int, one: PlannedSource, record: DocumentRecord) -> None:
        report = FileReport(
            uri=record.uri,
            outcome=Outcome.UNCHANGED,
            reason=str(record.metadata.get("warning", "")),
            document_id=record.id,
            num_chunks=record.num_chunks,
            num_bytes=record.num_bytes,
        )
        self._settle(number, report)
        self._take_note(one, note_of_stored(one, report, self._options.recipe))

    def _refuse(self, number: int, one: PlannedSource, report: FileReport) -> None:
        self._settle(number, report)
        if report.code is not FailureCode.SAME_URI:  # the note is on the other
            self._take_note(one, note_of_refused(one, report))

    def _fail(
        self,
        number: int,
        one: PlannedSource,
        reason: str,
        code: FailureCode = FailureCode.NOT_STORED,
    ) -> None:
        report = FileReport(uri=one.uri, outcome=Outcome.FAILED, reason=reason, code=code)
        self._refuse(number, one, report)

    def _take_note(self, one: PlannedSource, note: SourceNote) -> None:
        if is_news(one, note):
            self._notes.append(note)
        if len(self._notes) >= _NOTES_AT_ONCE:
            self._write_notes()

    def _write_notes(self) -> None:
        notes, self._notes = self._notes, []
        if notes:
            self._target.note(notes)

    def _settle(self, number: int, report: FileReport) -> None:
        self._reports[number] = report
        self._tell("store", len(self._reports), report.uri)

    def _tell_embedded(self, number: int) -> None:
        queue, uri = self._queue, self._pending[number].planned.uri
        self._hooks.tell("embed", queue.num_embedded, queue.num_texts, uri)

    def _tell(self, phase: Literal["read", "store"], done: int, uri: str) -> None:
        self._hooks.tell(phase, done, self._total, uri)


def _new_document(pending: _Pending, embedded: Embedded) -> NewDocument:
    document = pending.document
    return NewDocument(
        uri=document.uri,
        title=document.title,
        media_type=document.media_type,
        source_sha256=document.source_sha256,
        text=document.text,
        items=pending.items,
        vectors=embedded.vectors,
        token_vectors=embedded.token_vectors,
        metadata=document.metadata,
    )


def _cancelled(uri: str) -> FileReport:
    reason = "the run was cancelled before it was stored"
    code = FailureCode.CANCELLED
    return FileReport(uri=uri, outcome=Outcome.SKIPPED, reason=reason, code=code)

"""The work of the command `ingest` beside a running server.

The comparison is done here, on the same database, which costs no model; what is new is sent to the
server, and what is gone is deleted there.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import httpx

from api.client import RemoteDesk, upload_name
from api.errors import ServerError
from api.ingest_desk import LookingDesk
from index.protocol import DocumentRecord
from index.store import CollectionStore
from rag.errors import FailureCode, RAGError, RemovalDoubtError
from rag.ingest_notes import is_news, note_of_refused, root_after
from rag.ingest_plan import IngestPlan, PlannedSource, Step
from rag.ingest_report import FileReport, Outcome, Progress
from rag.ingest_source import FileSource, Folder, Scan, Source
from rag.source_files import SourceFile


class ServedIngest:
    """The port, by a running server and the database that it works on.

    What is sent is an upload to the server; here it is noted which folder it came from. A renamed
    file is sent, which embeds nothing, and then the document of the old name is deleted.
    """

    def __init__(self, desk: RemoteDesk, store: CollectionStore) -> None:
        self._desk = desk
        self._store = store

    def plan(self, scan: Scan, collection: str) -> IngestPlan:
        """Return what `apply` would do, under the names that files are sent with."""
        return LookingDesk(self._store).plan(_as_sent(scan), collection)

    def apply(
        self,
        plan: IngestPlan,
        collection: str,
        *,
        is_confirmed: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> list[FileReport]:
        """Send, note and delete what was planned."""
        if plan.doubts and not is_confirmed:
            raise RemovalDoubtError(plan.doubts)
        cancel = cancel or threading.Event()
        totals = _Totals(len(plan.steps), on_progress or _ignore)
        sent = self._desk.ingest(
            [_file_of(one.source) for one in plan.steps if _is_sent(one)],
            collection,
            on_progress=totals.note,
            cancel=cancel,
        )
        reports: list[FileReport] = []
        for report in self._reports(plan.steps, sent, collection):
            reports.append(report)
            totals.note_done(report)
        if not cancel.is_set():
            reports += self._removed(plan.removed, collection)
            if plan.forgotten:
                self._store.open(collection).note([], forget=plan.forgotten)
        return reports

    def _reports(
        self, steps: Sequence[PlannedSource], sent: Iterator[FileReport], collection: str
    ) -> Iterator[FileReport]:
        # The first one of `sent` makes the collection.
        first = next(sent, None)
        stored = self._store.open(collection)
        for one in steps:
            if one.look.refused is not None:
                note = note_of_refused(one, one.look.refused)
                if is_news(one, note):
                    stored.note([note])
                yield one.look.refused
            elif not _is_sent(one):
                record = stored.find(one.uri)
                root = root_after(one, Outcome.UNCHANGED)
                if one.note is not None and one.note.root != root:
                    stored.claim(one.uri, root)
                yield _unchanged(one.uri, record)
            else:
                report, first = first or next(sent, None), None
                if report is None:  # cancelled
                    return
                stored.claim(one.uri, root_after(one, report.outcome))
                if one.was and report.outcome is not Outcome.FAILED:
                    self._removed([one.was], collection)
                    report = replace(report, outcome=Outcome.RENAMED, was=one.was)
                yield report

    def _removed(self, uris: Sequence[str], collection: str) -> list[FileReport]:
        stored = self._store.open(collection)
        reports: list[FileReport] = []
        for uri in uris:
            record = stored.find(uri)
            if record is None:
                continue
            try:
                self._desk.delete_document(collection, record.id)
            except ServerError as error:
                if error.status != httpx.codes.NOT_FOUND:  # the next run tries it again
                    reason = f"its file is gone, and it could not be removed: {error}"
                    code = FailureCode.NOT_STORED
                    report = FileReport(uri=uri, outcome=Outcome.FAILED, reason=reason, code=code)
                    reports.append(report)
                    continue
            reports.append(FileReport(uri=uri, outcome=Outcome.REMOVED, document_id=record.id))
        return reports


class _Totals:
    """Makes the progress of a run out of that of its files, which are sent one by one."""

    def __init__(self, num_files: int, tell: Callable[[Progress], None]) -> None:
        self._num_files = num_files
        self._tell = tell
        self._num_done = 0
        self._num_chunks = 0

    def note(self, step: Progress) -> None:
        """Take a step of the file at hand."""
        if step.phase == "embed":
            done, total = self._num_chunks + step.done, self._num_chunks + step.total
            self._tell(Progress(phase="embed", done=done, total=total, uri=step.uri))

    def note_done(self, report: FileReport) -> None:
        """Take the report of a file."""
        self._num_done += 1
        self._num_chunks += report.num_embedded
        step = Progress(phase="store", done=self._num_done, total=self._num_files, uri=report.uri)
        self._tell(step)


def _is_sent(one: PlannedSource) -> bool:
    return one.look.refused is None and one.step is not Step.KEEP


def _file_of(source: Source) -> SourceFile:
    if not isinstance(source, FileSource):
        raise RAGError(
            f"{source.uri!r} is no file, and only files are sent to the server that is running:"
            " stop it first, or save the page and ingest the file"
        )
    return source.file


def _unchanged(uri: str, record: DocumentRecord | None) -> FileReport:
    report = FileReport(uri=uri, outcome=Outcome.UNCHANGED)
    if record is None:  # deleted since
        return report
    return replace(
        report,
        document_id=record.id,
        num_chunks=record.num_chunks,
        num_bytes=record.num_bytes,
    )


def _as_sent(scan: Scan) -> Scan:
    """Return the same with the names that HTTP can carry."""
    sources: list[Source] = []
    names: dict[str, str] = {}
    for source in scan.sources:
        if not isinstance(source, FileSource):
            sources.append(source)
            continue
        names[source.uri] = upload_name(source.file)
        sources.append(replace(source, file=replace(source.file, uri=names[source.uri])))
    folders = [
        Folder(
            root=folder.root,
            uris=frozenset(names.get(uri, uri) for uri in folder.uris),
            unopened=tuple(f"{names.get(uri[:-1], uri[:-1])}/" for uri in folder.unopened),
        )
        for folder in scan.folders
    ]
    return Scan(sources=sources, folders=folders)


def _ignore(_: Progress) -> None:
    pass

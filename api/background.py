"""Indexing that goes on while the service already answers.

One thread per collection; each gives way to whatever a user waits for, and its progress can be
read at any time. Does not know what the documents are.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from api.foreground import Foreground
from rag.document import Document
from rag.ingest import Ingestor
from rag.ingest_report import Outcome, Progress

logger = logging.getLogger(__name__)

_LOG_EVERY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexingProgress:
    """How far an indexing has come: `done` of `total` steps of its phase."""

    phase: str
    done: int
    total: int
    label: str


@dataclass(slots=True)
class _Job:
    thread: threading.Thread
    cancel: threading.Event
    progress: IndexingProgress
    logged_at: float = field(default_factory=time.monotonic)


class BackgroundIngest:
    """Runs `Ingestor.ingest_documents` in threads of its own."""

    def __init__(self, ingestor: Ingestor, foreground: Foreground) -> None:
        self._ingestor = ingestor
        self._foreground = foreground
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}
        self._is_stopped = False

    def start(
        self,
        collection: str,
        documents: Callable[[], Iterable[Document]],
        *,
        label: str,
        total: int | None = None,
    ) -> None:
        """Begin to ingest what `documents()` returns; it is called in the new thread.

        Raises:
            ValueError: the collection is already being indexed.
        """
        cancel = threading.Event()
        thread = threading.Thread(
            target=self._run,
            args=(collection, documents, total),
            name=f"indexing-{collection}",
            daemon=True,  # a hung parse must not keep the process alive; a commit is atomic anyway
        )
        progress = IndexingProgress(phase="read", done=0, total=total or 0, label=label)
        with self._lock:
            if self._is_stopped:
                return
            if collection in self._jobs:
                raise ValueError(
                    f"collection {collection!r} is already being indexed; wait until that ends"
                )
            self._jobs[collection] = _Job(thread, cancel, progress)
            # Under the lock: `stop` must find no thread that cannot be joined yet.
            thread.start()

    def progress(self, collection: str) -> IndexingProgress | None:
        """Return how far the collection's indexing is; None when there is none under way."""
        with self._lock:
            job = self._jobs.get(collection)
            return None if job is None else job.progress

    def stop(self, timeout_s: float = 10.0) -> None:
        """Ask every thread to end and wait for them, together at most `timeout_s`."""
        with self._lock:
            self._is_stopped = True
            jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel.set()
        deadline = time.monotonic() + timeout_s
        for job in jobs:
            job.thread.join(max(0.0, deadline - time.monotonic()))
            if job.thread.is_alive():
                logger.warning("%s did not end within %.0f s", job.thread.name, timeout_s)

    def _run(
        self, collection: str, documents: Callable[[], Iterable[Document]], total: int | None
    ) -> None:
        with self._lock:
            job = self._jobs[collection]
        began = time.monotonic()

        def note(step: Progress) -> None:
            self._note(job, collection, step)

        try:
            reports = self._ingestor.ingest_documents(
                documents(),
                collection,
                total=total,
                on_progress=note,
                pause=lambda: self._foreground.wait_idle(job.cancel),
                cancel=job.cancel,
            )
        except Exception:  # a thread's last line: whatever it is, the service goes on and says so
            logger.exception("indexing %r (%s) failed", collection, job.progress.label)
        else:
            counts = Counter(report.outcome for report in reports)
            for report in reports:
                if report.outcome is Outcome.FAILED:
                    logger.warning("indexing %r: %s: %s", collection, report.uri, report.reason)
            logger.info(
                "indexing %r (%s) %s",
                collection,
                job.progress.label,
                "stopped" if job.cancel.is_set() else "finished",
                extra={
                    "fields": {
                        "duration_s": round(time.monotonic() - began, 1),
                        **{outcome.value: num for outcome, num in counts.items()},
                    }
                },
            )
        finally:
            with self._lock:
                self._jobs.pop(collection, None)

    def _note(self, job: _Job, collection: str, step: Progress) -> None:
        with self._lock:
            job.progress = replace(job.progress, phase=step.phase, done=step.done, total=step.total)
            now = time.monotonic()
            is_due = now - job.logged_at >= _LOG_EVERY_S
            if is_due:
                job.logged_at = now
        if is_due:
            logger.info(
                "indexing %r (%s): %s %d of %d",
                collection,
                job.progress.label,
                step.phase,
                step.done,
                step.total,
            )

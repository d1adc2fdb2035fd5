"""What keeps a stored collection well: verify, repair, compact, purge; and how it does.

Letters: `q` queries, `d` their width, `k` neighbours.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, func, select

from index.collection_files import CollectionFiles
from index.commit_log import first_write
from index.database import checkpoint, reading, writing
from index.derived_lexical import UnwrittenTable
from index.document_rows import Commit, DocumentRows, serving
from index.history import History
from index.inspection import (
    ChunkRecord,
    CollectionHealth,
    CollectionStats,
    ProblemKind,
    Trimmed,
    Verification,
)
from index.lexical_lane import LexicalLane
from index.live_index import CollectionKey, LiveIndex
from index.progress import OnProgress, unheard
from index.recall import Recall
from index.retuning import Retuning
from index.sealing import Sealing, Upkept
from index.segments import Segment
from index.tables import chunks, commits, documents, old_chunks, old_documents
from index.token_rows import token_bytes
from index.tuning import Target
from index.tuning_store import TuningStore
from index.verifier import Verifier

_ROUNDS = 3  # of another choice and another look
_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True, eq=False)
class CanaryLog:
    """The last recall that was measured, what was wanted, and when."""

    recall: Recall | None = None
    wanted: float = Target().recall
    measured_at: datetime | None = None


class Maintenance:
    """Satisfies `Inspectable` and `Repairable` for one collection; safe for threads."""

    def __init__(  # noqa: PLR0913  # made in one place
        self,
        database: Engine,
        files: CollectionFiles,
        live: LiveIndex,
        lane: LexicalLane,
        canaries: CanaryLog,
        renew_terms: Callable[[], None],
        *,
        threads: int,
        has_words: bool = True,
    ) -> None:
        self._database = database
        self._files = files
        self._live = live
        self._lane = lane
        self._canaries = canaries
        self._renew_terms = renew_terms
        self._threads = threads
        self._has_words = has_words
        self._lock = threading.Lock()

    def verify(
        self, *, absent: Sequence[str] = (), on_progress: OnProgress = unheard
    ) -> Verification:
        """Compare everything with everything; see `index.verifier`.

        Raises:
            UnknownCollectionError: the collection was deleted.
        """
        words = self._lane.table if self._has_words else None
        verifier = Verifier(self._database, self.key, self._files, words, on_progress=on_progress)
        return verifier.verify(absent=absent)

    def repair(self, *, on_progress: OnProgress = unheard) -> Verification:
        """Make anew what is derived and damaged; return what is still wrong.

        That is truth which is gone: documents to ingest again. A loss of acknowledged writes that
        was reported is settled by this.

        Raises:
            OSError: the disk refused.
            UnknownCollectionError: the collection was deleted.
        """
        before = self.verify(on_progress=on_progress)
        kinds = {problem.kind for problem in before.problems}
        if ProblemKind.WORDS in kinds:
            self._renew_terms()
        if ProblemKind.FILE in kinds:
            self._set_files_aside()
        with self._live.lock, reading(self._database) as connection:
            self._live.catch_up(connection)
        self._sealing.run(fewest=1, wait=True, on_progress=on_progress)
        with reading(self._database) as connection:
            last = self._last_commit(connection)
        self._files.acknowledged.settle(last)
        return self.verify(on_progress=on_progress) if kinds else before

    def compact(
        self,
        *,
        disk_budget: int | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        on_progress: OnProgress = unheard,
    ) -> str:
        """Seal what is not sealed and merge what is due; return why something was postponed.

        Raises:
            OSError: the disk refused; everything is as before.
            UnknownCollectionError: the collection was deleted.
        """
        done: Upkept = self._sealing.run(
            fewest=1,
            disk_budget=disk_budget,
            should_stop=should_stop,
            wait=True,
            on_progress=on_progress,
        )
        return done.postponed

    def retune(self, *, should_stop: Callable[[], bool] = lambda: False) -> str:
        """Measure the recall and mend it where it is surely below the target: see `Retuning`.

        Returns what was wrong and is chosen instead, or nothing.

        Raises:
            StorageFullError: the disk is full; everything is as before.
            UnknownCollectionError: the collection was deleted.
        """
        done: list[str] = []
        for _ in range(_ROUNDS):
            self.measure()
            chosen = self._retuning.choose(self._segments(), should_stop=should_stop)
            if not chosen or should_stop():
                break
            _log.warning("collection %r is tuned anew: %s", self.key.name, chosen)
            done.append(chosen)
            if self._sealing.run(fewest=1, should_stop=should_stop, wait=True).postponed:
                break
        return "; ".join(done)

    def purge(self, document_ids: Sequence[str]) -> Verification:
        """Remove documents and all their earlier versions for good.

        Rows are overwritten (SQLite's `secure_delete`), FTS5 and the blocks of postings are made
        without them, segments that hold them are written anew, older generations and what is in
        quarantine are dropped, the write-ahead log is emptied. A search as of an earlier write
        then says that something is missing.

        Raises:
            OSError: the disk refused; purge again.
            UnknownCollectionError: the collection was deleted.
        """
        words = self._lane.table if self._has_words else UnwrittenTable()
        rows = DocumentRows(self.key.id, self.key.name, words)
        with writing(self._database, is_secure=True) as connection:
            commit = rows.begin(connection)
            rows.delete(connection, document_ids, commit.seq)
            for document_id in document_ids:
                for table in (old_chunks, old_documents):
                    connection.execute(
                        delete(table).where(
                            table.c.document_id == document_id,
                            table.c.collection_id == self.key.id,
                        )
                    )
            if self._has_words:
                self._lane.table.forget(connection)
        self._files.acknowledged.note(commit)
        if not self._has_words:
            self._renew_terms()
        self._sealing.run(fewest=1, wait=True, purge=True)
        checkpoint(self._database)
        return self.verify(absent=document_ids)

    def trim(self, keep_writes: int) -> Trimmed:
        """Let go of what was deleted before the last writes: see `index.history`.

        Raises:
            ValueError: `keep_writes` is below 1.
            UnknownCollectionError: the collection was deleted.
        """
        return History(self._database, self.key, self._files.folder).trim(keep_writes)

    def scan(self, limit: int = 1000, after: int = 0) -> list[ChunkRecord]:
        """Return up to `limit` chunks in the order of their ids, from behind the id `after`.

        Raises:
            ValueError: `limit` is below 1.
            UnknownCollectionError: the collection was deleted.
        """
        if limit < 1:
            raise ValueError(f"limit must be >= 1, got {limit}")
        with reading(self._database) as connection:
            serving(connection, self.key.id, self.key.name)  # raises where it was deleted
            rows = connection.execute(
                select(chunks, documents.c.uri)
                .join(documents, documents.c.id == chunks.c.document_id)
                .where(chunks.c.collection_id == self.key.id, chunks.c.id > after)
                .order_by(chunks.c.id)
                .limit(limit)
            )
            return [
                ChunkRecord(
                    id=row.id,
                    document_id=row.document_id,
                    uri=row.uri,
                    start=row.start,
                    end=row.end,
                    heading_path=tuple(row.heading_path),
                    seq=row.seq_added,
                )
                for row in rows
            ]

    def stats(self) -> CollectionStats:
        """Return how much there is; raises `UnknownCollectionError`."""
        with self._live.lock, reading(self._database) as connection:
            now = self._live.catch_up(connection)
            how = self._live.explain()
            text_bytes = connection.scalar(
                select(func.coalesce(func.sum(documents.c.num_bytes), 0)).where(
                    documents.c.collection_id == self.key.id
                )
            )
            since = first_write(connection, self.key.id)
            tokens = token_bytes(connection, self.key.id)
            num_documents, num_chunks, num_old = (
                connection.scalar(
                    select(func.count())
                    .select_from(table)
                    .where(table.c.collection_id == self.key.id)
                )
                or 0
                for table in (documents, chunks, old_chunks)
            )
        folder = self._files.folder.path
        sizes = _file_sizes(folder)
        return CollectionStats(
            seq=now.seq,
            num_documents=num_documents,
            num_chunks=num_chunks,
            num_old_chunks=num_old,
            text_bytes=int(text_bytes or 0),
            token_bytes=tokens,
            file_bytes=sum(sizes),
            num_segments=how.num_segments,
            num_unsealed=how.num_scanned,
            num_dead=how.num_dead,
            since=since,
        )

    def health(self, *, measure: bool = False) -> CollectionHealth:
        """Return how the collection does; with `measure` its canaries are asked now.

        Raises:
            UnknownCollectionError: the collection was deleted.
        """
        with self._lock:
            if measure:
                self.measure()
                if self._is_breached():
                    self._files.on_due()  # which mends it, where a thread does so
        with self._live.lock, reading(self._database) as connection:
            self._live.catch_up(connection)
            how = self._live.explain()
            loss = self._files.acknowledged.lost(connection, self.key.id)
        total = how.num_sealed + how.num_dead
        return CollectionHealth(
            seq=how.seq,
            num_segments=how.num_segments,
            num_unsealed=how.num_scanned,
            dead_share=how.num_dead / total if total else 0.0,
            set_aside=how.set_aside,
            withheld=how.withheld,
            loss=loss,
            recall=self._canaries.recall,
            wanted_recall=self._canaries.wanted,
            measured_at=self._canaries.measured_at,
        )

    def measure(self) -> Recall | None:
        """Ask the canaries of every segment that is not exact; None where every row is compared."""
        segments = self._segments()
        recalls = [recall for _, recall in self._retuning.measured(segments)]
        # The worst: what is below the target somewhere is below it for somebody's questions.
        self._canaries.recall = min(recalls, key=lambda recall: recall.value, default=None)
        self._canaries.wanted = self._retuning.target().recall
        self._canaries.measured_at = datetime.now(UTC)
        return self._canaries.recall

    def _is_breached(self) -> bool:
        recall = self._canaries.recall
        return recall is not None and recall.high < self._canaries.wanted

    def _segments(self) -> tuple[Segment, ...]:
        with self._live.lock, reading(self._database) as connection:
            self._live.catch_up(connection)
            return self._live.segments

    @property
    def _retuning(self) -> Retuning:
        return Retuning(TuningStore(self._database), self.key, threads=self._threads)

    @property
    def key(self) -> CollectionKey:
        """Which collection it is."""
        return self._live.key

    @property
    def _sealing(self) -> Sealing:
        return Sealing(self._database, self.key, self._files.folder, threads=self._threads)

    def _set_files_aside(self) -> None:
        """Move every file that is not what was written to quarantine."""
        folder = self._files.folder
        with folder.locked():
            manifest = folder.manifest(folder.pointer())  # quarantines itself and CURRENT
            if manifest is None:
                folder.forget()
                return
        # Segments that are damaged are set aside by whoever opens them, and by sealing.

    def _last_commit(self, connection: Connection) -> Commit | None:
        row = connection.execute(
            select(commits.c.seq, commits.c.token)
            .where(commits.c.collection_id == self.key.id)
            .order_by(commits.c.seq.desc())
            .limit(1)
        ).first()
        return None if row is None else Commit(seq=row.seq, token=row.token)


def _file_sizes(folder: Path) -> list[int]:
    """Return the bytes of each file; one that another process removes meanwhile does not count."""
    sizes = []
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                sizes.append((Path(place) / name).stat().st_size)
    return sizes

"""What finds the nearest vectors of a collection: sealed segments, and the rows newer than they.

SQL is the truth. Before every search the index compares sequence numbers and takes over, from the
log of operations, what any thread or process wrote; then it looks whether there is a newer
generation of files. Which rows of a segment are alive is never read from a file: it follows from
the ids that SQL holds, so that files and truth cannot disagree about a deletion. A segment that is
damaged or missing costs time only: its rows are read from SQL and compared one by one.

Letters: `n` vectors, `d` their width, `k` neighbours.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from sqlalchemy import Connection, select

from index.commit_log import first_write
from index.deadline import Deadline
from index.document_rows import Serving, serving
from index.errors import IndexFileError
from index.index_folder import IndexFolder
from index.manifest import Manifest, SegmentEntry
from index.memtable import Memtable
from index.planner import search_allowed
from index.protocol import Metric
from index.segments import Segment, open_segment
from index.stop_words import Language
from index.stored_vectors import StoredVectors
from index.tables import commits, oplog

SEAL_ROWS = 4096  # so many rows outside of segments, and they become one
NEVER = Deadline()
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionKey:
    """What names a collection, and what it was when it was opened.

    `id` is not used again after it is deleted; embedder, fingerprint and `dim` change when it is
    embedded anew.
    """

    id: int
    name: str
    embedder: str
    fingerprint: str
    dim: int
    metric: Metric
    language: Language = Language.ENGLISH


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How the last search went: rows in segments, rows compared one by one, and what was wrong.

    `set_aside` are segments that were not what was written; `withheld` are chunks whose stored
    vector is damaged, which no search finds until their document is stored again.
    """

    seq: int
    generation: int
    num_segments: int
    num_sealed: int
    num_dead: int
    num_scanned: int
    set_aside: tuple[str, ...]
    withheld: tuple[int, ...]

    @property
    def is_complete(self) -> bool:
        """Say whether every stored vector took part."""
        return not self.withheld


class LiveIndex:
    """The vectors of one collection. Hold `lock` from before the transaction begins.

    Then snapshots reach the index in the order in which they were taken, and what it answers is
    exactly what the caller's transaction sees. `on_due` is called when files should be written.
    """

    def __init__(
        self,
        collection: CollectionKey,
        folder: IndexFolder,
        *,
        threads: int,
        on_due: Callable[[], None] = lambda: None,
    ) -> None:
        self.lock = threading.Lock()
        self.key = collection
        self.num_passed_over = 0  # chunks that the last search did not come to
        self.folder = folder
        self._threads = threads
        self._on_due = on_due
        self._stored: StoredVectors
        self._memtable: Memtable
        self._segments: list[Segment]
        self._set_aside: list[str]
        self._seq: int | None  # None: nothing was read yet
        self._pointer: str
        self._generation: int
        self._forget(set_id=0, dim=collection.dim)

    def nearest(
        self,
        connection: Connection,
        query: Float[np.ndarray, " d"],
        k: int,
        *,
        allowed: Int64[np.ndarray, " m"] | None = None,
        deadline: Deadline = NEVER,
    ) -> tuple[Int64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
        """Return chunk ids and similarities of the min(k, allowed) nearest, best first.

        Equal similarities come in the order of the ids. Segments that it does not come to before
        the deadline are left out; `num_passed_over` says how many chunks that is.

        Raises:
            UnknownCollectionError: the collection was deleted.
            ValueError: `k` is below 1 or the query has another width.
        """
        if k < 1:
            raise ValueError(f"k must be >= 1, got {k}")
        self.catch_up(connection)
        found = [self._memtable.search(query, k, allowed=allowed)]
        self.num_passed_over = 0
        for segment in self._segments:
            allow = segment.alive
            if allowed is not None:
                allow = allow & np.isin(segment.ids, allowed)
            if deadline.is_over:
                self.num_passed_over += int(np.count_nonzero(allow))
                continue
            if not allow.any():
                continue
            rows, scores = search_allowed(
                segment.backend,
                segment.rows,
                self.key.metric,
                query=query,
                k=k,
                effort=segment.entry.choice.effort,
                allow=allow,
            )
            found.append((segment.ids[rows], scores))
        ids = np.concatenate([part for part, _ in found])
        scores = np.concatenate([part for _, part in found])
        order = np.lexsort((ids, -scores))[:k]
        return ids[order], scores[order]

    def __len__(self) -> int:
        """Return how many chunks the last search could have found."""
        return len(self._memtable) + sum(segment.num_alive for segment in self._segments)

    def explain(self) -> Explanation:
        """Return how the index stood after the last search."""
        return Explanation(
            seq=self._seq or 0,
            generation=self._generation,
            num_segments=len(self._segments),
            num_sealed=sum(s.num_alive for s in self._segments),
            num_dead=sum(len(s.ids) - s.num_alive for s in self._segments),
            num_scanned=len(self._memtable),
            set_aside=tuple(self._set_aside),
            withheld=tuple(sorted(self._stored.damaged)),
        )

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The open segments; needs the lock."""
        return tuple(self._segments)

    def catch_up(self, connection: Connection) -> Serving:
        """Bring the index to the state that the caller's transaction sees; needs the lock."""
        now = serving(connection, self.key.id, self.key.name)
        if now.set_id != self._stored.set_id:
            self._forget(set_id=now.set_id, dim=now.dim)
        pointer = self.folder.pointer()
        if (now.seq, pointer) == (self._seq, self._pointer):
            return now
        try:
            if self._seq is not None and self._seq < first_write(connection, self.key.id):
                # The log does not reach back to where we stand any more.
                self._forget(set_id=now.set_id, dim=now.dim)
            if self._seq is None:
                live = self._stored.live_ids(connection)
                self._attach(connection, now.seq, live)
            else:
                self._replay(connection, now.seq)
                if pointer != self._pointer:
                    self._attach(connection, now.seq, self._live_ids())
        except BaseException:
            # Neither the old state nor the new one: start from nothing the next time.
            self._forget(set_id=0, dim=now.dim)
            raise
        self._seq = now.seq
        if len(self._memtable) >= SEAL_ROWS or self._set_aside:
            self._on_due()
        return now

    def _forget(self, *, set_id: int, dim: int) -> None:
        key = self.key
        self._stored = StoredVectors(
            collection_id=key.id, set_id=set_id, dim=dim, metric=key.metric
        )
        self._memtable = Memtable(dim, key.metric, threads=self._threads)
        self._segments = []
        self._set_aside = []
        self._seq = None
        self._pointer = ""
        self._generation = 0

    def _live_ids(self) -> Int64[np.ndarray, " n"]:
        parts = [segment.ids[segment.alive] for segment in self._segments]
        withheld = np.array(sorted(self._stored.damaged), np.int64)
        return np.sort(np.concatenate([self._memtable.keys, withheld, *parts]))

    def _replay(self, connection: Connection, seq: int) -> None:
        if seq == self._seq:
            return
        rows = connection.execute(
            select(oplog.c.chunk_id, oplog.c.op)
            .where(oplog.c.collection_id == self.key.id, oplog.c.seq > self._seq)
            .order_by(oplog.c.seq)
        )
        last = {row.chunk_id: row.op for row in rows}
        gone = np.array(sorted(i for i, op in last.items() if op == "delete"), np.int64)
        new = np.array(sorted(i for i, op in last.items() if op == "add"), np.int64)
        for segment in self._segments:
            segment.mark(gone, is_alive=False)
            new = np.setdiff1d(new, segment.mark(new, is_alive=True))
        self._memtable.remove(np.intersect1d(gone, self._memtable.keys))
        for chunk_id in gone.tolist():
            self._stored.damaged.pop(chunk_id, None)
        self._read(connection, new)

    def _attach(self, connection: Connection, seq: int, live: Int64[np.ndarray, " n"]) -> None:
        """Take over the current generation of files, of which the rows `live` at `seq` count."""
        is_stale = True
        while is_stale:  # another process published while we opened
            pointer = self.folder.pointer()
            manifest = self.folder.manifest(pointer)
            if manifest is not None and manifest.seq > seq:
                # Of a write that this transaction does not see: taken at a later search.
                if self._seq is not None:
                    return
                manifest, pointer = None, ""
            if manifest is not None and not is_of_database(connection, manifest, self._stored):
                manifest = None
            segments, is_stale = self._opened(manifest, pointer)
            self._pointer = pointer
            self._generation = manifest.generation if manifest is not None else 0
            self._segments = segments
        rest = live
        for segment in self._segments:
            segment.set_alive(np.isin(segment.ids, rest))
            rest = np.setdiff1d(rest, segment.ids[segment.alive])
        keys = self._memtable.keys
        self._memtable.remove(np.setdiff1d(keys, rest))
        self._read(connection, np.setdiff1d(rest, keys))

    def _opened(self, manifest: Manifest | None, pointer: str) -> tuple[list[Segment], bool]:
        held = {segment.entry.name: segment for segment in self._segments}
        found: list[Segment] = []
        self._set_aside = []
        for entry in manifest.segments if manifest is not None else ():
            kept = held.get(entry.name)
            if kept is not None and kept.entry == entry:
                found.append(kept)
                continue
            try:
                found.append(self._open(manifest, entry))  # type: ignore[arg-type]  # not None here
            except IndexFileError as error:
                if self.folder.pointer() != pointer and pointer:
                    return found, True
                self._set_aside.append(entry.name)
                self.folder.set_aside(self.folder.segments / entry.name, str(error))
        return found, False

    def _open(self, manifest: Manifest, entry: SegmentEntry) -> Segment:
        return open_segment(self.folder, manifest, entry, threads=self._threads)

    def _read(self, connection: Connection, ids: Int64[np.ndarray, " n"]) -> None:
        known = len(self._stored.damaged)
        for keys, rows in self._stored.read(connection, ids):
            self._memtable.add(keys, rows)
        if len(self._stored.damaged) > known:
            _log.error(
                "collection %r: the vectors of chunks %s are damaged and take no part in searches;"
                " verify the collection and ingest their documents again",
                self.key.name,
                sorted(self._stored.damaged)[:20],
            )


def is_of_database(connection: Connection, manifest: Manifest, stored: StoredVectors) -> bool:
    """Say whether a manifest was made of a write that this transaction sees, and of this set."""
    token = connection.scalar(
        select(commits.c.token).where(
            commits.c.collection_id == stored.collection_id, commits.c.seq == manifest.seq
        )
    )
    return (
        manifest.collection_id,
        manifest.token,
        manifest.set_id,
        manifest.dim,
        manifest.metric,
    ) == (stored.collection_id, token, stored.set_id, stored.dim, stored.metric)

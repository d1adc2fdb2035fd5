"""A flat index in memory that follows its collection in the database.

SQL is the truth. Before every search the index compares sequence numbers and takes over what any
thread or process wrote: new vectors by the number that added them, and, only when something was
deleted, the difference between its keys and the collection's (a flat index rewrites itself on a
removal anyway, so a log of deletions would save nothing).

Letters: `n` vectors, `d` their width, `k` neighbours.
"""

import threading
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64
from sqlalchemy import Connection, select

from index.document_rows import serving
from index.errors import DamagedDocumentError, UnknownCollectionError
from index.memtable import Memtable
from index.protocol import Metric
from index.stop_words import Language
from index.tables import chunks, collections, vectors

_BATCH = 8192  # vectors read at a time, which bounds the memory beside the index


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionKey:
    """What never changes about a collection; `id` is not used again after it is deleted."""

    id: int
    name: str
    embedder: str
    fingerprint: str
    dim: int
    metric: Metric
    language: Language = Language.ENGLISH


class LiveIndex:
    """The vectors of one collection. Hold `lock` from before the transaction begins.

    Then snapshots reach the index in the order in which they were taken, and what it answers is
    exactly what the caller's transaction sees.
    """

    def __init__(self, collection: CollectionKey, *, threads: int) -> None:
        self.lock = threading.Lock()
        self._collection = collection
        self._threads = threads
        self._flat = self._empty()
        self._seq = 0

    def nearest(
        self, connection: Connection, query: Float[np.ndarray, " d"], k: int
    ) -> tuple[Int64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
        """Return chunk ids and similarities of the min(k, n) nearest, best first.

        Raises:
            UnknownCollectionError: the collection was deleted.
            DamagedDocumentError: a stored vector has another width.
        """
        self._catch_up(connection)
        return self._flat.search(query, k)

    def _catch_up(self, connection: Connection) -> None:
        row = connection.execute(
            select(collections.c.seq, collections.c.seq_deleted).where(
                collections.c.id == self._collection.id
            )
        ).one_or_none()
        if row is None:
            raise UnknownCollectionError(f"collection {self._collection.name!r} was deleted")
        if row.seq == self._seq:
            return
        try:
            if self._seq and row.seq_deleted > self._seq:
                self._remove_deleted(connection)
            self._add_new(connection)
        except BaseException:
            # Neither the old state nor the new one: start from nothing the next time.
            self._flat = self._empty()
            self._seq = 0
            raise
        self._seq = row.seq

    def _remove_deleted(self, connection: Connection) -> None:
        stored = connection.scalars(
            select(chunks.c.id).where(
                chunks.c.collection_id == self._collection.id, chunks.c.seq_added <= self._seq
            )
        )
        self._flat.remove(np.setdiff1d(self._flat.keys, np.fromiter(stored, np.int64)))

    def _add_new(self, connection: Connection) -> None:
        rows = connection.execute(
            select(chunks.c.id, vectors.c.vector)
            .join(vectors, vectors.c.chunk_id == chunks.c.id)
            .where(
                chunks.c.collection_id == self._collection.id,
                chunks.c.seq_added > self._seq,
                vectors.c.set_id
                == serving(connection, self._collection.id, self._collection.name).set_id,
            )
            .order_by(chunks.c.seq_added, chunks.c.id)
        )
        for batch in rows.partitions(_BATCH):
            keys = np.fromiter((key for key, _ in batch), np.int64, len(batch))
            self._flat.add(keys, self._matrix([blob for _, blob in batch]))

    def _empty(self) -> Memtable:
        return Memtable(self._collection.dim, self._collection.metric, threads=self._threads)

    def _matrix(self, blobs: list[bytes]) -> Float32[np.ndarray, "n d"]:
        width = self._flat.dim * 4
        if any(len(blob) != width for blob in blobs):
            raise DamagedDocumentError(
                f"collection {self._collection.name!r} is damaged: a vector does not have the"
                f" {width} bytes of {self._collection.dim} components; delete it and ingest again"
            )
        return np.frombuffer(b"".join(blobs), "<f4").reshape(len(blobs), self._flat.dim)

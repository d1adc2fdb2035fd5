"""A collection as it stood after an earlier write: slow, exact, read from SQL alone.

What was deleted or replaced since is in the tables of old rows; the log of operations says what was
there. Vectors are compared one by one. For words a keyword index is made, in memory, of the chunks
of that time alone, so that its statistics are those of that time. What was purged is missing, and
the answer says so; so are deleted chunks of an earlier embedder.

Letters: `n` chunks, `d` the width of their vectors.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
from jaxtyping import Float
from sqlalchemy import Connection, Engine, create_engine, delete, func, insert, select

from index.commit_log import first_write
from index.database import reading, writing
from index.distance import unit_rows
from index.document_rows import Serving, serving
from index.errors import DamagedDocumentError, UnknownDocumentError
from index.inspection import PastResult, Snapshot
from index.lexical_lane import LexicalLane
from index.live_index import CollectionKey
from index.memtable import Memtable
from index.new_rows import check_components, chunk_terms
from index.protocol import DocumentRecord, Hit, Metric
from index.row_digests import document_digest, vector_digest
from index.tables import (
    chunks,
    document_versions,
    documents,
    old_chunks,
    old_documents,
    oplog,
    snapshots,
    vectors,
)

_RECORD = [c for c in documents.c if c.name not in {"id", "collection_id", "text"}]
_OLD_RECORD = [old_documents.c[column.name] for column in _RECORD]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """A chunk of that time, with the record and the text of its document."""

    row: Any
    document: Any
    vector: bytes | None


class Versions:
    """Satisfies `Versioned` for one collection."""

    def __init__(self, database: Engine, key: CollectionKey) -> None:
        self._database = database
        self._key = key

    def snapshot(self, name: str) -> Snapshot:
        """Give the present state a name, in place of an older one of that name.

        Raises:
            ValueError: the name is empty.
            UnknownCollectionError: the collection was deleted.
        """
        if not name:
            raise ValueError("a snapshot needs a name")
        now = datetime.now(UTC)
        with writing(self._database) as connection:
            seq = serving(connection, self._key.id, self._key.name).seq
            mine = snapshots.c.collection_id == self._key.id
            connection.execute(delete(snapshots).where(mine, snapshots.c.name == name))
            connection.execute(
                insert(snapshots).values(
                    collection_id=self._key.id, name=name, seq=seq, created_at=now
                )
            )
        return Snapshot(name=name, seq=seq, created_at=now)

    def snapshots(self) -> list[Snapshot]:
        """Return the snapshots, the oldest first."""
        with reading(self._database) as connection:
            rows = connection.execute(
                select(snapshots)
                .where(snapshots.c.collection_id == self._key.id)
                .order_by(snapshots.c.seq, snapshots.c.name)
            )
            return [Snapshot(name=r.name, seq=r.seq, created_at=r.created_at) for r in rows]

    def latest(self) -> int:
        """Return the number of the last write; raises `UnknownCollectionError`."""
        with reading(self._database) as connection:
            return serving(connection, self._key.id, self._key.name).seq

    def seq_of(self, state: int | str) -> int:
        """Return the write of a snapshot by its name; a number stands for itself.

        Raises:
            ValueError: there is no snapshot of this name; the message names those that exist.
        """
        if isinstance(state, int):
            return state
        seqs = {snapshot.name: snapshot.seq for snapshot in self.snapshots()}
        if state not in seqs:
            raise ValueError(
                f"collection {self._key.name!r} has no snapshot {state!r}; it has"
                f" {', '.join(map(repr, seqs)) or 'none'}"
            )
        return seqs[state]

    def search(self, query: Float[np.ndarray, " d"], k: int, *, at: int) -> PastResult:
        """Return the nearest chunks as of write `at`, with the embedder that serves today.

        Raises:
            ValueError: `k` or `at` is out of bounds, or the query has another width.
            DamagedDocumentError: what is stored of a chunk is not what was written.
            UnknownCollectionError: the collection was deleted.
        """
        check_components(query, "the query vector")
        with reading(self._database) as connection:
            now = self._checked(connection, at)
            past = self._past(connection, now, at)
            reason = self._missing(connection, at, past)
        with_vectors = [chunk for chunk in past if chunk.vector is not None]
        if len(with_vectors) < len(past):
            reason = reason or "some chunks were deleted before the collection was embedded anew"
        table = Memtable(now.dim, self._key.metric)
        if with_vectors:
            rows = np.frombuffer(b"".join(c.vector or b"" for c in with_vectors), "<f4")
            rows = rows.reshape(-1, now.dim)
            is_cosine = self._key.metric is Metric.COSINE
            ids = np.array([chunk.row.id for chunk in with_vectors], np.int64)
            table.add(ids, unit_rows(rows) if is_cosine else rows)
        ids, scores = table.search(query, k)
        return self._result(at, past, zip(ids.tolist(), scores.tolist(), strict=True), reason)

    def search_terms(self, query: str, k: int, *, at: int) -> PastResult:
        """Return chunks that share a term with the query, by the BM25 of that time.

        Raises:
            ValueError: `k` or `at` is out of bounds.
            DamagedDocumentError: what is stored of a chunk is not what was written.
            UnknownCollectionError: the collection was deleted.
        """
        if k < 1:
            raise ValueError(f"k must be >= 1, got {k}")
        with reading(self._database) as connection:
            past = self._past(connection, self._checked(connection, at), at)
            reason = self._missing(connection, at, past)
        scratch = create_engine("sqlite://")
        try:
            with scratch.begin() as words:
                lane = LexicalLane(1, self._key.language)
                lane.table.create(words)
                lane.table.add(words, [(c.row.id, self._terms(c)) for c in past])
                found = lane.nearest(words, lane.postings(words), query, k)
        finally:
            scratch.dispose()
        scored = zip(found.ids.tolist(), found.scores.tolist(), strict=True)
        return self._result(at, past, scored, reason)

    def get(self, document_id: str, *, at: int) -> tuple[DocumentRecord, str]:
        """Return a document and its text as of write `at`.

        Raises:
            ValueError: there was no such write yet.
            UnknownDocumentError: the document was not there then, or was purged.
            DamagedDocumentError: it is not what was written.
            UnknownCollectionError: the collection was deleted.
        """
        with reading(self._database) as connection:
            self._checked(connection, at)
            row = self._document(connection, document_id, at)
        if row is None:
            raise UnknownDocumentError(
                f"collection {self._key.name!r} had no document {document_id!r} at write {at}"
            )
        fields = {column.name: getattr(row, column.name) for column in _RECORD}
        return DocumentRecord(id=document_id, **fields), row.text.decode()

    def _checked(self, connection: Connection, at: int) -> Serving:
        now = serving(connection, self._key.id, self._key.name)
        if not 0 <= at <= now.seq:
            raise ValueError(
                f"collection {self._key.name!r} has had the writes 1 to {now.seq}, not {at}"
            )
        return now

    def _past(self, connection: Connection, now: Serving, at: int) -> list[_Chunk]:
        live = connection.execute(
            select(chunks, vectors.c.vector, vectors.c.digest, vectors.c.set_id)
            .join(vectors, vectors.c.chunk_id == chunks.c.id)
            .where(
                chunks.c.collection_id == self._key.id,
                chunks.c.seq_added <= at,
                vectors.c.set_id == now.set_id,
            )
        ).all()
        old = connection.execute(
            select(old_chunks).where(
                old_chunks.c.collection_id == self._key.id,
                old_chunks.c.seq_added <= at,
                old_chunks.c.seq_deleted > at,
            )
        ).all()
        held: dict[str, Any] = {}
        found = []
        for row in sorted([*live, *old], key=lambda one: int(one.id)):
            if vector_digest(row, row.set_id, row.vector) != row.digest:
                raise DamagedDocumentError(
                    f"chunk {row.id} of collection {self._key.name!r} is damaged; verify it"
                )
            if row.document_id not in held:
                held[row.document_id] = self._document(connection, row.document_id, at)
            document = held[row.document_id]
            if document is not None:
                vector = row.vector if row.set_id == now.set_id else None
                found.append(_Chunk(row=row, document=document, vector=vector))
        return found

    def _document(self, connection: Connection, document_id: str, at: int) -> Any:
        live = connection.execute(
            select(*_RECORD, documents.c.text, document_versions.c.digest)
            .join(document_versions, document_versions.c.document_id == documents.c.id)
            .where(
                documents.c.id == document_id,
                documents.c.collection_id == self._key.id,
                document_versions.c.seq_added <= at,
            )
        ).first()
        row = (
            live
            or connection.execute(
                select(*_OLD_RECORD, old_documents.c.text, old_documents.c.digest).where(
                    old_documents.c.document_id == document_id,
                    old_documents.c.collection_id == self._key.id,
                    old_documents.c.seq_added <= at,
                    old_documents.c.seq_deleted > at,
                )
            ).first()
        )
        if row is not None:
            record = SimpleNamespace(**{**row._mapping, "id": document_id})  # noqa: SLF001  # SQLAlchemy's public name for it
            is_whole = document_digest(record) == row.digest
            if not is_whole or hashlib.sha256(row.text).hexdigest() != row.text_sha256:
                raise DamagedDocumentError(
                    f"document {row.uri!r} as of write {at} is damaged; verify the collection"
                )
        return row

    def _missing(self, connection: Connection, at: int, past: Sequence[_Chunk]) -> str:
        """Say why chunks that the log has for that time are not there."""
        first = first_write(connection, self._key.id)
        if 0 < at < first:
            return f"the history of this collection begins with write {first}"
        mine = (oplog.c.collection_id == self._key.id, oplog.c.seq <= at)
        added, gone = (
            connection.scalar(select(func.count()).where(*mine, oplog.c.op == op)) or 0
            for op in ("add", "delete")
        )
        num = added - gone - len(past)
        return f"{num} chunks of that time were purged" if num else ""

    def _terms(self, chunk: _Chunk) -> Any:
        text = chunk.document.text[chunk.row.start : chunk.row.end].decode()
        headings = chunk.row.heading_path
        return chunk_terms(chunk.document.title, headings, text, self._key.language)

    def _result(self, at: int, past: Sequence[_Chunk], scored: Any, reason: str) -> PastResult:
        by_id = {chunk.row.id: chunk for chunk in past}
        hits = []
        for rank, (chunk_id, score) in enumerate(scored, start=1):
            row, document = by_id[chunk_id].row, by_id[chunk_id].document
            hits.append(
                Hit(
                    document_id=row.document_id,
                    uri=document.uri,
                    title=document.title,
                    start=row.start,
                    end=row.end,
                    text=document.text[row.start : row.end].decode(),
                    heading_path=tuple(row.heading_path),
                    score=score,
                    rank=rank,
                )
            )
        return PastResult(seq=at, hits=tuple(hits), reason=reason, scanned=len(past))

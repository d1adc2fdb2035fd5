"""The rows of a collection's documents in SQL: every write is numbered, logged and kept for later.

All of it happens in the caller's write transaction. What is deleted moves to the tables of old
rows, from where a search as of an earlier number still finds it. Knows no file.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Protocol, runtime_checkable

from sqlalchemy import Connection, delete, insert, literal, select, update

from index.errors import UnknownCollectionError
from index.new_rows import CheckedDocument, ChunkTerms
from index.protocol import DocumentRecord
from index.row_digests import document_digest, vector_digest
from index.source_notes import drop_notes_of
from index.tables import (
    chunks,
    collections,
    commits,
    document_versions,
    documents,
    old_chunks,
    old_documents,
    oplog,
    vector_sets,
    vectors,
)
from index.token_rows import check_tokens, insert_tokens, most_tokens
from index.token_vectors import TokenVectors

_BATCH = 500  # ids in one statement: SQLite bounds the number of parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The state of a collection in a transaction, and the set of vectors that answers there."""

    seq: int
    set_id: int
    embedder: str
    fingerprint: str
    dim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One write: its number, and the name that no other write has."""

    seq: int
    token: str


@runtime_checkable
class TermRows(Protocol):
    """Where the terms of chunks are written with them; see `index.lexical.LexicalTable`."""

    def add(self, connection: Connection, rows: Iterable[tuple[int, ChunkTerms]]) -> None:
        """Insert the terms of chunks under their ids."""
        ...

    def remove(self, connection: Connection, chunk_ids: Sequence[int]) -> None:
        """Delete the terms of chunks."""
        ...


def serving(connection: Connection, collection_id: int, name: str) -> Serving:
    """Return what serves; raises `UnknownCollectionError` where the collection was deleted."""
    row = connection.execute(
        select(
            collections.c.seq,
            vector_sets.c.id,
            collections.c.embedder,
            collections.c.fingerprint,
            collections.c.dim,
        )
        .join(
            vector_sets,
            (vector_sets.c.collection_id == collections.c.id)
            & (vector_sets.c.fingerprint == collections.c.fingerprint),
        )
        .where(collections.c.id == collection_id)
    ).one_or_none()
    if row is None:
        raise UnknownCollectionError(f"collection {name!r} was deleted")
    return Serving(
        seq=row.seq,
        set_id=row.id,
        embedder=row.embedder,
        fingerprint=row.fingerprint,
        dim=row.dim,
    )


class DocumentRows:
    """Writes the documents of one collection."""

    def __init__(self, collection_id: int, name: str, lexical: TermRows) -> None:
        self._collection_id = collection_id
        self._name = name
        self._lexical = lexical

    def begin(self, connection: Connection) -> Commit:
        """Number the write that this transaction is; raises `UnknownCollectionError`."""
        seq = connection.scalar(
            update(collections)
            .where(collections.c.id == self._collection_id)
            .values(seq=collections.c.seq + 1)
            .returning(collections.c.seq)
        )
        if seq is None:
            raise UnknownCollectionError(f"collection {self._name!r} was deleted")
        commit = Commit(seq=int(seq), token=uuid.uuid4().hex)
        connection.execute(
            insert(commits).values(
                collection_id=self._collection_id,
                seq=commit.seq,
                token=commit.token,
                at=datetime.now(UTC),
            )
        )
        return commit

    def delete(self, connection: Connection, document_ids: Sequence[str], seq: int) -> int:
        """Remove those of the documents that are there; return how many were."""
        self._lexical.remove(connection, self._chunk_ids(connection, document_ids))
        num_deleted = 0
        for i in range(0, len(document_ids), _BATCH):
            num_deleted += self._delete(connection, document_ids[i : i + _BATCH], seq)
        if num_deleted:
            connection.execute(
                update(collections)
                .where(collections.c.id == self._collection_id)
                .values(seq_deleted=seq)
            )
        return num_deleted

    def insert(
        self,
        connection: Connection,
        checked: Sequence[CheckedDocument],
        records: Sequence[DocumentRecord],
        seq: int,
    ) -> None:
        """Store documents of which none is there, with their chunks, vectors and terms."""
        rows = list(zip(checked, records, strict=True))
        connection.execute(insert(documents), [self._document(new, record) for new, record in rows])
        connection.execute(
            insert(document_versions),
            [
                {"document_id": record.id, "seq_added": seq, "digest": document_digest(record)}
                for record in records
            ],
        )
        new_chunks: list[dict[str, Any]] = [
            {
                "collection_id": self._collection_id,
                "document_id": record.id,
                "start": item.start,
                "end": item.end,
                "heading_path": list(item.heading_path),
                "seq_added": seq,
            }
            for new, record in rows
            for item in new.document.items
        ]
        if not new_chunks:
            return
        ids = connection.scalars(
            insert(chunks).returning(chunks.c.id, sort_by_parameter_order=True), new_chunks
        ).all()
        blobs = [row.tobytes() for new in checked for row in new.vectors]
        self._insert_vectors(connection, new_chunks, ids, blobs)
        self._insert_tokens(connection, checked, ids)
        connection.execute(
            insert(oplog),
            [
                {
                    "collection_id": self._collection_id,
                    "seq": seq,
                    "chunk_id": chunk_id,
                    "op": "add",
                }
                for chunk_id in ids
            ],
        )
        terms = (terms for new in checked for terms in new.terms)
        self._lexical.add(connection, zip(ids, terms, strict=True))

    def _insert_vectors(
        self,
        connection: Connection,
        new_chunks: Sequence[dict[str, Any]],
        ids: Sequence[int],
        blobs: Sequence[bytes],
    ) -> None:
        set_id = serving(connection, self._collection_id, self._name).set_id
        connection.execute(
            insert(vectors),
            [
                {
                    "chunk_id": chunk_id,
                    "set_id": set_id,
                    "digest": vector_digest(SimpleNamespace(id=chunk_id, **chunk), set_id, blob),
                    "vector": blob,
                }
                for chunk_id, chunk, blob in zip(ids, new_chunks, blobs, strict=True)
            ],
        )

    def _insert_tokens(
        self, connection: Connection, checked: Sequence[CheckedDocument], ids: Sequence[int]
    ) -> None:
        now = serving(connection, self._collection_id, self._name)
        most = most_tokens(connection, self._collection_id)
        found: list[TokenVectors] = []
        for new in checked:
            check_tokens(new.document, dim=now.dim, most=most)
            found += new.document.token_vectors or ()
        if found:
            insert_tokens(connection, now.set_id, ids, found)

    def _chunk_ids(self, connection: Connection, document_ids: Sequence[str]) -> list[int]:
        found: list[int] = []
        for i in range(0, len(document_ids), _BATCH):
            found += connection.scalars(
                select(chunks.c.id).where(
                    chunks.c.document_id.in_(document_ids[i : i + _BATCH]),
                    chunks.c.collection_id == self._collection_id,
                )
            )
        return found

    def _delete(self, connection: Connection, document_ids: Sequence[str], seq: int) -> int:
        ours = (
            documents.c.id.in_(document_ids),
            documents.c.collection_id == self._collection_id,
        )
        drop_notes_of(connection, self._collection_id, document_ids)
        kept = [column for column in documents.c if column.name not in {"id", "text"}]
        connection.execute(
            insert(old_documents).from_select(
                [
                    "document_id",
                    *(column.name for column in kept),
                    "seq_added",
                    "seq_deleted",
                    "digest",
                    "text",
                ],
                select(
                    documents.c.id,
                    *kept,
                    document_versions.c.seq_added,
                    literal(seq),
                    document_versions.c.digest,
                    documents.c.text,
                )
                .join(document_versions, document_versions.c.document_id == documents.c.id)
                .where(*ours),
            )
        )
        gone = (
            chunks.c.document_id.in_(document_ids),
            chunks.c.collection_id == self._collection_id,
        )
        set_id = serving(connection, self._collection_id, self._name).set_id
        connection.execute(
            insert(old_chunks).from_select(
                [
                    *(column.name for column in chunks.c),
                    "seq_deleted",
                    "set_id",
                    "digest",
                    "vector",
                ],
                select(
                    *chunks.c, literal(seq), vectors.c.set_id, vectors.c.digest, vectors.c.vector
                )
                .join(vectors, vectors.c.chunk_id == chunks.c.id)
                .where(*gone, vectors.c.set_id == set_id),
            )
        )
        connection.execute(
            insert(oplog).from_select(
                ["collection_id", "seq", "chunk_id", "op"],
                select(chunks.c.collection_id, literal(seq), chunks.c.id, literal("delete")).where(
                    *gone
                ),
            )
        )
        return connection.execute(delete(documents).where(*ours)).rowcount

    def _document(self, new: CheckedDocument, record: DocumentRecord) -> dict[str, object]:
        return {
            "id": record.id,
            "collection_id": self._collection_id,
            "uri": record.uri,
            "title": record.title,
            "media_type": record.media_type,
            "source_sha256": record.source_sha256,
            "text_sha256": record.text_sha256,
            "num_bytes": record.num_bytes,
            "num_chunks": record.num_chunks,
            "created_at": record.created_at,
            "metadata": dict(record.metadata),
            "text": new.data,
        }

"""The passages of a document as they are stored, with their vectors, for whoever stores it anew.

Letters: `d` the width of a vector.
"""

import hashlib
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from jaxtyping import Float32
from sqlalchemy import Connection, select

from index.document_rows import Serving
from index.protocol import DocumentRecord
from index.row_digests import document_digest, vector_digest
from index.tables import chunks, document_versions, documents, vectors
from index.token_rows import read_tokens
from index.token_vectors import Span, TokenVectors

_RECORD = [column for column in documents.c if column.name not in {"collection_id", "text"}]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredPassage:
    """A chunk: its span and text, what stands above it, and its vectors.

    `vector` is None where what is stored is not what was written. `token_vectors` is None there
    too, and where the collection keeps none.
    """

    start: int
    end: int
    text: str
    heading_path: tuple[str, ...]
    vector: Float32[np.ndarray, " d"] | None
    token_vectors: TokenVectors | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredPassages:
    """A document and all its chunks, in their order; one that is damaged has none."""

    record: DocumentRecord
    passages: tuple[StoredPassage, ...]


def stored_passages(
    connection: Connection, collection_id: int, now: Serving, document_id: str
) -> StoredPassages | None:
    """Return what is stored of a document and found to be what was written, or None."""
    row = connection.execute(
        select(*_RECORD, documents.c.text, document_versions.c.digest)
        .join(document_versions, document_versions.c.document_id == documents.c.id)
        .where(documents.c.id == document_id, documents.c.collection_id == collection_id)
    ).first()
    if row is None:
        return None
    values = {column.name: getattr(row, column.name) for column in _RECORD}
    data = bytes(row.text)
    record = DocumentRecord(**values)
    if (
        document_digest(SimpleNamespace(**values)) != row.digest
        or hashlib.sha256(data).hexdigest() != row.text_sha256
    ):
        return StoredPassages(record=record, passages=())
    found = connection.execute(
        select(chunks, vectors.c.vector, vectors.c.digest)
        .outerjoin(vectors, (vectors.c.chunk_id == chunks.c.id) & (vectors.c.set_id == now.set_id))
        .where(chunks.c.document_id == document_id, chunks.c.collection_id == collection_id)
        .order_by(chunks.c.id)
    ).all()
    spans = [Span(document_id, one.start, one.end) for one in found]
    tokens = read_tokens(connection, collection_id, now.set_id, now.dim, spans)
    return StoredPassages(
        record=record,
        passages=tuple(
            StoredPassage(
                start=one.start,
                end=one.end,
                text=data[one.start : one.end].decode(errors="replace"),
                heading_path=tuple(one.heading_path),
                vector=vector,
                token_vectors=None if vector is None else tokens.get(span),
            )
            for one, span in zip(found, spans, strict=True)
            for vector in [_vector(one, now)]
        ),
    )


def _vector(row: object, now: Serving) -> Float32[np.ndarray, " d"] | None:
    blob: bytes | None = row.vector  # type: ignore[attr-defined]  # a row of SQLAlchemy
    if blob is None or len(blob) != 4 * now.dim:
        return None
    if vector_digest(row, now.set_id, blob) != row.digest:  # type: ignore[attr-defined]
        return None
    return np.frombuffer(blob, "<f4").copy()

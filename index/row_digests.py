"""Hashes of rows, by which a damaged one is told from what was written.

SQLite's own check of a database finds a flipped byte in its trees, and none in a value.
"""

import hashlib
import json
from datetime import UTC
from types import SimpleNamespace
from typing import Any

from index.errors import DamagedDocumentError

_SIZE = 16  # bytes


def document_digest(row: Any) -> bytes:
    """Return the hash of a document's row but its text, whose SHA-256 is in it.

    `row` has the columns of `documents` as attributes.
    """
    return _digest(
        [
            row.id,
            row.uri,
            row.title,
            row.media_type,
            row.source_sha256,
            row.text_sha256,
            row.num_bytes,
            row.num_chunks,
            row.created_at.astimezone(UTC).isoformat(),
            dict(row.metadata),
        ]
    )


def vector_digest(chunk: Any, set_id: int, vector: bytes) -> bytes:
    """Return the hash of a chunk together with its vector in a set.

    `chunk` has the columns of `chunks` as attributes; the texts of chunks are their document's.
    """
    return _digest(
        [
            chunk.id,
            set_id,
            chunk.document_id,
            chunk.start,
            chunk.end,
            list(chunk.heading_path),
            chunk.seq_added,
        ],
        vector,
    )


def check_row(collection: str, chunk_id: int, row: Any, set_id: int) -> Any:
    """Return the row of a chunk, its document and its vector, when it is what was written.

    `row` has the columns of `chunks`, `documents` (but the text) and `vectors` as attributes, and
    `document_digest`; it is None where nothing was found.

    Raises:
        DamagedDocumentError: it is not.
    """
    if row is None:
        raise DamagedDocumentError(
            f"collection {collection!r} is damaged: its chunk {chunk_id} has no document or no"
            " vector any more; verify the collection"
        )
    document = SimpleNamespace(**{**row._mapping, "id": row.document_id})  # noqa: SLF001
    if document_digest(document) != row.document_digest or (
        vector_digest(row, set_id, row.vector) != row.digest
    ):
        raise DamagedDocumentError(
            f"document {row.uri!r} is damaged: its chunk {row.start}..{row.end} is not what was"
            " stored; delete it and ingest it again"
        )
    return row


def _digest(fields: list[Any], data: bytes = b"") -> bytes:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode() + b"\0" + data, digest_size=_SIZE).digest()

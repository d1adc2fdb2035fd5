"""The rows of token vectors, for collections that keep them.

A collection says at its creation how many a chunk has at most. They are of the embedder whose
vectors serve, and are written with the chunk, in its transaction.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, insert, select

from index.protocol import NewDocument
from index.tables import chunks, documents, token_options, token_vectors
from index.token_vectors import Span, TokenVectors

MOST_TOKEN_VECTORS = 512
_BATCH = 500  # ids in one statement: SQLite bounds the number of parameters


def check_most(most: int) -> None:
    """Raise `ValueError` where a collection cannot keep so many vectors a chunk."""
    if not 0 <= most <= MOST_TOKEN_VECTORS:
        raise ValueError(
            f"token_vectors must be in [0, {MOST_TOKEN_VECTORS}], how many a chunk has at most"
            f" (0: none), got {most}"
        )


def declare_tokens(connection: Connection, collection_id: int, most: int) -> None:
    """Write how many vectors each chunk of a new collection has at most."""
    if most:
        connection.execute(insert(token_options).values(collection_id=collection_id, most=most))


def check_tokens(document: NewDocument, *, dim: int, most: int) -> None:
    """Raise `ValueError` where a document has not what its collection keeps."""
    found, uri, num = document.token_vectors, document.uri, len(document.items)
    if found is None and not most:
        return
    if not most:
        raise ValueError(
            f"document {uri!r} has token vectors, and its collection keeps none; make one that does"
        )
    shapes = [each.codes.shape for each in found or ()]
    if len(shapes) != num or any(not (1 <= m <= most and d == dim) for m, d in shapes):
        raise ValueError(
            f"document {uri!r} has {num} chunks in a collection that keeps 1 to {most} token"
            f" vectors of {dim} components of each, but brings {shapes}"
        )


def insert_tokens(
    connection: Connection, set_id: int, ids: Sequence[int], found: Iterable[TokenVectors]
) -> None:
    """Write the vectors of new chunks, in order."""
    rows = [
        {
            "chunk_id": chunk_id,
            "set_id": set_id,
            "scale": each.scale,
            "digest": _digest(chunk_id, set_id, each.scale, each.codes.tobytes()),
            "codes": each.codes.tobytes(),
        }
        for chunk_id, each in zip(ids, found, strict=True)
    ]
    if rows:
        connection.execute(insert(token_vectors), rows)


def read_tokens(
    connection: Connection, collection_id: int, set_id: int, dim: int, spans: Iterable[Span]
) -> dict[Span, TokenVectors]:
    """Return the vectors of those chunks that have some, undamaged."""
    ids = sorted({span.document_id for span in spans})
    wanted = set(spans)
    found: dict[Span, TokenVectors] = {}
    for i in range(0, len(ids), _BATCH):
        places = connection.execute(
            select(chunks.c.id, chunks.c.document_id, chunks.c.start, chunks.c.end).where(
                chunks.c.document_id.in_(ids[i : i + _BATCH]),
                chunks.c.collection_id == collection_id,
            )
        )
        by_id = {
            row.id: span
            for row in places
            if (span := Span(row.document_id, row.start, row.end)) in wanted
        }
        for row in _rows(connection, set_id, sorted(by_id)):
            if is_as_written(row, set_id, dim):
                codes = np.frombuffer(row.codes, np.int8).reshape(-1, dim)
                found[by_id[row.chunk_id]] = TokenVectors(codes=codes, scale=row.scale)
    return found


def _rows(connection: Connection, set_id: int, ids: Sequence[int]) -> Iterator[Any]:
    for i in range(0, len(ids), _BATCH):
        yield from connection.execute(
            select(token_vectors).where(
                token_vectors.c.chunk_id.in_(ids[i : i + _BATCH]),
                token_vectors.c.set_id == set_id,
            )
        )


def is_as_written(row: Any, set_id: int, dim: int) -> bool:
    """Whether a row of `token_vectors` holds what was stored."""
    codes = bytes(row.codes)
    return (
        len(codes) > 0
        and len(codes) % dim == 0
        and _digest(row.chunk_id, set_id, row.scale, codes) == row.digest
    )


def damaged_tokens(
    connection: Connection, collection_id: int, set_id: int, dim: int
) -> Iterator[tuple[str, str]]:
    """Give (uri, what is wrong) of chunks whose vectors are not there or not as written.

    Nothing where the collection keeps none.
    """
    if most_tokens(connection, collection_id) == 0:
        return
    rows = connection.execute(
        select(chunks.c.id, documents.c.uri, token_vectors)
        .join(documents, documents.c.id == chunks.c.document_id)
        .outerjoin(
            token_vectors,
            (token_vectors.c.chunk_id == chunks.c.id) & (token_vectors.c.set_id == set_id),
        )
        .where(chunks.c.collection_id == collection_id)
        .order_by(chunks.c.id)
    )
    for row in rows.yield_per(500):
        if row.chunk_id is None:
            yield row.uri, f"chunk {row.id} of {row.uri!r} has no token vectors"
        elif not is_as_written(row, set_id, dim):
            what = f"the token vectors of chunk {row.id} of {row.uri!r} are not what was stored"
            yield row.uri, what


def most_tokens(connection: Connection, collection_id: int) -> int:
    """Return how many vectors a chunk of the collection has at most; 0 where it keeps none."""
    most = connection.scalar(
        select(token_options.c.most).where(token_options.c.collection_id == collection_id)
    )
    return int(most or 0)


def token_bytes(connection: Connection, collection_id: int) -> int:
    """Return how many bytes the vectors of all chunks take, keys and hashes not counted."""
    size = connection.scalar(
        select(func.sum(func.length(token_vectors.c.codes)))
        .join(chunks, chunks.c.id == token_vectors.c.chunk_id)
        .where(chunks.c.collection_id == collection_id)
    )
    return int(size or 0)


def _digest(chunk_id: int, set_id: int, scale: float, codes: bytes) -> bytes:
    head = f"{chunk_id} {set_id} {np.float32(scale).tobytes().hex()}\0".encode()
    return hashlib.blake2b(head + codes, digest_size=8).digest()

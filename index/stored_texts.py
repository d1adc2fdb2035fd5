"""The texts of chunks that are stored, cut out of their documents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from index.tables import chunks, documents


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkText:
    """What of a chunk is read: its text, and what stands above it."""

    title: str
    heading_path: tuple[str, ...]
    text: str
    uri: str = ""


def stored_texts(
    connection: Connection, chunk_ids: Sequence[int]
) -> Iterator[tuple[int, ChunkText]]:
    """Give the texts of chunks by id, ascending; their documents are read one by one."""
    rows = connection.execute(
        select(chunks, documents.c.title, documents.c.uri)
        .join(documents, documents.c.id == chunks.c.document_id)
        .where(chunks.c.id.in_(chunk_ids))
        .order_by(chunks.c.id)
    ).all()
    document_id, data = None, b""
    for row in rows:
        if row.document_id != document_id:
            document_id = row.document_id
            text = select(documents.c.text).where(documents.c.id == document_id)
            data = connection.scalar(text) or b""
        # A damaged text is found out where it is quoted, not here.
        yield (
            row.id,
            ChunkText(
                title=row.title,
                heading_path=tuple(row.heading_path),
                text=data[row.start : row.end].decode(errors="replace"),
                uri=row.uri,
            ),
        )

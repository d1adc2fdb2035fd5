"""The terms of chunks that are stored, made from their documents' texts."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from index.new_rows import ChunkTerms, chunk_terms
from index.stop_words import Language
from index.tables import chunks, documents


def stored_terms(
    connection: Connection, chunk_ids: Sequence[int], language: Language
) -> list[tuple[int, ChunkTerms]]:
    """Return the terms of chunks by id, ascending; their documents are read one by one."""
    rows = connection.execute(
        select(chunks, documents.c.title)
        .join(documents, documents.c.id == chunks.c.document_id)
        .where(chunks.c.id.in_(chunk_ids))
        .order_by(chunks.c.id)
    ).all()
    found = []
    document_id, data = None, b""
    for row in rows:
        if row.document_id != document_id:
            document_id = row.document_id
            text = select(documents.c.text).where(documents.c.id == document_id)
            data = connection.scalar(text) or b""
        # A damaged text is found out where it is quoted, not here.
        text_of_chunk = data[row.start : row.end].decode(errors="replace")
        found.append((row.id, chunk_terms(row.title, row.heading_path, text_of_chunk, language)))
    return found

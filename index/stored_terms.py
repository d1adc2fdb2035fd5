"""The terms of chunks that are stored, made from their documents' texts."""

from collections.abc import Sequence

from sqlalchemy import Connection

from index.new_rows import ChunkTerms, chunk_terms
from index.stop_words import Language
from index.stored_texts import stored_texts


def stored_terms(
    connection: Connection, chunk_ids: Sequence[int], language: Language
) -> list[tuple[int, ChunkTerms]]:
    """Return the terms of chunks by id, ascending."""
    return [
        (chunk_id, chunk_terms(chunk.title, chunk.heading_path, chunk.text, language))
        for chunk_id, chunk in stored_texts(connection, chunk_ids)
    ]

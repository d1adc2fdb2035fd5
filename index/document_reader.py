"""What is stored of documents beside their chunks: found by id, by uri, by filter, in order."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from sqlalchemy import Engine, func, select

from index.database import reading
from index.derived_lexical import WordSource, WordView
from index.document_rows import serving
from index.errors import UnknownDocumentError
from index.filter_lane import FilterLane
from index.filter_sql import document_ids
from index.filters import Filter, has_match
from index.live_index import CollectionKey
from index.protocol import DocumentRecord
from index.source_notes import SourceNote, read_notes
from index.stop_words import Language
from index.stored_passages import StoredPassages, stored_passages
from index.tables import documents
from index.text_cache import TextCache
from index.token_rows import read_tokens
from index.token_vectors import Span, TokenVectors

_BATCH = 500  # uris in one statement: SQLite bounds the number of parameters
_RECORD = [column for column in documents.c if column.name not in {"collection_id", "text"}]


class DocumentReader:
    """The documents of one collection; every call is a read transaction of its own."""

    def __init__(
        self,
        database: Engine,
        key: CollectionKey,
        texts: TextCache,
        filters: FilterLane,
        words: WordSource,
    ) -> None:
        self._database = database
        self._key = key
        self._texts = texts
        self._filters = filters
        self._words = words

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._key.name

    @property
    def language(self) -> Language:
        """The language whose stems and stop words its terms are made with."""
        return self._key.language

    def count(self, where: Filter | None = None) -> int:
        """Return how many documents there are, or how many a filter finds.

        Raises:
            FilterError: the filter cannot be compiled for this collection.
        """
        with ExitStack() as stack:
            view = self._view(stack, where)
            query = select(func.count()).where(documents.c.collection_id == self._key.id)
            if where is not None:
                found = document_ids(where, self._filters.scope(view.rows, view.words))
                query = query.where(documents.c.id.in_(found))
            return int(view.rows.scalar(query) or 0)

    def get(self, document_id: str) -> tuple[DocumentRecord, str]:
        """Return a document and its text.

        Raises:
            UnknownDocumentError: the collection has no such document.
            DamagedDocumentError: the text is not what was written.
        """
        with reading(self._database) as connection:
            row = connection.execute(self._records().where(documents.c.id == document_id)).first()
            if row is None:
                raise self._unknown(document_id)
            texts = self._texts.read(connection, {(row.id, row.text_sha256)})
        return _to_record(row), texts[document_id].data.decode()

    def documents(
        self, limit: int = 100, after: str | None = None, *, where: Filter | None = None
    ) -> list[DocumentRecord]:
        """Return up to `limit` documents in the order of their uris, from behind document `after`.

        With a filter, only those that it finds.

        Raises:
            FilterError: the filter cannot be compiled for this collection.
            UnknownDocumentError: the collection has no document `after`.
        """
        if limit < 1:
            raise ValueError(f"limit must be >= 1, got {limit}")
        query = self._records().order_by(documents.c.uri).limit(limit)
        with ExitStack() as stack:
            view = self._view(stack, where)
            connection = view.rows
            if after is not None:
                last = connection.execute(self._records().where(documents.c.id == after)).first()
                if last is None:
                    raise self._unknown(after)
                query = query.where(documents.c.uri > last.uri)
            if where is not None:
                found = document_ids(where, self._filters.scope(view.rows, view.words))
                query = query.where(documents.c.id.in_(found))
            return [_to_record(row) for row in connection.execute(query)]

    def find(self, uri: str) -> DocumentRecord | None:
        """Return the document of this uri, if there is one."""
        with reading(self._database) as connection:
            row = connection.execute(self._records().where(documents.c.uri == uri)).first()
        return None if row is None else _to_record(row)

    def find_many(self, uris: Sequence[str]) -> dict[str, DocumentRecord]:
        """Return those of the documents of these uris that are there."""
        found: dict[str, DocumentRecord] = {}
        with reading(self._database) as connection:
            for i in range(0, len(uris), _BATCH):
                query = self._records().where(documents.c.uri.in_(uris[i : i + _BATCH]))
                found.update((row.uri, _to_record(row)) for row in connection.execute(query))
        return found

    def sources(self) -> dict[str, str]:
        """Return the hash of the source of every document, by uri."""
        with reading(self._database) as connection:
            rows = connection.execute(
                select(documents.c.uri, documents.c.source_sha256).where(
                    documents.c.collection_id == self._key.id
                )
            )
            return {row.uri: row.source_sha256 for row in rows}

    def notes(self) -> dict[str, SourceNote]:
        """Return what became of every source that was ingested, by uri."""
        with reading(self._database) as connection:
            return {note.uri: note for note in read_notes(connection, self._key.id)}

    def passages(self, document_id: str) -> StoredPassages | None:
        """Return the chunks of a document with those of their vectors that are undamaged.

        Raises:
            UnknownCollectionError: the collection was deleted meanwhile.
        """
        with reading(self._database) as connection:
            now = serving(connection, self._key.id, self.name)
            return stored_passages(connection, self._key.id, now, document_id)

    def token_vectors(self, spans: Sequence[Span]) -> dict[Span, TokenVectors]:
        """Return the token vectors of those chunks that are there and have some, undamaged.

        Raises:
            UnknownCollectionError: the collection was deleted meanwhile.
        """
        with reading(self._database) as connection:
            now = serving(connection, self._key.id, self.name)
            return read_tokens(connection, self._key.id, now.set_id, now.dim, spans)

    def _view(self, stack: ExitStack, where: Filter | None) -> WordView:
        """Open a snapshot of rows, and of words where a filter asks for some."""
        if where is not None and has_match(where):
            return self._words.open(stack, self._database)
        connection = stack.enter_context(reading(self._database))
        return WordView(rows=connection, words=connection)

    def _records(self) -> Any:
        return select(*_RECORD).where(documents.c.collection_id == self._key.id)

    def _unknown(self, document_id: str) -> UnknownDocumentError:
        return UnknownDocumentError(f"collection {self.name!r} has no document {document_id!r}")


def _to_record(row: Any) -> DocumentRecord:
    return DocumentRecord(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it

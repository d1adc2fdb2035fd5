"""Writes to a stored collection: documents come, are replaced and go, each time in one transaction.

Letters: `n` vectors, `d` their width.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import numpy as np
from jaxtyping import Float
from sqlalchemy import Connection, Engine

from index.collection_files import CollectionFiles
from index.database import reading, writing
from index.declared_fields import check_declared, insert_values
from index.derived_lexical import OwnWords, WordSource
from index.document_reader import DocumentReader
from index.document_rows import DocumentRows, Serving, serving
from index.errors import EmbedderMismatchError
from index.filter_lane import FilterLane
from index.filter_sql import document_ids
from index.filters import Filter, has_match
from index.live_index import CollectionKey
from index.new_rows import check_document, document_id_of
from index.protocol import DocumentRecord, Item, NewDocument
from index.source_notes import SourceNote, claim, drop_notes, write_notes
from index.text_cache import TextCache


class DocumentWriter(DocumentReader):
    """The documents of one collection, which it also changes."""

    def __init__(  # made in one place
        self,
        database: Engine,
        key: CollectionKey,
        texts: TextCache,
        filters: FilterLane,
        words: WordSource,
        *,
        files: CollectionFiles,
        rows: DocumentRows,
    ) -> None:
        super().__init__(database, key, texts, filters, words)
        self._files = files
        self._rows = rows

    def upsert(  # noqa: PLR0913  # as the port has it
        self,
        *,
        uri: str,
        title: str,
        media_type: str,
        source_sha256: str,
        text: str,
        items: Sequence[Item],
        vectors: Float[np.ndarray, "n d"],
        fingerprint: str,
        metadata: Mapping[str, str | int],
    ) -> DocumentRecord:
        """Store a document with its chunks, replacing an older one of its uri."""
        document = NewDocument(
            uri=uri,
            title=title,
            media_type=media_type,
            source_sha256=source_sha256,
            text=text,
            items=items,
            vectors=vectors,
            metadata=metadata,
        )
        return self.upsert_many([document], fingerprint=fingerprint)[0]

    def upsert_many(
        self,
        new_documents: Sequence[NewDocument],
        *,
        fingerprint: str,
        gone: Sequence[str] = (),
        notes: Sequence[SourceNote] = (),
    ) -> list[DocumentRecord]:
        """Store several documents in one transaction: all of them, or none and an exception.

        Each transaction waits for the disk once, so thousands of small documents belong in few
        calls. In the same one the documents `gone`, by id, are removed, those that are there, and
        `notes` written.

        Raises:
            EmbedderMismatchError: `fingerprint` is not the collection's.
            ValueError: a document cannot be stored (see `check_document`), or two have one uri.
        """
        with reading(self._database) as connection:
            dim = self._serving(connection, fingerprint).dim
        checked = [
            check_document(new, dim=dim, language=self._key.language) for new in new_documents
        ]
        now = datetime.now(UTC)
        records = [new.record(document_id_of(self.name, new.document.uri), now) for new in checked]
        if len({record.id for record in records}) < len(records):
            uris = [record.uri for record in records]
            twice = next(uri for uri in uris if uris.count(uri) > 1)
            raise ValueError(f"document {twice!r} is given twice; give each uri once")
        check_declared(records, self._filters.fields, self.name)
        if records:
            with self._writing() as (connection, seq):
                self._serving(connection, fingerprint)  # may have been changed since
                replaced = {*gone, *(record.id for record in records)}
                self._rows.delete(connection, sorted(replaced), seq)
                self._rows.insert(connection, checked, records, seq)
                insert_values(connection, self._key.id, records, self._filters.fields)
                write_notes(connection, self._key.id, notes)
            self._files.wrote(sum(record.num_chunks for record in records))
        return records

    def delete(self, document_id: str) -> None:
        """Remove a document, its chunks and vectors; raises `UnknownDocumentError`."""
        with self._writing() as (connection, seq):
            if not self._rows.delete(connection, [document_id], seq):
                raise self._unknown(document_id)

    def delete_many(self, document_ids: Sequence[str]) -> int:
        """Remove those of the documents that are there, in one transaction; return how many."""
        with self._writing() as (connection, seq):
            return self._rows.delete(connection, list(dict.fromkeys(document_ids)), seq)

    def note(self, notes: Sequence[SourceNote], *, forget: Sequence[str] = ()) -> None:
        """Write notes on sources, and drop those of the uris to forget; no document is touched.

        They survive the end of the program but not a power cut: the next ingest writes them again.
        """
        with writing(self._database, is_durable=False) as connection:
            drop_notes(connection, self._key.id, forget)
            write_notes(connection, self._key.id, notes)

    def claim(self, uri: str, root: str) -> None:
        """Say of a source that there is a note on which folder it belongs to."""
        with writing(self._database, is_durable=False) as connection:
            claim(connection, self._key.id, uri, root)

    def delete_where(self, where: Filter) -> int:
        """Remove the documents that a filter finds, in one transaction; return how many.

        Raises:
            FilterError: the filter cannot be compiled for this collection.
        """
        if has_match(where) and not isinstance(self._words, OwnWords):
            # The words follow what is committed: what a filter finds now is deleted next.
            with ExitStack() as stack:
                view = self._view(stack, where)
                scope = self._filters.scope(view.rows, view.words)
                ids = view.rows.scalars(document_ids(where, scope)).all()
            with self._writing() as (connection, seq):
                return self._rows.delete(connection, ids, seq)
        with self._writing() as (connection, seq):
            found = document_ids(where, self._filters.scope(connection))
            return self._rows.delete(connection, connection.scalars(found).all(), seq)

    @contextmanager
    def _writing(self) -> Iterator[tuple[Connection, int]]:
        """Give a write transaction and its number; at the end it is committed and acknowledged."""
        acknowledged = self._files.acknowledged
        with writing(self._database) as connection:
            # Before this write hides it.
            acknowledged.keep(acknowledged.lost(connection, self._key.id))
            acknowledged.reserve()
            commit = self._rows.begin(connection)
            yield connection, commit.seq
        acknowledged.note(commit)

    def _serving(self, connection: Connection, fingerprint: str) -> Serving:
        now = serving(connection, self._key.id, self.name)
        if fingerprint != now.fingerprint:
            raise EmbedderMismatchError(
                f"collection {self.name!r} holds vectors of {now.embedder}"
                f" ({now.fingerprint}), got vectors of the embedder {fingerprint}; ingest"
                " into a new collection, use the embedder that it was made with, or embed all of it"
                f" anew: python -m api index reembed {self.name} --model MODEL"
            )
        return now

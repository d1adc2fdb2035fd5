"""One stored collection: documents in SQL, found by the vectors and the words of their chunks.

A write is one transaction. A search runs in one read transaction, with the index in memory brought
to the same sequence number, so that its hits are all of one state of the collection.

Letters: `n` vectors, `d` their width.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np
from jaxtyping import Float
from sqlalchemy import Connection, Engine, select

from index.collection_files import CollectionFiles
from index.database import reading, writing
from index.derived_lexical import OwnWords, UnwrittenTable, WordSource, WordView
from index.document_rows import DocumentRows, Serving, serving
from index.errors import EmbedderMismatchError, UnknownCollectionError, UnknownDocumentError
from index.lexical_lane import LexicalLane, Postings
from index.live_index import CollectionKey, Explanation, LiveIndex
from index.new_rows import check_components, check_document, document_id_of
from index.protocol import DocumentRecord, Hit, Item, NewDocument
from index.row_digests import check_row
from index.tables import chunks, collections, document_versions, documents, vectors
from index.text_cache import TextCache

_BATCH = 500  # ids in one statement: SQLite bounds the number of parameters
_OF_DOCUMENT = [
    column for column in documents.c if column.name not in {"id", "collection_id", "text"}
]
_RECORD = [column for column in documents.c if column.name not in {"collection_id", "text"}]


class StoredCollection:
    """A named collection in a database; satisfies `Collection` and `LexicalIndex`.

    Safe for threads. Made by `CollectionStore.open`.
    """

    def __init__(
        self,
        database: Engine,
        key: CollectionKey,
        files: CollectionFiles,
        live: LiveIndex,
        lane: LexicalLane,
        texts: TextCache,
        *,
        words: WordSource,
    ) -> None:
        self._database = database
        self._key = key
        self._files = files
        self._live = live
        self._texts = texts
        self._lane = lane
        self._words = words
        written = lane.table if isinstance(words, OwnWords) else UnwrittenTable()
        self._rows = DocumentRows(key.id, key.name, written)

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._key.name

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
        self, new_documents: Sequence[NewDocument], *, fingerprint: str
    ) -> list[DocumentRecord]:
        """Store several documents in one transaction: all of them, or none and an exception.

        Each transaction waits for the disk once, so thousands of small documents belong in few
        calls.

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
        if records:
            with self._writing() as (connection, seq):
                self._serving(connection, fingerprint)  # may have been changed since
                self._rows.delete(connection, [record.id for record in records], seq)
                self._rows.insert(connection, checked, records, seq)
            self._files.wrote(sum(record.num_chunks for record in records))
        return records

    def delete(self, document_id: str) -> None:
        """Remove a document, its chunks and vectors; raises `UnknownDocumentError`."""
        with self._writing() as (connection, seq):
            if not self._rows.delete(connection, [document_id], seq):
                raise self._unknown(document_id)

    def search(self, query: Float[np.ndarray, " d"], k: int) -> list[Hit]:
        """Return the min(k, chunks) nearest chunks, best first; equals in the order of storing.

        Raises:
            ValueError: `k` is below 1, or the query has another width or is not finite.
            DamagedDocumentError: what is stored of a hit is not what was written.
            UnknownCollectionError: the collection was deleted meanwhile.
        """
        check_components(query, "the query vector")
        with ExitStack() as stack:
            with self._live.lock:
                connection = stack.enter_context(reading(self._database))
                keys, scores = self._live.nearest(connection, query, k)
            return self._hits(connection, zip(keys.tolist(), scores.tolist(), strict=True))

    def explain(self) -> Explanation:
        """Return how the last search by vectors went."""
        with self._live.lock:
            return self._live.explain()

    def search_terms(self, query: str, k: int) -> list[Hit]:
        """Return up to k chunks that share a term with the query, by BM25, best first.

        All that hold its `"exact phrases"` and `begin*`nings of words, where it has some; see
        `index.lexical_query`. Of a long query only the rarest terms count.

        Raises:
            ValueError: `k` is below 1.
            DamagedDocumentError: what is stored of a hit is not what was written.
            UnknownCollectionError: the collection was deleted meanwhile.
        """
        if k < 1:
            raise ValueError(f"k must be >= 1, got {k}")
        with ExitStack() as stack:
            view, postings = self._postings(stack)
            found = self._lane.nearest(view.words, postings, query, k)
            return self._hits(
                view.rows, zip(found.ids.tolist(), found.scores.tolist(), strict=True)
            )

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Return how rare each term is among the n chunks: ln(1 + (n - df + 0.5) / (df + 0.5)).

        Raises:
            UnknownCollectionError: the collection was deleted meanwhile.
        """
        with ExitStack() as stack:
            _, postings = self._postings(stack)
            return postings.weights(terms)

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

    def documents(self, limit: int = 100, after: str | None = None) -> list[DocumentRecord]:
        """Return up to `limit` documents in the order of their uris, from behind document `after`.

        Raises:
            UnknownDocumentError: the collection has no document `after`.
        """
        if limit < 1:
            raise ValueError(f"limit must be >= 1, got {limit}")
        query = self._records().order_by(documents.c.uri).limit(limit)
        with reading(self._database) as connection:
            if after is not None:
                last = connection.execute(self._records().where(documents.c.id == after)).first()
                if last is None:
                    raise self._unknown(after)
                query = query.where(documents.c.uri > last.uri)
            return [_to_record(row) for row in connection.execute(query)]

    def find(self, uri: str) -> DocumentRecord | None:
        """Return the document of this uri, if there is one."""
        with reading(self._database) as connection:
            row = connection.execute(self._records().where(documents.c.uri == uri)).first()
        return None if row is None else _to_record(row)

    def sources(self) -> dict[str, str]:
        """Return the hash of the source of every document, by uri."""
        with reading(self._database) as connection:
            rows = connection.execute(
                select(documents.c.uri, documents.c.source_sha256).where(
                    documents.c.collection_id == self._key.id
                )
            )
            return {row.uri: row.source_sha256 for row in rows}

    def _records(self) -> Any:
        return select(*_RECORD).where(documents.c.collection_id == self._key.id)

    def _postings(self, stack: ExitStack) -> tuple[WordView, Postings]:
        """Open a view of rows and words, and return it with the postings that it sees."""
        with self._lane.lock:
            view = self._words.open(stack, self._database)
            self._check_exists(view.rows)
            return view, self._lane.postings(view.words, making=view.making)

    @contextmanager
    def _writing(self) -> Iterator[tuple[Connection, int]]:
        """Give a write transaction and its number; at the end it is committed and acknowledged."""
        acknowledged = self._files.acknowledged
        with writing(self._database) as connection:
            # Before this write hides it.
            acknowledged.keep(acknowledged.lost(connection, self._key.id))
            commit = self._rows.begin(connection)
            yield connection, commit.seq
        acknowledged.note(commit)

    def _check_exists(self, connection: Connection) -> None:
        if not connection.scalar(select(collections.c.id).where(collections.c.id == self._key.id)):
            raise UnknownCollectionError(f"collection {self.name!r} was deleted")

    def _hits(self, connection: Connection, scored: Iterable[tuple[int, float]]) -> list[Hit]:
        """Return the hits of (chunk id, score) pairs in their order."""
        scores = dict(scored)
        rows = self._chunk_rows(connection, list(scores))
        texts = self._texts.read(connection, {(row.document_id, row.text_sha256) for row in rows})
        return [
            Hit(
                document_id=row.document_id,
                uri=row.uri,
                title=row.title,
                start=row.start,
                end=row.end,
                text=texts[row.document_id].slice(row.start, row.end),
                heading_path=tuple(row.heading_path),
                score=scores[row.id],
                rank=rank,
            )
            for rank, row in enumerate(rows, start=1)
        ]

    def _chunk_rows(self, connection: Connection, chunk_ids: Sequence[int]) -> list[Any]:
        """Return the chunks in the order of `chunk_ids`, each found to be what was written."""
        set_id = serving(connection, self._key.id, self.name).set_id
        found: dict[int, Any] = {}
        for i in range(0, len(chunk_ids), _BATCH):
            rows = connection.execute(
                select(
                    chunks,
                    *_OF_DOCUMENT,
                    document_versions.c.digest.label("document_digest"),
                    vectors.c.digest,
                    vectors.c.vector,
                )
                .join(documents, documents.c.id == chunks.c.document_id)
                .join(document_versions, document_versions.c.document_id == documents.c.id)
                .join(vectors, vectors.c.chunk_id == chunks.c.id)
                .where(chunks.c.id.in_(chunk_ids[i : i + _BATCH]), vectors.c.set_id == set_id)
            )
            found.update((row.id, row) for row in rows)
        return [
            check_row(self.name, chunk_id, found.get(chunk_id), set_id) for chunk_id in chunk_ids
        ]

    def _serving(self, connection: Connection, fingerprint: str) -> Serving:
        now = serving(connection, self._key.id, self.name)
        if fingerprint != now.fingerprint:
            raise EmbedderMismatchError(
                f"collection {self.name!r} holds vectors of {now.embedder}"
                f" ({now.fingerprint}), got vectors of the embedder {fingerprint}; ingest"
                " into a new collection, or use the embedder that it was made with"
            )
        return now

    def _unknown(self, document_id: str) -> UnknownDocumentError:
        return UnknownDocumentError(f"collection {self.name!r} has no document {document_id!r}")


def _to_record(row: Any) -> DocumentRecord:
    return DocumentRecord(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it

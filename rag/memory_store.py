"""A `rag.document_store.DocumentStore` in memory: the double of the stored one, for tests."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from index.errors import CollectionExistsError, UnknownCollectionError
from index.protocol import CollectionInfo, DocumentRecord, Metric, NewDocument
from index.source_notes import SourceNote
from index.stored_passages import StoredPassage, StoredPassages
from index.token_vectors import TokenVectors
from rag.document import sha256_hex


class MemoryDocuments:
    """The documents of one collection, by uri, as they were stored last."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.stored: dict[str, NewDocument] = {}
        self.noted: dict[str, SourceNote] = {}
        self.transactions: list[int] = []

    def sources(self) -> dict[str, str]:
        """Return the hashes of the sources."""
        return {uri: document.source_sha256 for uri, document in self.stored.items()}

    def find(self, uri: str) -> DocumentRecord | None:
        """Return what is known of a document."""
        return _record(self.stored[uri]) if uri in self.stored else None

    def find_many(self, uris: Sequence[str]) -> dict[str, DocumentRecord]:
        """Return what is known of documents."""
        return {uri: _record(self.stored[uri]) for uri in uris if uri in self.stored}

    def notes(self) -> dict[str, SourceNote]:
        """Return the notes on all sources."""
        return dict(self.noted)

    def note(self, notes: Sequence[SourceNote], *, forget: Sequence[str] = ()) -> None:
        """Keep notes, and drop some."""
        for uri in forget:
            self.noted.pop(uri, None)
        self.noted |= {note.uri: note for note in notes}

    def passages(self, document_id: str) -> StoredPassages | None:
        """Return the chunks of a document with their vectors."""
        for document in self.stored.values():
            record = _record(document)
            if record.id == document_id:
                return StoredPassages(record=record, passages=tuple(_passages(document)))
        return None

    def delete_many(self, document_ids: Sequence[str]) -> int:
        """Drop documents and the notes on them."""
        gone = [uri for uri, d in self.stored.items() if _record(d).id in set(document_ids)]
        for uri in gone:
            del self.stored[uri]
            self.noted.pop(uri, None)
        return len(gone)

    def upsert_many(
        self,
        new_documents: Sequence[NewDocument],
        *,
        fingerprint: str,
        gone: Sequence[str] = (),
        notes: Sequence[SourceNote] = (),
    ) -> list[DocumentRecord]:
        """Keep documents; refuse all of them if one has a vector that is not finite."""
        assert fingerprint == self.fingerprint
        for document in new_documents:
            if (
                len(document.vectors) != len(document.items)
                or not np.isfinite(document.vectors).all()
            ):
                raise ValueError(f"the vectors of {document.uri!r} cannot be stored")
        self.delete_many(gone)
        self.stored |= {document.uri: document for document in new_documents}
        self.note(notes, forget=[document.uri for document in new_documents])
        self.transactions.append(len(new_documents))
        return [_record(document) for document in new_documents]


class MemoryStore:
    """A `rag.document_store.DocumentStore` in memory."""

    def __init__(self) -> None:
        self.collections: dict[str, tuple[CollectionInfo, MemoryDocuments]] = {}

    def info(self, name: str) -> CollectionInfo:
        """Describe a collection as it was made."""
        if name not in self.collections:
            raise UnknownCollectionError(f"no collection {name!r}")
        return self.collections[name][0]

    def create(self, name: str, *, embedder: str, fingerprint: str, dim: int) -> CollectionInfo:
        """Make an empty collection."""
        if name in self.collections:
            raise CollectionExistsError(f"collection {name!r} exists")
        info = CollectionInfo(
            name=name,
            embedder=embedder,
            fingerprint=fingerprint,
            dim=dim,
            metric=Metric.COSINE,
            num_documents=0,
            num_chunks=0,
            created_at=datetime.now(UTC),
        )
        self.collections[name] = (info, MemoryDocuments(fingerprint))
        return info

    def open(self, name: str) -> MemoryDocuments:
        """Return a collection."""
        self.info(name)
        return self.collections[name][1]


def _passages(document: NewDocument) -> Iterator[StoredPassage]:
    data = document.text.encode()
    tokens: Sequence[TokenVectors | None] = document.token_vectors or [None] * len(document.items)
    for item, vector, of_tokens in zip(document.items, document.vectors, tokens, strict=True):
        yield StoredPassage(
            start=item.start,
            end=item.end,
            text=data[item.start : item.end].decode(),
            heading_path=item.heading_path,
            vector=np.asarray(vector, np.float32),
            token_vectors=of_tokens,
        )


def _record(document: NewDocument) -> DocumentRecord:
    data = document.text.encode()
    return DocumentRecord(
        id=sha256_hex(document.uri.encode())[:16],
        uri=document.uri,
        title=document.title,
        media_type=document.media_type,
        source_sha256=document.source_sha256,
        text_sha256=sha256_hex(data),
        num_bytes=len(data),
        num_chunks=len(document.items),
        created_at=datetime.now(UTC),
        metadata=document.metadata,
    )

"""The ports of ingest to where documents are kept."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from index.protocol import CollectionInfo, DocumentRecord, NewDocument
from index.source_notes import SourceNote
from index.stored_passages import StoredPassages


class ReusablePassages(Protocol):
    """Where vectors are that need not be made again."""

    def passages(self, document_id: str, /) -> StoredPassages | None:
        """Return the chunks of a document with those of their vectors that are undamaged."""
        ...


class SourceLog(Protocol):
    """Where it is written what became of each source."""

    def notes(self) -> Mapping[str, SourceNote]:
        """Return the notes on all sources by uri."""
        ...

    def note(self, notes: Sequence[SourceNote], /, *, forget: Sequence[str] = ()) -> None:
        """Write notes on sources, and drop those of the uris to forget."""
        ...


class KnownSources(SourceLog, Protocol):
    """What a plan needs of a collection: the sources of its documents, and the notes on them."""

    def sources(self) -> Mapping[str, str]:
        """Return the hash of the source of every document by its uri."""
        ...

    def find(self, uri: str, /) -> DocumentRecord | None:
        """Return the document of this uri."""
        ...

    def find_many(self, uris: Sequence[str], /) -> Mapping[str, DocumentRecord]:
        """Return those of the documents of these uris that are there."""
        ...


class StoredDocuments(KnownSources, ReusablePassages, Protocol):
    """What ingest needs of one collection; `index.collection.StoredCollection` has it."""

    def upsert_many(
        self,
        new_documents: Sequence[NewDocument],
        /,
        *,
        fingerprint: str,
        gone: Sequence[str] = (),
        notes: Sequence[SourceNote] = (),
    ) -> list[DocumentRecord]:
        """Store documents in one transaction: all of them or none.

        In the same one the documents `gone`, by id, are removed, and `notes` written.
        """
        ...

    def delete_many(self, document_ids: Sequence[str], /) -> int:
        """Remove those of the documents that are there, in one transaction; return how many."""
        ...


class DocumentStore(Protocol):
    """What ingest needs of the store; `index.store.CollectionStore` has it."""

    def info(self, name: str, /) -> CollectionInfo:
        """Describe a collection; raises `UnknownCollectionError`."""
        ...

    def create(self, name: str, /, *, embedder: str, fingerprint: str, dim: int) -> CollectionInfo:
        """Create a collection; raises `CollectionExistsError`."""
        ...

    def open(self, name: str, /) -> StoredDocuments:
        """Return a collection."""
        ...

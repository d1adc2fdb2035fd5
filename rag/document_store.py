"""The port of ingest to where documents are kept."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from index.protocol import CollectionInfo, DocumentRecord, NewDocument


class StoredDocuments(Protocol):
    """What ingest needs of one collection; `index.collection.StoredCollection` has it."""

    def sources(self) -> Mapping[str, str]:
        """Return the hash of the source of every document by its uri."""
        ...

    def find(self, uri: str, /) -> DocumentRecord | None:
        """Return the document of this uri."""
        ...

    def upsert_many(
        self, new_documents: Sequence[NewDocument], /, *, fingerprint: str
    ) -> list[DocumentRecord]:
        """Store documents in one transaction: all of them or none."""
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

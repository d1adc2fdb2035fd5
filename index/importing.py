"""Documents from elsewhere into a collection of the store, made when missing."""

from collections.abc import Sequence

from index.errors import EmbedderMismatchError, UnknownCollectionError
from index.portable import PortableHeader
from index.protocol import NewDocument
from index.store import CollectionStore


class Importer:
    """Brings documents with their vectors into one collection; each call is one transaction."""

    def __init__(self, store: CollectionStore, header: PortableHeader, name: str = "") -> None:
        """Find or make the collection, called as in the header unless `name` says otherwise.

        Raises:
            EmbedderMismatchError: the collection there is of another embedder, width or metric.
            ValueError: the name cannot be a collection's.
        """
        self.name = name or header.name
        self._fingerprint = header.fingerprint
        try:
            there = store.info(self.name)
        except UnknownCollectionError:
            there = store.create(
                self.name,
                embedder=header.embedder,
                fingerprint=header.fingerprint,
                dim=header.dim,
                metric=header.metric,
                language=header.language,
                fields=header.fields,
            )
        ours = (there.fingerprint, there.dim, there.metric)
        if ours != (header.fingerprint, header.dim, header.metric):
            raise EmbedderMismatchError(
                f"collection {self.name!r} holds vectors of {there.embedder} ({there.fingerprint},"
                f" {there.dim} components, {there.metric}), what is imported has those of"
                f" {header.embedder} ({header.fingerprint}, {header.dim} components,"
                f" {header.metric}); import under another name with --as"
            )
        self._collection = store.open(self.name)

    def add(self, new_documents: Sequence[NewDocument]) -> int:
        """Store documents, replacing those of the same uris; return how many chunks they have.

        Raises:
            ValueError: a document cannot be stored; none of these is.
        """
        records = self._collection.upsert_many(new_documents, fingerprint=self._fingerprint)
        return sum(record.num_chunks for record in records)

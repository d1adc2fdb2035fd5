"""The search of one collection by the words of a request: today's passages, or earlier ones."""

from dataclasses import dataclass

from api.schemas import HitList, HitModel, SearchRequest
from index.errors import EmbedderMismatchError
from index.filters import filter_from_json
from index.store import CollectionStore
from rag.embedder import Embedder


@dataclass(frozen=True, slots=True)
class PassageSearch:
    """Searches the collections of a store with one embedder."""

    store: CollectionStore
    embedder: Embedder

    def run(self, name: str, body: SearchRequest) -> HitList:
        """Return the passages nearest to the query, best first.

        Raises:
            EmbedderMismatchError: the collection holds vectors of another embedder.
            FilterError: the filter cannot be understood.
            UnknownCollectionError: there is none of this name.
            ValueError: the collection has had no such write, or no such snapshot; or a filter is
                given for an earlier state.
        """
        info = self.store.info(name)
        if info.fingerprint != self.embedder.fingerprint:
            raise EmbedderMismatchError(
                f"collection {name!r} was made with {info.embedder!r}, not with the"
                f" {self.embedder.name!r} in use; ingest its sources into a new collection"
            )
        where = None if body.filter is None else filter_from_json(body.filter)
        vector = self.embedder.encode([body.query], "query")[0]
        collection = self.store.open(name)
        if body.as_of is None:
            found = collection.search(vector, body.k, where=where, deadline_s=body.deadline_s)
            hits, is_complete, scanned, reason = found.hits, found.complete, found.scanned, ""
        elif where is not None:
            raise ValueError("as_of cannot be asked with a filter; leave one of them out")
        else:
            versions = self.store.versions(name)
            past = versions.search(vector, body.k, at=versions.seq_of(body.as_of))
            hits, is_complete = past.hits, past.is_complete
            scanned, reason = past.scanned, past.reason
        return HitList(
            data=[
                HitModel.from_hit(name, hit, query=body.query, language=collection.language)
                for hit in hits
            ],
            complete=is_complete,
            scanned=scanned,
            reason=reason,
        )

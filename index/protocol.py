"""The values and the port of stored collections.

A collection holds documents, their chunks as byte spans of the stored text, and one vector a
chunk. Scores are similarities: higher is better. Knows nothing of files, models or HTTP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


class Metric(StrEnum):
    """How two vectors are compared; all are turned into "higher is nearer"."""

    COSINE = "cosine"
    INNER_PRODUCT = "inner_product"
    L2 = "l2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One chunk to store: a byte span of the document's text and the headings above it."""

    start: int
    end: int
    heading_path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewDocument:
    """A document to store, with one row of `vectors` per item; see `Collection.upsert`."""

    uri: str
    title: str
    media_type: str
    source_sha256: str
    text: str
    items: Sequence[Item]
    vectors: Float[np.ndarray, "n d"]
    metadata: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRecord:
    """A document as stored; `uri` is unique within its collection.

    `id` is derived from collection and uri, so that a document keeps it when it is replaced.
    `text_sha256` is the hash of the UTF-8 text, which is stored once. `created_at` is when this
    version of it was stored.
    """

    id: str
    uri: str
    title: str
    media_type: str
    source_sha256: str
    text_sha256: str
    num_bytes: int
    num_chunks: int
    created_at: datetime
    metadata: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One chunk found: its document, its span and text, its similarity, its rank from 1."""

    document_id: str
    uri: str
    title: str
    start: int
    end: int
    text: str
    heading_path: tuple[str, ...]
    score: float
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """What a collection is and how much it holds."""

    name: str
    embedder: str
    fingerprint: str
    dim: int
    metric: Metric
    num_documents: int
    num_chunks: int
    created_at: datetime


@runtime_checkable  # for the lane that checks shapes at run time
class Collection(Protocol):
    """One named collection."""

    def upsert(  # noqa: PLR0913  # all by name
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
        """Store a document with its chunks in one transaction, replacing an older one of its uri.

        Raises:
            EmbedderMismatchError: `fingerprint` is not the collection's.
            ValueError: a span does not fall on character borders of the text, or the shapes differ.
        """
        ...

    def delete(self, document_id: str) -> None:
        """Remove a document, its chunks and vectors; raises `UnknownDocumentError`."""
        ...

    def search(self, query: Float[np.ndarray, " d"], k: int) -> list[Hit]:
        """Return the min(k, chunks) nearest chunks, best first; equals in the order of storing."""
        ...

    def get(self, document_id: str) -> tuple[DocumentRecord, str]:
        """Return a document and its text; raises `UnknownDocumentError`."""
        ...


@runtime_checkable
class LexicalIndex(Protocol):
    """The words of a collection's chunks. A term is what `index.analyser.analyse` makes of one."""

    def search_terms(self, query: str, k: int) -> list[Hit]:
        """Return up to k chunks that share a term with the query, by BM25, best first.

        Scores are positive and comparable within one answer only; equals come in the order of
        storing. A query without terms finds nothing.
        """
        ...

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Return how rare each term is among the n chunks: ln(1 + (n - df + 0.5) / (df + 0.5))."""
        ...

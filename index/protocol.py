"""The values and the ports of `index`: what finds vectors, and what stores collections.

A backend searches rows that never change; it knows no ids, texts or deletions. A collection holds
documents, their chunks as byte spans of the stored text, and one vector a chunk. Scores are
similarities: higher is better. Knows nothing of models or HTTP.

Letters: `n` vectors, `d` their width, `b` queries of one call, `k` neighbours.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Protocol, overload, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from index.filters import Filter
from index.token_vectors import TokenVectors


class Metric(StrEnum):
    """How two vectors are compared; all are turned into "higher is nearer"."""

    COSINE = "cosine"
    INNER_PRODUCT = "inner_product"
    L2 = "l2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What a backend can do.

    `can_filter`: the search itself is narrowed to the allowed rows; without it more is fetched
    until enough of them are found. `can_map`: loaded, its large parts may stay on the disk.
    `is_exact`: finds the true neighbours at any effort. `fewest_rows`: with fewer it cannot be
    trained. Every backend can compare by every `Metric`.
    """

    can_filter: bool = False
    can_map: bool = False
    is_exact: bool = False
    fewest_rows: int = 1


@runtime_checkable
class AnnBackend(Protocol):
    """A built index over n rows, which it shares with its caller and never changes.

    Safe for threads.
    """

    def search(
        self,
        queries: Float[np.ndarray, "b d"],
        k: int,
        *,
        effort: int,
        allow: Bool[np.ndarray, " n"] | None = None,
    ) -> tuple[Int64[np.ndarray, "b k"], Float64[np.ndarray, "b k"]]:
        """Return rows and exact similarities, best first; equals by row.

        Always min(k, rows that `allow` holds true) of them, whichever the effort: where the index
        offers fewer, all allowed rows are compared. More effort finds better ones and takes
        longer; what the number counts is the backend's business.

        Raises:
            ValueError: `k` or `effort` is below 1, or a shape does not fit.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write all but the rows into an empty folder; raises `OSError`."""
        ...

    def nbytes(self) -> int:
        """Return the bytes that the index takes beside the rows, in memory or mapped."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Parameters worth a trial, and efforts in ascending order."""

    builder: "AnnBuilder"
    efforts: tuple[int, ...]


@runtime_checkable
class AnnBuilder(Protocol):
    """A method and its parameters: the fields of the dataclass that it is."""

    name: ClassVar[str]
    caps: ClassVar[Caps]

    def build(
        self, rows: Float32[np.ndarray, "n d"], metric: Metric, *, seed: int, threads: int
    ) -> AnnBackend:
        """Index the rows; the same rows and seed give the same index on one thread.

        For cosine the rows have length one or zero (`index.distance.unit_rows`).

        Raises:
            ValueError: rows cannot be compared by `metric`, or are too few for this method.
        """
        ...

    def load(
        self,
        folder: Path,
        rows: Float32[np.ndarray, "n d"],
        metric: Metric,
        *,
        threads: int,
        mmap: bool = True,
    ) -> AnnBackend:
        """Open what `save` wrote for these rows.

        Raises:
            IndexFileError: a file is damaged, foreign, or of other rows.
        """
        ...

    @classmethod
    def space(cls, n: int, d: int) -> Iterable[Candidate]:
        """Return what the tuner should try for n rows."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One chunk to store: a byte span of the document's text and the headings above it."""

    start: int
    end: int
    heading_path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewDocument:
    """A document to store, with one row of `vectors` per item; see `Collection.upsert`.

    `token_vectors` has one entry per item where the collection keeps them, and is None elsewhere.
    """

    uri: str
    title: str
    media_type: str
    source_sha256: str
    text: str
    items: Sequence[Item]
    vectors: Float[np.ndarray, "n d"]
    metadata: Mapping[str, str | int] = field(default_factory=dict)
    token_vectors: Sequence[TokenVectors] | None = None


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
class Result(Sequence[Hit]):
    """The hits of one search, best first, and how they came about; a sequence of its hits.

    `complete` says that there are min(k, matches) hits; a search that was cut short says it is not.
    `scanned` counts the chunks that could have been found. All is of the state `seq` of the
    collection. `explain` names what was done, and is for reading.
    """

    hits: tuple[Hit, ...]
    complete: bool
    scanned: int
    seq: int
    explain: Mapping[str, str | int] = field(default_factory=dict)

    @classmethod
    def late(cls, seq: int) -> "Result":
        """Return the result of a search that came to nothing before its deadline."""
        return cls(hits=(), complete=False, scanned=0, seq=seq)

    def cut(self, num_scanned: int) -> "Result":
        """Return the same as one that may lack something, with how far it came."""
        return replace(self, complete=False, scanned=num_scanned)

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A chunk that a lane found: its id, its document's uri, its score there."""

    chunk_id: int
    uri: str
    score: float


# Of what the two lanes found, vectors first, makes the scores of chunks by id.
Fusion = Callable[[Sequence[Scored], Sequence[Scored]], Mapping[int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """What a collection is and how much it holds.

    `token_vectors` is how many vectors of its tokens a chunk has at most, 0 where none are kept.
    """

    name: str
    embedder: str
    fingerprint: str
    dim: int
    metric: Metric
    num_documents: int
    num_chunks: int
    created_at: datetime
    token_vectors: int = 0


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

    def search(
        self,
        query: Float[np.ndarray, " d"],
        k: int,
        *,
        where: Filter | None = None,
        deadline_s: float | None = None,
    ) -> Result:
        """Return the min(k, chunks) nearest chunks, best first; equals in the order of storing.

        With a filter, only chunks that it finds, and min(k, chunks that it finds) of them. A search
        that the deadline cuts short says that it is not complete, and how much it `scanned`.
        """
        ...

    def get(self, document_id: str) -> tuple[DocumentRecord, str]:
        """Return a document and its text; raises `UnknownDocumentError`."""
        ...


@runtime_checkable
class LexicalIndex(Protocol):
    """The words of a collection's chunks. A term is what `index.analyser.analyse` makes of one."""

    def search_terms(self, query: str, k: int, *, where: Filter | None = None) -> Result:
        """Return up to k chunks that share a term with the query, by BM25, best first.

        Scores are positive and comparable within one answer only; equals come in the order of
        storing. A query without terms finds nothing.
        """
        ...

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Return how rare each term is among the n chunks: ln(1 + (n - df + 0.5) / (df + 0.5))."""
        ...

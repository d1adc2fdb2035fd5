"""A collection in memory, and the contract that every `Collection` keeps."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import pytest
from jaxtyping import Float

from index.analyser import analyse
from index.distance import similarities
from index.errors import EmbedderMismatchError, UnknownDocumentError
from index.filter_evaluation import evaluate, judged
from index.filters import Filter
from index.lexical import HEADING_WEIGHT
from index.lexical_lane import inverse_frequency
from index.lexical_query import parse_words
from index.new_rows import (
    CheckedDocument,
    ChunkTerms,
    check_components,
    check_document,
    document_id_of,
)
from index.protocol import (
    Collection,
    DocumentRecord,
    Fusion,
    Hit,
    Item,
    LexicalIndex,
    Metric,
    NewDocument,
    Result,
    Scored,
)

DIM = 7
FINGERPRINT = "fingerprint-1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stored:
    record: DocumentRecord
    checked: CheckedDocument


class WordedCollection(Collection, LexicalIndex, Protocol):
    """What a stored collection is: found by vectors and by words."""


class MemoryCollection:
    """A `WordedCollection` in a dictionary; compares with all that it holds."""

    def __init__(
        self,
        name: str = "memory",
        *,
        fingerprint: str = FINGERPRINT,
        dim: int = DIM,
        metric: Metric = Metric.COSINE,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.dim = dim
        self.metric = metric
        self._stored: dict[str, _Stored] = {}

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
        """Store a document, replacing an older one of its uri."""
        if fingerprint != self.fingerprint:
            raise EmbedderMismatchError(
                f"collection {self.name!r} holds vectors of {self.fingerprint}, got {fingerprint}"
            )
        document = NewDocument(
            uri=uri,
            title=title,
            media_type=media_type,
            source_sha256=source_sha256,
            text=text,
            items=tuple(items),
            vectors=vectors,
            metadata=metadata,
        )
        checked = check_document(document, dim=self.dim)
        record = checked.record(document_id_of(self.name, uri), datetime.now(UTC))
        self._stored.pop(record.id, None)  # so that it moves to the end
        self._stored[record.id] = _Stored(record=record, checked=checked)
        return record

    def delete(self, document_id: str) -> None:
        """Remove a document."""
        self._find(document_id)
        del self._stored[document_id]

    def search(
        self,
        query: Float[np.ndarray, " d"],
        k: int,
        *,
        where: Filter | None = None,
        deadline_s: float | None = None,  # noqa: ARG002  # it is never late
    ) -> Result:
        """Return the min(k, chunks) nearest chunks, best first."""
        if len(query) != self.dim:
            raise ValueError(f"a query needs {self.dim} components, got {len(query)}")
        check_components(query, "the query vector")
        found = [
            (float(score), stored.record, stored.checked, item)
            for stored in self._stored.values()
            for score, item in zip(
                similarities(query, stored.checked.vectors, self.metric),
                stored.checked.document.items,
                strict=True,
            )
        ]
        allowed = self._allowed(where)
        return _best([row for row in found if (row[1].id, row[3].start) in allowed], k)

    def search_terms(self, query: str, k: int, *, where: Filter | None = None) -> Result:
        """Return up to k chunks that share a term with the query, by BM25, best first."""
        rows = self._rows()
        sizes = [len(terms.lex.split()) + len(terms.heading.split()) for _, _, _, terms in rows]
        counts = self._counts()
        words = parse_words(query)
        wanted = set(analyse(words.text))
        for prefix in words.prefixes:
            for _, _, _, terms in rows:
                for word in terms.surface.split():
                    wanted |= set(analyse(word)) if word.startswith(prefix) else set()
        found = []
        for (record, checked, item, terms), size in zip(rows, sizes, strict=True):
            lex, heading = Counter(terms.lex.split()), Counter(terms.heading.split())
            score = 1e-9 if words.has_conditions else 0.0
            written = f" {terms.surface} "
            if not (
                all(f" {' '.join(phrase)} " in written for phrase in words.phrases)
                and all(f" {prefix}" in written for prefix in words.prefixes)
            ):
                continue
            for term in sorted(wanted, key=lambda term: (counts[term], term)):
                tf = lex[term] + HEADING_WEIGHT * heading[term]
                idf = math.log((len(rows) - counts[term] + 0.5) / (counts[term] + 0.5))
                length = size / (sum(sizes) / len(sizes))
                score += max(idf, 1e-6) * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length))
            if score:
                found.append((score, record, checked, item))
        allowed = self._allowed(where)
        return _best([row for row in found if (row[1].id, row[3].start) in allowed], k)

    def search_fused(  # all by name
        self,
        query: Float[np.ndarray, " d"],
        words: str,
        k: int,
        *,
        depth: int,
        fuse: Fusion,
        where: Filter | None = None,
    ) -> Result:
        """Return the k best by both lanes, of each of which `fuse` gets the `depth` best."""
        found = self.search(query, depth, where=where), self.search_terms(words, depth, where=where)
        ids = {(row[0].id, row[2].start): number for number, row in enumerate(self._rows())}
        hits = {ids[hit.document_id, hit.start]: hit for lane in found for hit in lane}
        lanes = [
            [Scored(chunk_id=ids[h.document_id, h.start], uri=h.uri, score=h.score) for h in lane]
            for lane in found
        ]
        fused = sorted(fuse(*lanes).items(), key=lambda pair: (-pair[1], pair[0]))[:k]
        best = tuple(
            replace(hits[chunk_id], score=score, rank=rank)
            for rank, (chunk_id, score) in enumerate(fused, start=1)
        )
        return Result(hits=best, complete=True, scanned=len(ids), seq=0)

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Return how rare each term is: ln(1 + (n - df + 0.5) / (df + 0.5))."""
        counts, n = self._counts(), len(self._rows())
        return {term: inverse_frequency(n, counts[term]) for term in terms}

    def _allowed(self, where: Filter | None) -> set[tuple[str, int]]:
        return {
            (record.id, item.start)
            for record, _, item, terms in self._rows()
            if where is None or evaluate(where, judged(record, [terms]))
        }

    def _rows(self) -> list[tuple[DocumentRecord, CheckedDocument, Item, ChunkTerms]]:
        return [
            (stored.record, stored.checked, item, terms)
            for stored in self._stored.values()
            for item, terms in zip(stored.checked.document.items, stored.checked.terms, strict=True)
        ]

    def _counts(self) -> Counter[str]:
        return Counter(
            term
            for *_, terms in self._rows()
            for term in {*terms.lex.split(), *terms.heading.split()}
        )

    def get(self, document_id: str) -> tuple[DocumentRecord, str]:
        """Return a document and its text."""
        stored = self._find(document_id)
        return stored.record, stored.checked.document.text

    def _find(self, document_id: str) -> _Stored:
        if document_id not in self._stored:
            raise UnknownDocumentError(f"collection {self.name!r} has no document {document_id!r}")
        return self._stored[document_id]


def _best(found: list[tuple[float, DocumentRecord, CheckedDocument, Item]], k: int) -> Result:
    """Return the hits of the k best scores; equals stay in the order of storing."""
    if k < 1:
        raise ValueError(f"k must be >= 1, got {k}")
    hits = tuple(
        Hit(
            document_id=record.id,
            uri=record.uri,
            title=record.title,
            start=item.start,
            end=item.end,
            text=checked.data[item.start : item.end].decode(),
            heading_path=item.heading_path,
            score=score,
            rank=rank,
        )
        for rank, (score, record, checked, item) in enumerate(
            sorted(found, key=lambda row: -row[0])[:k], start=1
        )
    )
    return Result(hits=hits, complete=True, scanned=len(found), seq=0)


def store_text(
    collection: Collection,
    uri: str,
    text: str,
    vectors: Sequence[Sequence[float]],
    *,
    items: Sequence[Item] | None = None,
    fingerprint: str = FINGERPRINT,
) -> DocumentRecord:
    """Store a text whose chunks are its words, unless `items` says otherwise."""
    if items is None:
        items = []
        start = 0
        for word in text.split(" "):
            items.append(Item(start=start, end=start + len(word.encode())))
            start = items[-1].end + 1
    return collection.upsert(
        uri=uri,
        title=f"Title of {uri}",
        media_type="text/plain",
        source_sha256="0" * 64,
        text=text,
        items=items,
        vectors=np.array(vectors, np.float32).reshape(len(vectors), -1),
        fingerprint=fingerprint,
        metadata={"pages": 3, "language": "fr"},
    )


def axis(i: int, length: float = 1.0) -> list[float]:
    """Return a vector of `DIM` components along one axis."""
    return [length if j == i else 0.0 for j in range(DIM)]


class CollectionContract:
    """Laws of the `Collection` port.

    Inherit and provide the fixture `collection`: empty, of `DIM` dimensions, cosine, and of the
    embedder `FINGERPRINT`.
    """

    @pytest.fixture
    def collection(self) -> Collection:
        """Return the collection under test."""
        raise NotImplementedError

    def test_an_empty_collection_finds_nothing(self, collection: Collection) -> None:
        """No hit, and no error."""
        assert not collection.search(np.ones(DIM), 3)

    def test_hits_come_best_first_with_their_text(self, collection: Collection) -> None:
        """Spans are byte offsets, and the text of a hit is the text between them."""
        record = store_text(collection, "a", "thé 茶 🍵", [axis(0), axis(1), axis(2)])
        first, second = collection.search(np.array([0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0]), 2)
        assert (first.text, first.start, first.end, first.rank) == ("🍵", 9, 13, 1)
        assert (second.text, second.start, second.end, second.rank) == ("茶", 5, 8, 2)
        assert first.score == pytest.approx(2 / 5**0.5)
        assert (first.document_id, first.uri, first.title) == (record.id, "a", "Title of a")

    def test_a_document_comes_back_as_it_was_stored(self, collection: Collection) -> None:
        """Record and text, with line ends and metadata untouched."""
        text = "ligne un\r\nligne deux\u2028trois\x00"
        record = store_text(
            collection, "a", text, [axis(0)], items=[Item(start=0, end=5, heading_path=("A", "b"))]
        )
        assert collection.get(record.id) == (record, text)
        assert (record.num_chunks, record.num_bytes) == (1, len(text.encode()))
        assert record.metadata == {"pages": 3, "language": "fr"}
        assert record.created_at.tzinfo is not None
        assert collection.search(np.ones(DIM), 1)[0].heading_path == ("A", "b")

    def test_k_beyond_the_chunks_gives_all_of_them(self, collection: Collection) -> None:
        """min(k, chunks) hits, each once."""
        store_text(collection, "a", "one two three", [axis(0), axis(1), axis(2)])
        hits = collection.search(np.ones(DIM), 1000)
        assert sorted(hit.text for hit in hits) == ["one", "three", "two"]
        assert [hit.rank for hit in hits] == [1, 2, 3]

    def test_equal_scores_come_in_the_order_of_storing(self, collection: Collection) -> None:
        """Also where `k` cuts between them; a replaced document counts as new."""
        for uri in "abcde":
            store_text(collection, uri, uri, [axis(3)])
        store_text(collection, "b", "b", [axis(3)])
        assert [hit.uri for hit in collection.search(np.array(axis(3)), 3)] == ["a", "c", "d"]
        assert collection.search(np.array(axis(3)), 5)[-1].uri == "b"

    def test_the_length_of_a_vector_does_not_count(self, collection: Collection) -> None:
        """Cosine; a vector of zeros has similarity 0 to everything."""
        store_text(collection, "a", "long short zero", [axis(0, 1e6), axis(0, 1e-6), axis(0, 0.0)])
        scores = [hit.score for hit in collection.search(np.array(axis(0, 3.0)), 3)]
        assert scores == pytest.approx([1.0, 1.0, 0.0])

    def test_a_replaced_document_keeps_its_id_and_loses_its_old_chunks(
        self, collection: Collection
    ) -> None:
        """The uri names the document."""
        old = store_text(collection, "a", "old words", [axis(0), axis(1)])
        new = store_text(collection, "a", "new", [axis(2)])
        assert new.id == old.id
        assert collection.get(old.id) == (new, "new")
        assert [hit.text for hit in collection.search(np.ones(DIM), 9)] == ["new"]

    def test_a_deleted_document_is_found_no_more(self, collection: Collection) -> None:
        """By search, by id, and it cannot be deleted twice."""
        gone = store_text(collection, "a", "gone", [axis(0)])
        store_text(collection, "b", "stays", [axis(1)])
        collection.delete(gone.id)
        assert [hit.text for hit in collection.search(np.array(axis(0)), 9)] == ["stays"]
        with pytest.raises(UnknownDocumentError, match=gone.id):
            collection.get(gone.id)
        with pytest.raises(UnknownDocumentError, match=gone.id):
            collection.delete(gone.id)

    def test_vectors_of_another_embedder_are_refused(self, collection: Collection) -> None:
        """The error names both."""
        with pytest.raises(EmbedderMismatchError, match=r"fingerprint-1.*fingerprint-2"):
            store_text(collection, "a", "a", [axis(0)], fingerprint="fingerprint-2")
        assert not collection.search(np.ones(DIM), 1)

    @pytest.mark.parametrize("span", [(0, 1), (1, 2), (0, 0), (2, 1), (0, 99), (-1, 2)])
    def test_a_span_that_is_no_span_of_the_text_is_refused(
        self, collection: Collection, span: tuple[int, int]
    ) -> None:
        """Out of range, empty, or through the middle of a character."""
        with pytest.raises(ValueError, match=rf"{span[0]}\.\.{span[1]}"):
            store_text(collection, "a", "é", [axis(0)], items=[Item(start=span[0], end=span[1])])
        assert not collection.search(np.ones(DIM), 1)

    def test_vectors_that_do_not_fit_are_refused(self, collection: Collection) -> None:
        """Too few, too wide, or not numbers."""
        with pytest.raises(ValueError, match="2 chunks"):
            store_text(collection, "a", "two words", [axis(0)])
        with pytest.raises(ValueError, match=f"{DIM}-dimensional"):
            store_text(collection, "a", "word", [[*axis(0), 1.0]])
        for bad in (float("nan"), float("inf"), 1e30):
            with pytest.raises(ValueError, match="not finite"):
                store_text(collection, "a", "word", [axis(0, bad)])
        assert not collection.search(np.ones(DIM), 1)

    def test_a_bad_question_is_refused(self, collection: Collection) -> None:
        """Of another width, not a number, or for no hit at all."""
        store_text(collection, "a", "word", [axis(0)])
        with pytest.raises(ValueError, match=f"{DIM + 1}"):
            collection.search(np.ones(DIM + 1), 1)
        with pytest.raises(ValueError, match="not finite"):
            collection.search(np.full(DIM, np.nan), 1)
        with pytest.raises(ValueError, match="k must be >= 1, got 0"):
            collection.search(np.ones(DIM), 0)

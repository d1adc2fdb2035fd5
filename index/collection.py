"""One stored collection: documents in SQL, found by the vectors and the words of their chunks.

A write is one transaction. A search runs in one read transaction, with the index in memory brought
to the same sequence number, so that its hits are all of one state of the collection.

Letters: `n` vectors, `d` their width.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from jaxtyping import Float
from sqlalchemy import Connection, Engine, select

from index.collection_files import CollectionFiles
from index.deadline import Deadline
from index.derived_lexical import OwnWords, UnwrittenTable, WordSource, WordView
from index.document_rows import DocumentRows, serving
from index.document_writer import DocumentWriter
from index.filter_lane import FilterLane
from index.filters import Filter
from index.lexical_lane import LexicalLane, Postings
from index.live_index import NEVER, CollectionKey, Explanation, LiveIndex
from index.new_rows import check_components
from index.planner import Route, route_of
from index.protocol import Fusion, Hit, Result, Scored
from index.row_digests import check_row
from index.tables import chunks, document_versions, documents, vectors
from index.text_cache import TextCache

_BATCH = 500  # ids in one statement: SQLite bounds the number of parameters
NO_POSTINGS = Postings([])
_OF_DOCUMENT = [
    column for column in documents.c if column.name not in {"id", "collection_id", "text"}
]


class StoredCollection(DocumentWriter):
    """A named collection in a database; satisfies `Collection` and `LexicalIndex`.

    Safe for threads. Made by `CollectionStore.open`.
    """

    def __init__(  # noqa: PLR0913  # made in one place
        self,
        database: Engine,
        key: CollectionKey,
        files: CollectionFiles,
        live: LiveIndex,
        lane: LexicalLane,
        filters: FilterLane,
        texts: TextCache,
        *,
        words: WordSource,
    ) -> None:
        written = lane.table if isinstance(words, OwnWords) else UnwrittenTable()
        rows = DocumentRows(key.id, key.name, written)
        super().__init__(database, key, texts, filters, words, files=files, rows=rows)
        self._live = live
        self._lane = lane

    def search(
        self,
        query: Float[np.ndarray, " d"],
        k: int,
        *,
        where: Filter | None = None,
        deadline_s: float | None = None,
    ) -> Result:
        """Return the min(k, chunks) nearest chunks, best first; equals in the order of storing.

        With a filter, min(k, chunks that it finds) of those. Past the deadline no further segment
        is begun: the result is then not complete, and its `scanned` says how far it came.

        Raises:
            FilterError: the filter cannot be compiled for this collection.
            ValueError: `k` is below 1, or the query has another width or is not finite.
            DamagedDocumentError: what is stored of a hit is not what was written.
            UnknownCollectionError: the collection was deleted meanwhile.
        """
        check_components(query, "the query vector")
        deadline = Deadline.after(deadline_s)
        with ExitStack() as stack:
            with deadline.holding(self._live.lock) as is_held:
                view = self._view(stack, where)
                if not is_held:
                    return Result.late(self._seq(view.rows))
                connection = view.rows
                seq = self._seq(connection)
                allowed = self._filters.allowed(connection, where, seq, words=view.words)
                keys, scores = self._live.nearest(
                    connection, query, k, allowed=allowed, deadline=deadline
                )
                num_rows, passed_over = len(self._live), self._live.num_passed_over
                is_whole = self._live.explain().is_complete
            num = num_rows if allowed is None else len(allowed)
            hits = self._hits(connection, zip(keys.tolist(), scores.tolist(), strict=True))
            route = route_of(None if allowed is None else num, num_rows)
            found = _result(hits, k, num, seq, lane="dense", route=route)
            return found if is_whole and not passed_over else found.cut(num - passed_over)

    def search_fused(  # all by name
        self,
        query: Float[np.ndarray, " d"],
        words: str,
        k: int,
        *,
        depth: int,
        fuse: Fusion,
        where: Filter | None = None,
        deadline_s: float | None = None,
    ) -> Result:
        """Return the k best by both lanes, which answer for one state of the collection.

        Each lane gives its `depth` best to `fuse`, by vectors first; what that returns, chunk ids
        and scores, is ranked, equals by id. Only the k best are read. Past the deadline no further
        segment is begun, nor the lane of words.

        Raises:
            FilterError: the filter cannot be compiled for this collection.
            ValueError: `depth` is below 1, or the query has another width or is not finite.
            DamagedDocumentError: what is stored of a hit is not what was written.
            UnknownCollectionError: the collection was deleted meanwhile.
        """
        check_components(query, "the query vector")
        deadline = Deadline.after(deadline_s)
        with ExitStack() as stack:
            with deadline.holding(self._live.lock, self._lane.lock) as is_held:
                view = self._words.open(stack, self._database)
                if not is_held:
                    return Result.late(self._seq(view.rows))
                seq = self._seq(view.rows)
                allowed = self._filters.allowed(view.rows, where, seq, words=view.words)
                keys, scores = self._live.nearest(
                    view.rows, query, depth, allowed=allowed, deadline=deadline
                )
                num_rows, passed_over = len(self._live), self._live.num_passed_over
                is_late = deadline.is_over
                is_whole = self._live.explain().is_complete and not is_late
                postings = NO_POSTINGS
                if not is_late:
                    postings = self._lane.postings(view.words, making=view.making)
            asked = "" if is_late else words
            found = self._lane.nearest(view.words, postings, asked, depth, allowed=allowed)
            uris = self._uris(view.rows, {*keys.tolist(), *found.ids.tolist()})
            lanes = [
                [
                    Scored(chunk_id=chunk_id, uri=uris[chunk_id], score=score)
                    for chunk_id, score in zip(ids.tolist(), values.tolist(), strict=True)
                ]
                for ids, values in ((keys, scores), (found.ids, found.scores))
            ]
            fused = sorted(fuse(*lanes).items(), key=lambda pair: (-pair[1], pair[0]))[:k]
            num = num_rows if allowed is None else len(allowed)
            result = _result(self._hits(view.rows, fused), k, num, seq, lane="both")
            return result if is_whole and not passed_over else result.cut(num - passed_over)

    def _uris(self, connection: Connection, chunk_ids: set[int]) -> dict[int, str]:
        ids = sorted(chunk_ids)
        found: dict[int, str] = {}
        for i in range(0, len(ids), _BATCH):
            rows = connection.execute(
                select(chunks.c.id, documents.c.uri)
                .join(documents, documents.c.id == chunks.c.document_id)
                .where(chunks.c.id.in_(ids[i : i + _BATCH]))
            )
            found.update((chunk_id, uri) for chunk_id, uri in rows)
        return found

    def explain(self) -> Explanation:
        """Return how the last search by vectors went."""
        with self._live.lock:
            return self._live.explain()

    def search_terms(
        self,
        query: str,
        k: int,
        *,
        where: Filter | None = None,
        deadline_s: float | None = None,
    ) -> Result:
        """Return up to k chunks that share a term with the query, by BM25, best first.

        All that hold its `"exact phrases"` and `begin*`nings of words, where it has some; see
        `index.lexical_query`. Of a long query only the rarest terms count.
        Past the deadline nothing is begun: the result is then empty and not complete.

        Raises:
            ValueError: `k` is below 1.
            DamagedDocumentError: what is stored of a hit is not what was written.
            UnknownCollectionError: the collection was deleted meanwhile.
        """
        if k < 1:
            raise ValueError(f"k must be >= 1, got {k}")
        deadline = Deadline.after(deadline_s)
        with ExitStack() as stack:
            view, postings, seq = self._postings(stack, deadline)
            if deadline.is_over:
                return Result.late(seq)
            allowed = self._filters.allowed(view.rows, where, seq, words=view.words)
            found = self._lane.nearest(view.words, postings, query, k, allowed=allowed)
            scored = zip(found.ids.tolist(), found.scores.tolist(), strict=True)
            hits = self._hits(view.rows, scored)
            return _result(hits, k, found.num_matches, seq, lane="terms", route=Route.ALL)

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Return how rare each term is among the n chunks: ln(1 + (n - df + 0.5) / (df + 0.5)).

        Raises:
            UnknownCollectionError: the collection was deleted meanwhile.
        """
        with ExitStack() as stack:
            _, postings, _ = self._postings(stack, NEVER)
            return postings.weights(terms)

    def _postings(self, stack: ExitStack, deadline: Deadline) -> tuple[WordView, Postings, int]:
        """Open a view of rows and words; return it with its postings and its number."""
        with deadline.holding(self._lane.lock) as is_held:
            view = self._words.open(stack, self._database)
            seq = self._seq(view.rows)
            if not is_held:
                return view, NO_POSTINGS, seq
            return view, self._lane.postings(view.words, making=view.making), seq

    def _seq(self, connection: Connection) -> int:
        return serving(connection, self._key.id, self.name).seq

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


def _result(hits: Sequence[Hit], k: int, num_matches: int, seq: int, **explain: str) -> Result:
    return Result(
        hits=tuple(hits),
        complete=len(hits) == min(k, num_matches),
        scanned=num_matches,
        seq=seq,
        explain=explain,
    )

"""BM25 over all chunks of a collection, by blocks of postings in memory that follow the tables.

Scores are those of FTS5's `bm25` (k1 = 1.2, b = 0.75; Robertson and Zaragoza 2009, eq. 3.15), with
all terms of a query, however frequent: adding up arrays takes a fraction of the time that FTS5
takes, of which the golden test is the slow twin. Letters: `n` rows, `k` hits.
"""

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from sqlalchemy import Connection

from index.analyser import analyse
from index.lexical import LexicalTable
from index.lexical_query import WordQuery, parse_words
from index.posting_block import PostingBlock
from index.stop_words import Language

MAX_TERMS = 64  # of a query; the rarest are kept
_K1, _B = 1.2, 0.75
_NO_TERM = 1e-9  # the score of a chunk that keeps the conditions and holds no term
_MOST_TAILS = 8  # small blocks of the newest rows; more become one


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A block in memory: its number in the tables (0 of the tail), and which rows are alive."""

    number: int
    block: PostingBlock
    alive: Bool[np.ndarray, " n"]

    @property
    def num_alive(self) -> int:
        return int(np.count_nonzero(self.alive))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """Chunk ids and scores, best first; `num_matches` counts the chunks that could be ranked."""

    ids: Int64[np.ndarray, " k"]
    scores: Float64[np.ndarray, " k"]
    num_matches: int


class Postings:
    """All postings of one state of a collection; never changes, safe for threads."""

    def __init__(self, held: Sequence[_Held]) -> None:
        self.held = tuple(held)
        self.num_rows = sum(one.num_alive for one in held)
        total = sum(int(one.block.lengths[one.alive].sum()) for one in held)
        mean = max(total / self.num_rows, 1e-9) if self.num_rows else 1.0
        self._norms = [_K1 * (1 - _B + _B * one.block.lengths / mean) for one in held]
        self._is_whole = [bool(one.alive.all()) for one in held]

    def count(self, term: str) -> int:
        """Return how many chunks hold a term."""
        found = 0
        for one, whole in zip(self.held, self._is_whole, strict=True):
            rows, _ = one.block.postings(term)
            found += len(rows) if whole else int(np.count_nonzero(one.alive[rows]))
        return found

    def best(
        self,
        terms: Iterable[str],
        k: int,
        *,
        required: Int64[np.ndarray, " r"] | None = None,
        allowed: Int64[np.ndarray, " m"] | None = None,
    ) -> Ranked:
        """Return the k best chunks that hold a term and are allowed; equals by id.

        Where some are `required`, they are found with and without a term, and no other is.
        """
        counts = {term: self.count(term) for term in set(terms)}
        weights = {term: self._weight(n) for term, n in _rarest(counts) if n}
        ids, scores = [], []
        for one, norms in zip(self.held, self._norms, strict=True):
            sums = _summed(one.block, norms, weights)
            if required is not None:
                sums = np.where(np.isin(one.block.ids, required), np.maximum(sums, _NO_TERM), 0.0)
            # A chunk with a term has a positive score, however little the term weighs.
            found = np.flatnonzero((sums > 0) & one.alive)
            if allowed is not None:
                found = found[np.isin(one.block.ids[found], allowed, assume_unique=True)]
            ids.append(one.block.ids[found])
            scores.append(sums[found])
        return _top(np.concatenate([*ids, np.empty(0, np.int64)]), np.concatenate([*scores, []]), k)

    def weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Return ln(1 + (n - df + 0.5) / (df + 0.5)) of each term, over the n chunks."""
        return {term: inverse_frequency(self.num_rows, self.count(term)) for term in terms}

    def _weight(self, count: int) -> float:
        # FTS5's own formula, with its floor for a term that most chunks hold.
        return max(math.log((self.num_rows - count + 0.5) / (count + 0.5)), 1e-6)


class LexicalLane:
    """The postings of one collection in memory. Hold `lock` from before the transaction begins."""

    def __init__(self, collection_id: int, language: Language) -> None:
        self.lock = threading.Lock()
        self.language = language
        self.table = LexicalTable(collection_id)
        self._postings = Postings([])
        self._seq = 0
        self._making = ""

    def postings(self, connection: Connection, *, making: str = "") -> Postings:
        """Return the postings that the caller's transaction sees; needs the lock.

        `making` is another name when the tables were made anew, of which nothing is known yet.
        """
        if making != self._making:
            self._postings = Postings([])
            self._seq = 0
            self._making = making
        state = self.table.state(connection)
        if state.seq != self._seq:
            if state.seq < self._seq or state.seq_unordered > self._seq:
                self._postings = Postings([])  # made anew, or rows came between those we hold
            held = self._caught_up(connection, is_smaller=state.seq_deleted > self._seq)
            self._postings = Postings(held)
            self._seq = state.seq
        return self._postings

    def nearest(
        self,
        connection: Connection,
        postings: Postings,
        query: str,
        k: int,
        *,
        allowed: Int64[np.ndarray, " m"] | None = None,
    ) -> Ranked:
        """Return the best of the chunks that share a term with the query and keep its conditions.

        `postings` are those of the same transaction; the lock need not be held.
        """
        words = parse_words(query)
        terms = analyse(words.text, self.language)
        required = None
        if words.has_conditions:
            for prefix in words.prefixes:
                for word in self.table.expansions(connection, prefix):
                    terms += analyse(word, self.language)
            required = self.matching(connection, words)
        return postings.best(terms, k, required=required, allowed=allowed)

    def matching(self, connection: Connection, words: WordQuery) -> Int64[np.ndarray, " m"]:
        """Return the chunks that keep the conditions of a query, by id."""
        return self.table.matching(connection, words)

    def _caught_up(self, connection: Connection, *, is_smaller: bool) -> list[_Held]:
        spans = self.table.block_spans(connection)
        covered = max((last for _, _, last in spans), default=0)
        old = {one.number: one for one in self._postings.held if one.number}
        tails = [
            one
            for one in self._postings.held
            # An older tail may lie in a block by now.
            if not one.number and len(one.block) and one.block.ids[0] > covered
        ]
        is_new = any(number not in old for number, _, _ in spans)
        live = self.table.live_ids(connection) if is_smaller or is_new else None
        held = []
        for number, _, _ in spans:
            if number in old and not is_smaller:
                held.append(old[number])
            else:
                block = old[number].block if number in old else self.table.block(connection, number)
                held.append(_with_living(number, block, live))
        newest = max([covered, *(int(one.block.ids[-1]) for one in tails)])
        if is_smaller:
            tails = [_with_living(0, one.block, live) for one in tails]
        fresh = self.table.block_of(connection, newest)
        if len(fresh):
            tails.append(_with_living(0, fresh, None))
        if len(tails) > _MOST_TAILS:
            merged = PostingBlock.merged([t.block for t in tails], [t.alive for t in tails])
            tails = [_with_living(0, merged, None)]
        return [*held, *tails]


def inverse_frequency(num_chunks: int, count: int) -> float:
    """Return the weight of a term that `count` of `num_chunks` chunks hold; never negative."""
    return math.log(1 + (num_chunks - count + 0.5) / (count + 0.5))


def _with_living(number: int, block: PostingBlock, live: Int64[np.ndarray, " m"] | None) -> _Held:
    alive = np.ones(len(block), bool) if live is None else np.isin(block.ids, live)
    return _Held(number=number, block=block, alive=alive)


def _rarest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    ordered = sorted((count, term) for term, count in counts.items() if count)
    return [(term, count) for count, term in ordered[:MAX_TERMS]]


def _summed(
    block: PostingBlock, norms: Float64[np.ndarray, " n"], weights: Mapping[str, float]
) -> Float64[np.ndarray, " n"]:
    """Return the score of every row of a block."""
    sums = np.zeros(len(block))
    for term, weight in weights.items():
        rows, counts = block.postings(term)
        sums[rows] += weight * (_K1 + 1) * counts / (counts + norms[rows])
    return sums


def _top(ids: Int64[np.ndarray, " n"], scores: Float64[np.ndarray, " n"], k: int) -> Ranked:
    """Return the k best, equals by id, also where `k` cuts between them."""
    num = len(ids)
    if num > k:
        kth = np.partition(scores, num - k)[num - k]
        near = scores >= kth
        ids, scores = ids[near], scores[near]
    order = np.lexsort((ids, -scores))[:k]
    return Ranked(ids=ids[order], scores=scores[order], num_matches=num)

"""Which chunks hold which terms, how often: arrays that never change, and their bytes.

A block is derived from the rows of a keyword index. It serves what FTS5 takes too long for: adding
up the weights of frequent terms. Letters: `n` chunks, `t` terms, `p` postings.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt16

from index.errors import IndexFileError

_MAGIC = b"causerie postings 1\n"
_DIGEST_BYTES = 16
_LARGEST_COUNT = 65_535  # of a term in a chunk; more counts as so many


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTerms:
    """The terms of one chunk, separated by spaces: of its text, and of what stands above it."""

    id: int
    lex: str
    heading: str


class PostingBlock:
    """The postings of n chunks with ascending ids."""

    def __init__(
        self,
        *,
        ids: Int64[np.ndarray, " n"],
        lengths: Int32[np.ndarray, " n"],
        terms: Sequence[str],
        offsets: Int64[np.ndarray, " offsets"],
        rows: Int32[np.ndarray, " p"],
        counts: UInt16[np.ndarray, " p"],
    ) -> None:
        """Take the parts; the postings of term i are `offsets[i]` to `offsets[i + 1]`, by row.

        `lengths` are the terms of each chunk; `counts` weigh a term of a heading more.
        """
        self.ids = ids
        self.lengths = lengths
        self.terms = terms
        self.offsets = offsets
        self.rows = rows
        self.counts = counts
        self._places = {term: i for i, term in enumerate(terms)}

    def __len__(self) -> int:
        return len(self.ids)

    def postings(self, term: str) -> tuple[Int32[np.ndarray, " m"], UInt16[np.ndarray, " m"]]:
        """Return the rows that hold a term, ascending, and how often."""
        place = self._places.get(term)
        if place is None:
            return self.rows[:0], self.counts[:0]
        span = slice(self.offsets[place], self.offsets[place + 1])
        return self.rows[span], self.counts[span]

    @classmethod
    def of_rows(cls, rows: Iterable[RowTerms], *, heading_weight: int) -> "PostingBlock":
        """Return the block of chunks in ascending order of their ids."""
        ids: list[int] = []
        lengths: list[int] = []
        places: dict[str, int] = {}
        pairs: list[int] = []  # term * 2^32 + row, once for each time that it counts
        for number, row in enumerate(rows):
            lex, heading = row.lex.split(), row.heading.split()
            ids.append(row.id)
            lengths.append(len(lex) + len(heading))
            pairs += [
                (places.setdefault(term, len(places)) << 32) | number
                for term in lex + heading * heading_weight
            ]
        keys, counts = np.unique(np.array(pairs, np.int64), return_counts=True)
        return cls(
            ids=np.array(ids, np.int64),
            lengths=np.array(lengths, np.int32),
            terms=list(places),
            offsets=_offsets(keys >> 32, len(places)),
            rows=(keys & 0xFFFFFFFF).astype(np.int32),
            counts=np.minimum(counts, _LARGEST_COUNT).astype(np.uint16),
        )

    @classmethod
    def merged(
        cls, blocks: Sequence["PostingBlock"], alive: Sequence[Bool[np.ndarray, " _"]]
    ) -> "PostingBlock":
        """Return one block of the rows of several that are alive; their ids ascend."""
        places: dict[str, int] = {}
        keys, counts = [], []
        first = 0
        for block, living in zip(blocks, alive, strict=True):
            numbers = np.array([places.setdefault(t, len(places)) for t in block.terms], np.int64)
            term = np.repeat(numbers, np.diff(block.offsets))
            row = (np.cumsum(living) - 1 + first)[block.rows]
            kept = living[block.rows]
            keys.append(((term << 32) | row)[kept])
            counts.append(block.counts[kept])
            first += int(living.sum())
        joined = np.concatenate([*keys, np.empty(0, np.int64)])
        order = np.argsort(joined, kind="stable")
        joined = joined[order]
        return cls(
            ids=np.concatenate([b.ids[a] for b, a in zip(blocks, alive, strict=True)]),
            lengths=np.concatenate([b.lengths[a] for b, a in zip(blocks, alive, strict=True)]),
            terms=list(places),
            offsets=_offsets(joined >> 32, len(places)),
            rows=(joined & 0xFFFFFFFF).astype(np.int32),
            counts=np.concatenate([*counts, np.empty(0, np.uint16)])[order],
        )

    def to_bytes(self) -> bytes:
        """Return the block as bytes that begin with their hash."""
        terms = " ".join(self.terms).encode()
        sizes = np.array(
            [len(self.ids), len(self.terms), len(self.rows), len(terms)], "<i8"
        ).tobytes()
        parts = (
            self.ids.astype("<i8"),
            self.lengths.astype("<i4"),
            self.offsets.astype("<i8"),
            self.rows.astype("<i4"),
            self.counts.astype("<u2"),
        )
        body = b"".join([_MAGIC, sizes, *(part.tobytes() for part in parts), terms])
        return _digest(body) + body

    @classmethod
    def from_bytes(cls, data: bytes) -> "PostingBlock":
        """Return what `to_bytes` wrote; raises `IndexFileError` where it is something else."""
        body = memoryview(data)[_DIGEST_BYTES:]
        if _digest(body) != data[:_DIGEST_BYTES] or bytes(body[: len(_MAGIC)]) != _MAGIC:
            raise IndexFileError("a block of postings is damaged, or of another version")
        at = len(_MAGIC)
        n, t, p, num_bytes = np.frombuffer(body, "<i8", 4, at).tolist()
        at += 32
        arrays = []
        for kind, count in (("<i8", n), ("<i4", n), ("<i8", t + 1), ("<i4", p), ("<u2", p)):
            arrays.append(np.frombuffer(body, kind, count, at))
            at += arrays[-1].nbytes
        ids, lengths, offsets, rows, counts = arrays
        return cls(
            ids=ids,
            lengths=lengths,
            terms=bytes(body[at : at + num_bytes]).decode().split(" ") if t else [],
            offsets=offsets,
            rows=rows,
            counts=counts,
        )


def _offsets(terms: Int64[np.ndarray, " p"], num_terms: int) -> Int64[np.ndarray, " offsets"]:
    return np.searchsorted(terms, np.arange(num_terms + 1)).astype(np.int64)


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()

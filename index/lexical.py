"""The words of a collection's chunks, in FTS5, and blocks of postings made of them.

Each collection has tables of its own, so that only its own chunks count in its statistics, and
dropping them costs nothing. `lexical_N` holds the terms of a chunk under the chunk's id, as
`index.analyser` gives them: those of its text in `lex`, those of the document's title and of the
headings above it in `heading`. `surface_N` holds the words as they are written, for phrases and
beginnings of words. They are two tables, since FTS5 counts the length of a row over all columns of
its table. `unicode61` only splits them at spaces.

Every `BLOCK_ROWS` new rows become a block of postings, and equal blocks are merged, so that a
reader has few to load. All writes happen in the caller's transaction. The tables may stand in any
SQLite database: nothing here looks at another one.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Int64
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import DatabaseError

from index.analyser import analyse
from index.errors import FilterError, IndexFileError
from index.lexical_query import WordQuery, parse_words
from index.new_rows import ChunkTerms
from index.posting_block import PostingBlock, RowTerms
from index.stop_words import Language

_log = logging.getLogger(__name__)

HEADING_WEIGHT = 2  # of a term in `heading` against one in `lex`; see the figures of the tests
BLOCK_ROWS = 4096
_EQUAL_BLOCKS = 4  # so many of one size become one
_BATCH = 500  # ids in one statement: SQLite bounds the number of parameters
MOST_EXPANSIONS = 16  # words that the beginning of a word stands for in ranking; the most frequent

# Everything but separators and controls belongs to a word: the analyser has done the splitting, and
# this SQLite may know fewer letters than Python does.
_TOKENIZER = "tokenize = \"unicode61 remove_diacritics 0 categories 'L* M* N* P* S* Co Cn Cf'\""


@dataclass(frozen=True, slots=True, kw_only=True)
class LexicalState:
    """How far the rows have come: `seq` counts writes, `seq_deleted` is the last that took rows.

    `seq_unordered` is the last that added rows before others: what a reader holds is then of no
    use. The blocks hold rows up to the id `covered`; `tail` rows were added behind it, `newest` is
    the greatest id ever added.
    """

    seq: int
    seq_deleted: int
    seq_unordered: int
    covered: int
    tail: int
    newest: int


class LexicalTable:
    """The words of one collection, read and written inside the caller's transactions."""

    def __init__(self, collection_id: int) -> None:
        tables = _tables(collection_id)
        self._rows, self._surfaces, self._words = tables[:3]
        self._live, self._state, self._blocks = tables[3:]

    def create(self, connection: Connection) -> None:
        """Make the empty tables."""
        for table, columns in ((self._rows, "lex, heading"), (self._surfaces, "surface")):
            connection.exec_driver_sql(
                f"CREATE VIRTUAL TABLE {table.name} USING fts5({columns}, {_TOKENIZER})"
            )
        connection.exec_driver_sql(
            f"CREATE VIRTUAL TABLE {self._words.name} USING fts5vocab({self._surfaces.name}, row)"
        )
        self._state.create(connection)
        self._blocks.create(connection)
        connection.execute(
            insert(self._state).values(
                seq=0, seq_deleted=0, seq_unordered=0, covered=0, tail=0, newest=0
            )
        )

    def drop(self, connection: Connection) -> None:
        """Remove the tables."""
        for name in (
            f"{self._rows.name}_terms",  # of older programs
            *(t.name for t in (self._words, self._rows, self._surfaces, self._state, self._blocks)),
        ):
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")

    def add(self, connection: Connection, rows: Iterable[tuple[int, ChunkTerms]]) -> None:
        """Insert the words of chunks under their ids.

        Quickest where they are greater than all before: else blocks are made anew.
        """
        values: list[dict[str, Any]] = [
            {
                "id": chunk_id,
                "lex": terms.lex,
                "heading": terms.heading,
                "surface": terms.surface,
            }
            for chunk_id, terms in rows
        ]
        if not values:
            return
        for table, names in ((self._rows, ("lex", "heading")), (self._surfaces, ("surface",))):
            connection.execute(
                insert(table),
                [{"rowid": v["id"], **{name: v[name] for name in names}} for v in values],
            )
        state = self.state(connection)
        first = min(v["id"] for v in values)
        is_ordered = first > state.newest
        covered = state.covered if is_ordered else self._uncovered(connection, first)
        tail = state.tail + len(values) if is_ordered else BLOCK_ROWS
        connection.execute(
            update(self._state).values(
                seq=state.seq + 1,
                seq_unordered=state.seq_unordered if is_ordered else state.seq + 1,
                covered=covered,
                tail=tail,
                newest=max(state.newest, *(v["id"] for v in values)),
            )
        )
        if tail >= BLOCK_ROWS:
            self._seal(connection, covered)

    def remove(self, connection: Connection, chunk_ids: Sequence[int]) -> None:
        """Delete the rows of chunks."""
        if not chunk_ids:
            return
        for i in range(0, len(chunk_ids), _BATCH):
            some = chunk_ids[i : i + _BATCH]
            for table in (self._rows, self._surfaces):
                connection.execute(delete(table).where(table.c.rowid.in_(some)))
        seq = self._state.c.seq + 1
        connection.execute(update(self._state).values(seq=seq, seq_deleted=seq))

    def state(self, connection: Connection) -> LexicalState:
        """Return how far the rows have come."""
        return LexicalState(**connection.execute(select(self._state)).one()._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it

    def live_ids(self, connection: Connection) -> Int64[np.ndarray, " n"]:
        """Return the ids of all rows, ascending."""
        found = connection.execute(select(self._live.c.id).order_by(self._live.c.id))
        return np.array([chunk_id for (chunk_id,) in found], np.int64)

    def block_spans(self, connection: Connection) -> list[tuple[int, int, int]]:
        """Return (id, first row, last row) of the blocks in their order."""
        columns = (self._blocks.c.id, self._blocks.c.first, self._blocks.c.last)
        return [
            (number, first, last)
            for number, first, last in connection.execute(
                select(*columns).order_by(self._blocks.c.first)
            )
        ]

    def block(self, connection: Connection, number: int) -> PostingBlock:
        """Return a block; one that is damaged is made anew from its rows, in memory."""
        row = connection.execute(select(self._blocks).where(self._blocks.c.id == number)).one()
        try:
            return PostingBlock.from_bytes(row.data)
        except IndexFileError as error:
            _log.warning("block %d of %s: %s; made anew", number, self._rows.name, error)
            return self.block_of(connection, row.first - 1, row.last)

    def block_of(self, connection: Connection, after: int, last: int | None = None) -> PostingBlock:
        """Return a block of the rows behind the id `after`, up to `last`."""
        return PostingBlock.of_rows(
            self._stored(connection, after, last), heading_weight=HEADING_WEIGHT
        )

    @property
    def blocks_name(self) -> str:
        """The name of the table of blocks."""
        return self._blocks.name

    def number_on(self, connection: Connection, seq: int) -> None:
        """Number this write behind `seq`, as one that took rows away."""
        after = self._state.c.seq + seq + 1
        connection.execute(update(self._state).values(seq=after, seq_deleted=after))

    def block_bytes(self, connection: Connection, number: int) -> bytes:
        """Return a block as it is stored."""
        data = connection.scalar(select(self._blocks.c.data).where(self._blocks.c.id == number))
        return data or b""

    def row_ids(self, connection: Connection) -> list[list[int]]:
        """Return the ids of the rows of terms, and of those of surfaces, each ascending."""
        return [
            list(connection.scalars(select(table.c.rowid).order_by(table.c.rowid)))
            for table in (self._rows, self._surfaces)
        ]

    def terms(
        self, connection: Connection, chunk_ids: Sequence[int]
    ) -> list[tuple[int, ChunkTerms]]:
        """Return the words of chunks as they are stored."""
        surfaces = select(self._surfaces).where(self._surfaces.c.rowid.in_(chunk_ids))
        surface = {row.rowid: row.surface for row in connection.execute(surfaces)}
        rows = connection.execute(select(self._rows).where(self._rows.c.rowid.in_(chunk_ids)))
        return [
            (
                row.rowid,
                ChunkTerms(lex=row.lex, heading=row.heading, surface=surface.get(row.rowid, "")),
            )
            for row in rows
        ]

    def integrity(self, connection: Connection) -> Iterator[str]:
        """Give what FTS5 finds wrong with itself; needs a write transaction."""
        for table in (self._rows, self._surfaces):
            name = table.name
            try:
                connection.exec_driver_sql(
                    f"INSERT INTO {name}({name}, rank) VALUES ('integrity-check', 1)"  # noqa: S608  # the name is ours
                )
            except DatabaseError as error:
                yield f"the index of {name} is not that of its rows: {error.orig}"

    def forget(self, connection: Connection) -> None:
        """Leave nothing of rows that were removed: not in FTS5's index, nor in blocks."""
        live = self.live_ids(connection)
        for number, first, last in self.block_spans(connection):
            ids = self.block(connection, number).ids
            if np.isin(ids, live).all():
                continue
            level = connection.scalar(
                select(self._blocks.c.level).where(self._blocks.c.id == number)
            )
            connection.execute(delete(self._blocks).where(self._blocks.c.id == number))
            made = self.block_of(connection, first - 1, last)
            self._store(connection, made, first, last, level=int(level or 0))
        for name in (self._rows.name, self._surfaces.name):
            connection.exec_driver_sql(
                f"INSERT INTO {name}({name}) VALUES ('optimize')"  # noqa: S608  # the name is ours
            )
        self.number_on(connection, 0)

    def matching(self, connection: Connection, query: WordQuery) -> Int64[np.ndarray, " m"]:
        """Return the ids of the rows that hold all phrases and beginnings of a query, ascending."""
        match = literal_column(self._surfaces.name).op("MATCH")(query.match())
        found = connection.execute(
            select(self._surfaces.c.rowid).where(match).order_by(self._surfaces.c.rowid)
        )
        return np.array([chunk_id for (chunk_id,) in found], np.int64)

    def holding(self, text: str, language: Language) -> Select[Any]:
        """Return the query of the ids of the rows that hold all words of a text.

        Raises:
            FilterError: the text has no word that is indexed.
        """
        query = parse_words(text)
        terms = sorted(set(analyse(query.text, language)))
        rows = [
            select(table.c.rowid).where(literal_column(table.name).op("MATCH")(match))
            for table, match in (
                (self._rows, " AND ".join(f'"{term}"' for term in terms)),
                (self._surfaces, query.match()),
            )
            if match
        ]
        if not rows:
            raise FilterError(f"'match' of {text[:60]!r} has no word that is indexed")
        first, *others = rows
        for other in others:
            first = first.where(self._rows.c.rowid.in_(other))
        return first

    def expansions(self, connection: Connection, prefix: str) -> list[str]:
        """Return written words that begin with `prefix`, the most frequent first."""
        words = self._words.c
        found = connection.scalars(
            select(words.term)
            .where(words.term >= prefix, words.term < prefix + "\U0010ffff")
            .order_by(words.doc.desc(), words.term)
            .limit(MOST_EXPANSIONS)
        )
        return list(found)

    def _stored(self, connection: Connection, after: int, last: int | None) -> Iterator[RowTerms]:
        query = select(self._rows.c.rowid, self._rows.c.lex, self._rows.c.heading)
        query = query.where(self._rows.c.rowid > after).order_by(self._rows.c.rowid)
        if last is not None:
            query = query.where(self._rows.c.rowid <= last)
        for chunk_id, lex, heading in connection.execute(query):
            yield RowTerms(id=chunk_id, lex=lex, heading=heading)

    def _uncovered(self, connection: Connection, first: int) -> int:
        """Drop the blocks that hold rows from the id `first` on; return what is covered then."""
        connection.execute(delete(self._blocks).where(self._blocks.c.last >= first))
        return int(connection.scalar(select(func.max(self._blocks.c.last))) or 0)

    def _seal(self, connection: Connection, covered: int) -> None:
        """Make a block of the rows behind `covered`, and one of many of the same size."""
        last = connection.scalar(select(func.max(self._live.c.id)).where(self._live.c.id > covered))
        if last is None:
            connection.execute(update(self._state).values(tail=0))
            return
        self._store(connection, self.block_of(connection, covered), covered + 1, last, level=0)
        connection.execute(update(self._state).values(covered=last, tail=0))
        level = 0
        while True:
            equal = connection.execute(
                select(self._blocks.c.id, self._blocks.c.first, self._blocks.c.last)
                .where(self._blocks.c.level == level)
                .order_by(self._blocks.c.first)
            ).all()
            if len(equal) < _EQUAL_BLOCKS:
                return
            blocks = [self.block(connection, row.id) for row in equal]
            live = self.live_ids(connection)
            merged = PostingBlock.merged(blocks, [np.isin(block.ids, live) for block in blocks])
            connection.execute(delete(self._blocks).where(self._blocks.c.level == level))
            level += 1
            self._store(connection, merged, equal[0].first, equal[-1].last, level=level)

    def _store(
        self, connection: Connection, block: PostingBlock, first: int, last: int, *, level: int
    ) -> None:
        connection.execute(
            insert(self._blocks).values(first=first, last=last, level=level, data=block.to_bytes())
        )


@lru_cache(maxsize=256)  # SQLAlchemy keeps compiled statements by the very table
def _tables(collection_id: int) -> tuple[Table, Table, Table, Table, Table, Table]:
    """Return terms, surfaces, surface words with counts, live ids, state and blocks."""
    lexical, surface = f"lexical_{collection_id}", f"surface_{collection_id}"
    metadata = MetaData()  # its own: nobody creates virtual tables with `create_all`
    return (
        Table(
            lexical,
            metadata,
            Column("rowid", Integer, primary_key=True),
            Column("lex", Text),
            Column("heading", Text),
        ),
        Table(
            surface,
            metadata,
            Column("rowid", Integer, primary_key=True),
            Column("surface", Text),
        ),
        Table(f"{surface}_words", metadata, Column("term", Text), Column("doc", Integer)),
        # FTS5's own table of the lengths of rows: much smaller to walk than the rows.
        Table(f"{lexical}_docsize", metadata, Column("id", Integer, primary_key=True)),
        Table(
            f"{lexical}_state",
            metadata,
            Column("seq", Integer, nullable=False),
            Column("seq_deleted", Integer, nullable=False),
            Column("seq_unordered", Integer, nullable=False),
            Column("covered", Integer, nullable=False),
            Column("tail", Integer, nullable=False),
            Column("newest", Integer, nullable=False),
        ),
        Table(
            f"{lexical}_blocks",
            metadata,
            # Numbers are never used twice: a reader knows by them what it holds already.
            Column("id", Integer, primary_key=True),
            Column("first", Integer, nullable=False),
            Column("last", Integer, nullable=False),
            Column("level", Integer, nullable=False),
            Column("data", LargeBinary, nullable=False),
            sqlite_autoincrement=True,
        ),
    )

"""The keyword index of a collection: BM25 over the terms of its chunks, in FTS5.

Each collection has a table of its own, so that only its own chunks count in its statistics, and
dropping it costs nothing. A row holds the terms of one chunk under the chunk's id, as
`index.analyser` gives them: those of its text in `body`, those of the document's title and of the
headings above it in `heading`. FTS5 only splits them at spaces. All writes happen in the
transaction that writes the chunks.

Also knows how the terms are made anew when the analyser has changed.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from index.analyser import FINGERPRINT, analyse
from index.new_rows import ChunkTerms, chunk_terms
from index.tables import chunks, collections, documents

HEADING_WEIGHT = 2.0  # of a term in `heading` against one in `body`; see the figures of the tests
MAX_TERMS = 32  # of a query; the rarest are kept

# Chunks that the terms of a query may name together, which bounds its time: BM25 costs about 2 us a
# chunk, and a word of half the chunks tells little. On SciFact (5,183 chunks) all bounds from 4,000
# to 60,000 give the same nDCG@10 within .001. The rarest term is always searched for.
MAX_POSTINGS = 5_000
_BATCH = 500  # ids in one statement: SQLite bounds the number of parameters


class LexicalTable:
    """The keyword index of one collection, used inside the caller's transactions."""

    def __init__(self, collection_id: int) -> None:
        self._collection_id = collection_id
        self._rows, self._terms = _virtual_tables(collection_id)
        self._name = self._rows.name

    def create(self, connection: Connection) -> None:
        """Make the empty tables."""
        # `ascii` splits at ASCII characters that are no letters or digits and folds A-Z, none of
        # which is left to do: unlike with `unicode61`, a term is the token that FTS5 counts
        # whatever its script.
        connection.exec_driver_sql(
            f"CREATE VIRTUAL TABLE {self._name} USING fts5(body, heading, tokenize = 'ascii')"
        )
        connection.exec_driver_sql(
            f"CREATE VIRTUAL TABLE {self._terms.name} USING fts5vocab({self._name}, row)"
        )

    def drop(self, connection: Connection) -> None:
        """Remove the tables."""
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {self._terms.name}")
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {self._name}")

    def add(self, connection: Connection, rows: Iterable[tuple[int, ChunkTerms]]) -> None:
        """Insert the terms of chunks under their ids."""
        values = [
            {"rowid": chunk_id, "body": terms.body, "heading": terms.heading}
            for chunk_id, terms in rows
        ]
        if values:
            connection.execute(insert(self._rows), values)

    def remove(self, connection: Connection, document_ids: Sequence[str]) -> None:
        """Delete the rows of documents whose chunks are still there."""
        for i in range(0, len(document_ids), _BATCH):
            gone = select(chunks.c.id).where(
                chunks.c.document_id.in_(document_ids[i : i + _BATCH]),
                chunks.c.collection_id == self._collection_id,
            )
            connection.execute(delete(self._rows).where(self._rows.c.rowid.in_(gone)))

    def nearest(self, connection: Connection, query: str, k: int) -> list[tuple[int, float]]:
        """Return ids and BM25 scores of up to k chunks that hold a term of the query, best first.

        Equal scores come in the order of storing. Of a long query the rarest terms are searched
        for; of terms that no chunk holds none.
        """
        counts = self._counts(connection, set(analyse(query)))
        wanted = rarest(counts)
        if not wanted:
            return []
        score = (-func.bm25(literal_column(self._name), 1.0, HEADING_WEIGHT)).label("score")
        # No term holds a quote or a space, and a quoted term is never an operator of FTS5.
        match = literal_column(self._name).op("MATCH")(" OR ".join(f'"{t}"' for t in wanted))
        found = connection.execute(
            select(self._rows.c.rowid, score)
            .where(match)
            .order_by(score.desc(), self._rows.c.rowid)
            .limit(k)
        )
        return [(chunk_id, score) for chunk_id, score in found]

    def weights(self, connection: Connection, terms: Sequence[str]) -> dict[str, float]:
        """Return ln(1 + (n - df + 0.5) / (df + 0.5)) of each term, over the n chunks."""
        counts = self._counts(connection, set(terms))
        n = connection.scalar(
            select(func.count()).where(chunks.c.collection_id == self._collection_id)
        )
        return {term: inverse_frequency(int(n or 0), counts.get(term, 0)) for term in terms}

    def renew(self, connection: Connection) -> None:
        """Make the terms of all chunks anew, with the analyser that this program has."""
        self.drop(connection)
        self.create(connection)
        ids = connection.scalars(
            select(documents.c.id).where(documents.c.collection_id == self._collection_id)
        ).all()
        for document_id in ids:  # one text in memory at a time
            self.add(connection, list(_stored_terms(connection, document_id)))
        connection.execute(
            update(collections)
            .where(collections.c.id == self._collection_id)
            .values(analyser=FINGERPRINT)
        )

    def _counts(self, connection: Connection, terms: set[str]) -> dict[str, int]:
        """Return in how many chunks each term is that is in any."""
        ordered = sorted(terms)
        counts: dict[str, int] = {}
        for i in range(0, len(ordered), _BATCH):
            found = connection.execute(
                select(self._terms.c.term, self._terms.c.doc).where(
                    self._terms.c.term.in_(ordered[i : i + _BATCH])
                )
            )
            counts.update((term, doc) for term, doc in found)
        return counts


@lru_cache(maxsize=256)  # SQLAlchemy keeps compiled statements by the very table
def _virtual_tables(collection_id: int) -> tuple[Table, Table]:
    """Return the chunks' terms, and the view of FTS5 that counts the chunks of a term."""
    name = f"lexical_{collection_id}"
    metadata = MetaData()  # its own: nobody creates virtual tables with `create_all`
    return (
        Table(
            name,
            metadata,
            Column("rowid", Integer, primary_key=True),
            Column("body", Text),
            Column("heading", Text),
        ),
        Table(f"{name}_terms", metadata, Column("term", Text), Column("doc", Integer)),
    )


def inverse_frequency(num_chunks: int, count: int) -> float:
    """Return the weight of a term that `count` of `num_chunks` chunks hold; never negative."""
    return math.log(1 + (num_chunks - count + 0.5) / (count + 0.5))


def rarest(counts: Mapping[str, int]) -> list[str]:
    """Return the terms to search for, the rarest first: those that `MAX_POSTINGS` has room for."""
    wanted: list[str] = []
    room = MAX_POSTINGS
    for count, term in sorted((count, term) for term, count in counts.items())[:MAX_TERMS]:
        if wanted and count > room:
            break
        wanted.append(term)
        room -= count
    return wanted


def _stored_terms(connection: Connection, document_id: str) -> Iterator[tuple[int, ChunkTerms]]:
    title, data = connection.execute(
        select(documents.c.title, documents.c.text).where(documents.c.id == document_id)
    ).one()
    for row in connection.execute(
        select(chunks).where(chunks.c.document_id == document_id).order_by(chunks.c.id)
    ):
        # A damaged text is found out where it is quoted, not here.
        text = data[row.start : row.end].decode(errors="replace")
        yield row.id, chunk_terms(title, row.heading_path, text)

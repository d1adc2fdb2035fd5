"""Makes the words of a collection anew, from the texts that are stored."""

from sqlalchemy import Connection, insert, select, table, update
from sqlalchemy import column as named
from sqlalchemy.exc import DatabaseError

from index.analyser import fingerprint
from index.lexical import LexicalTable
from index.stop_words import Language
from index.stored_terms import stored_terms
from index.tables import chunks, collections

_BATCH = 500  # ids in one statement: SQLite bounds the number of parameters
_sequence = table("sqlite_sequence", named("name"), named("seq"))


def renew_terms(connection: Connection, collection_id: int, language: Language) -> None:
    """Drop the words and make them again with this program's analyser.

    Writes are numbered on from where they were, and so are the blocks of postings, so that a
    reader that holds older ones does not take them for the new ones.
    """
    lexical = LexicalTable(collection_id)
    try:
        seq = lexical.state(connection).seq
        newest = max((number for number, _, _ in lexical.block_spans(connection)), default=0)
        largest = connection.scalar(
            select(_sequence.c.seq).where(_sequence.c.name == lexical.blocks_name)
        )
        newest = max(newest, int(largest or 0))
    except DatabaseError:  # of an older program, or damaged: then nobody holds what it was
        seq, newest = 0, 0
    lexical.drop(connection)
    lexical.create(connection)
    if newest:
        connection.execute(insert(_sequence).values(name=lexical.blocks_name, seq=newest))
    ids = connection.scalars(
        select(chunks.c.id).where(chunks.c.collection_id == collection_id).order_by(chunks.c.id)
    ).all()
    for i in range(0, len(ids), _BATCH):
        lexical.add(connection, stored_terms(connection, list(ids[i : i + _BATCH]), language))
    lexical.number_on(connection, seq)
    connection.execute(
        update(collections)
        .where(collections.c.id == collection_id)
        .values(analyser=fingerprint(language))
    )

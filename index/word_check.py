"""Compares the keyword index of a collection with the texts that it was made of."""

from collections.abc import Iterator

import numpy as np
from sqlalchemy import Connection, select

from index.errors import IndexFileError
from index.inspection import Problem, ProblemKind
from index.lexical import LexicalTable
from index.posting_block import PostingBlock
from index.progress import OnProgress, unheard
from index.stop_words import Language
from index.stored_terms import stored_terms
from index.tables import chunks

_BATCH = 500  # ids in one statement: SQLite bounds the number of parameters


def word_problems(
    connection: Connection,
    collection_id: int,
    language: Language,
    lexical: LexicalTable,
    *,
    on_progress: OnProgress = unheard,
) -> Iterator[Problem]:
    """Give what differs between the words that are stored and those of the texts."""
    ids = list(
        connection.scalars(
            select(chunks.c.id).where(chunks.c.collection_id == collection_id).order_by(chunks.c.id)
        )
    )
    held = lexical.row_ids(connection)
    if held != [ids, ids]:
        yield _wrong(f"words of {len(held[0])} chunks are stored, of {len(ids)} they should be")
        return
    for i in range(0, len(ids), _BATCH):
        on_progress("words", i, len(ids))
        expected = dict(stored_terms(connection, ids[i : i + _BATCH], language))
        for chunk_id, terms in lexical.terms(connection, ids[i : i + _BATCH]):
            if terms != expected.get(chunk_id):
                yield _wrong(f"the words of chunk {chunk_id} are not those of its text")
    on_progress("words", len(ids), len(ids))
    yield from _block_problems(connection, np.array(ids, np.int64), lexical)


def _block_problems(
    connection: Connection, ids: np.ndarray, lexical: LexicalTable
) -> Iterator[Problem]:
    covered = 0
    for number, first, last in lexical.block_spans(connection):
        if first != covered + 1 and first <= covered:
            yield _wrong(f"block {number} of postings begins at {first}, behind {covered}")
        covered = last
        try:
            block = PostingBlock.from_bytes(lexical.block_bytes(connection, number))
        except IndexFileError as error:
            yield _wrong(f"block {number} of postings: {error}")
            continue
        of_rows = ids[(ids >= first) & (ids <= last)]
        if len(np.setdiff1d(of_rows, block.ids)):
            yield _wrong(f"block {number} of postings lacks chunks")
    if lexical.state(connection).covered != covered:
        yield _wrong("the state of the blocks of postings does not fit them")


def _wrong(what: str) -> Problem:
    return Problem(kind=ProblemKind.WORDS, what=what)

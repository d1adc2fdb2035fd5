"""The keyword index of a collection whose database is on a server: a local file that follows it.

PostgreSQL has no BM25, so every machine keeps FTS5 tables of its own, made of the stored texts. The
file says up to which sequence number it holds each collection; a search first brings it to the one
that its snapshot of the database has. Deleting the file costs the time to make the terms anew.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, runtime_checkable

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import DatabaseError

from index.analyser import fingerprint
from index.database import reading, writing
from index.errors import IndexFileError, UnknownCollectionError
from index.lexical import LexicalTable
from index.lexical_file import LexicalFile, applied, is_broken
from index.new_rows import ChunkTerms
from index.stop_words import Language
from index.stored_terms import stored_terms
from index.tables import chunks, collections

_BATCH = 500  # chunks whose terms are made at a time: SQLite bounds the number of parameters
_TRANSACTION = 2_000  # and those that are written together, unless one write added more


@dataclass(frozen=True, slots=True, kw_only=True)
class WordView:
    """A snapshot of a collection's rows and one of its words, at the same sequence number.

    `making` changes whenever the tables of words were made anew.
    """

    rows: Connection
    words: Connection
    making: str = ""


@runtime_checkable
class WordSource(Protocol):
    """Where the words of a collection are."""

    def open(self, stack: ExitStack, database: Engine) -> WordView:
        """Return a view of them that lives as long as `stack`."""
        ...


class OwnWords:
    """The words are in the database itself."""

    def open(self, stack: ExitStack, database: Engine) -> WordView:
        """Return a view in one transaction."""
        connection = stack.enter_context(reading(database))
        return WordView(rows=connection, words=connection)


class UnwrittenTable:
    """Takes the place of a `LexicalTable` where the words are not in the database."""

    def add(self, connection: Connection, rows: Iterable[tuple[int, ChunkTerms]]) -> None:
        """Leave it to the next search, which reads the stored texts."""

    def remove(self, connection: Connection, chunk_ids: Sequence[int]) -> None:
        """Leave it to the next search, which sees what is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """A collection as a snapshot of the database has it."""

    made_of: str
    seq: int
    seq_deleted: int


class DerivedWords:
    """The words are in a file of this machine, which catches up when it is read."""

    def __init__(
        self, collection_id: int, name: str, language: Language, file: LexicalFile
    ) -> None:
        self._id = collection_id
        self._name = name
        self._language = language
        self._file = file
        self._table = LexicalTable(collection_id)

    def open(self, stack: ExitStack, database: Engine) -> WordView:
        """Return a view of the database and of the file, which is brought up to it first.

        Raises:
            UnknownCollectionError: the collection was deleted.
        """
        try:
            view = self._open(stack, database)
        except DatabaseError as error:
            if not is_broken(error):
                raise
            self._file.set_aside(error.orig)
            view = self._open(stack, database)
        stack.push(self._look_at_failure)
        return view

    def _look_at_failure(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        if isinstance(error, DatabaseError) and is_broken(error):
            self._file.set_aside(error.orig)
            raise IndexFileError(
                f"the keyword index of this machine was damaged ({error.orig}); it was set aside"
                " and is made anew by the next search: ask again"
            ) from error
        return False

    def _open(self, stack: ExitStack, database: Engine) -> WordView:
        held = 0
        while True:
            with ExitStack() as attempt:
                rows = attempt.enter_context(reading(database))
                state = self._state(rows)
                # `held` was committed before this snapshot: with less in it, the database was put
                # back to an older copy, and the file tells of another history.
                is_foreign = held > state.seq
                words, held = attempt.enter_context(self._words(rows, state, is_foreign=is_foreign))
                if held == state.seq:
                    mine = applied.c.collection_id == self._id
                    making = words.scalar(select(applied.c.making).where(mine))
                    stack.enter_context(attempt.pop_all())
                    return WordView(rows=rows, words=words, making=making or "")

    def _state(self, rows: Connection) -> _State:
        row = rows.execute(select(collections).where(collections.c.id == self._id)).first()
        if row is None:
            raise UnknownCollectionError(f"collection {self._name!r} was deleted")
        made_of = f"{row.name} {row.created_at.isoformat()} {fingerprint(self._language)}"
        return _State(made_of=made_of, seq=row.seq, seq_deleted=row.seq_deleted)

    @contextmanager
    def _words(
        self, rows: Connection, state: _State, *, is_foreign: bool
    ) -> Iterator[tuple[Connection, int]]:
        """Give the words and their sequence number, which is at least the wanted one."""
        file = self._file.open()
        with reading(file) as words:
            if self._held(words, state) == state.seq:
                yield words, state.seq
                return
        while True:
            with writing(file, is_durable=False) as words:
                if is_foreign or self._held(words, state) is None:
                    self._begin(words, rows, state)
                is_foreign = False
                held = self._catch_up(words, rows, state)
                if held >= state.seq:
                    yield words, held
                    return

    def _held(self, words: Connection, state: _State) -> int | None:
        row = words.execute(select(applied).where(applied.c.collection_id == self._id)).first()
        return None if row is None or row.made_of != state.made_of else row.seq

    def _begin(self, words: Connection, rows: Connection, state: _State) -> None:
        living = set(rows.scalars(select(collections.c.id)))
        for known in words.scalars(select(applied.c.collection_id)).all():
            if known not in living or known == self._id:
                LexicalTable(known).drop(words)
                words.execute(delete(applied).where(applied.c.collection_id == known))
        self._table.create(words)
        words.execute(
            insert(applied).values(
                collection_id=self._id, made_of=state.made_of, seq=0, making=uuid.uuid4().hex
            )
        )

    def _catch_up(self, words: Connection, rows: Connection, state: _State) -> int:
        """Take over some of what is new; return up to which number the file then is."""
        held = self._held(words, state) or 0
        if held >= state.seq:
            return held
        mine = chunks.c.collection_id == self._id
        if state.seq_deleted > held > 0:
            kept = set(rows.scalars(select(chunks.c.id).where(mine, chunks.c.seq_added <= held)))
            there = self._table.live_ids(words).tolist()
            self._table.remove(words, [i for i in there if i not in kept])
        behind = (mine, chunks.c.seq_added > held)
        seqs = rows.scalars(
            select(chunks.c.seq_added)
            .where(*behind)
            .order_by(chunks.c.seq_added)
            .limit(_TRANSACTION)
        ).all()
        end = seqs[-1] if len(seqs) == _TRANSACTION else state.seq
        new = rows.scalars(
            select(chunks.c.id).where(*behind, chunks.c.seq_added <= end).order_by(chunks.c.id)
        ).all()
        for i in range(0, len(new), _BATCH):
            self._table.add(words, stored_terms(rows, new[i : i + _BATCH], self._language))
        words.execute(update(applied).where(applied.c.collection_id == self._id).values(seq=end))
        return end

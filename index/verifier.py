"""Compares all that a collection holds with itself: rows, hashes, words, texts, files, the log.

Reads only. SQLite's own check finds what is wrong with its trees and nothing in a value, hence the
hashes; FTS5's compares its terms with its rows, and we compare its rows with the texts.

Letters: `n` vectors, `d` their width.
"""

import hashlib
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DatabaseError

from index.collection_files import CollectionFiles
from index.database import reading, writing
from index.document_rows import Serving, serving
from index.errors import IndexFileError
from index.inspection import Problem, ProblemKind, Verification
from index.lexical import LexicalTable
from index.live_index import CollectionKey, is_of_database
from index.manifest import Manifest
from index.new_rows import document_id_of
from index.progress import OnProgress, unheard
from index.row_digests import document_digest, vector_digest
from index.segments import open_segment
from index.stored_vectors import StoredVectors
from index.tables import (
    chunks,
    commits,
    document_versions,
    documents,
    old_chunks,
    old_documents,
    oplog,
    vector_sets,
)
from index.token_rows import damaged_tokens
from index.word_check import word_problems

_SHOWN = 20  # lines of SQLite's check


class Verifier:
    """Looks at one collection."""

    def __init__(
        self,
        database: Engine,
        key: CollectionKey,
        files: CollectionFiles,
        lexical: LexicalTable | None,
        *,
        on_progress: OnProgress = unheard,
    ) -> None:
        self._database = database
        self._key = key
        self._files = files
        self._lexical = lexical
        self._on_progress = on_progress

    def verify(self, *, absent: Sequence[str] = ()) -> Verification:
        """Look at everything.

        `absent` are ids of documents of which nothing may be left in any table or file.

        Raises:
            UnknownCollectionError: the collection was deleted.
        """
        try:
            words: list[str] = []
            if self._lexical is not None:
                with writing(self._database) as connection:  # FTS5 takes its check for a write
                    words = list(self._lexical.integrity(connection))
            with reading(self._database) as connection:
                return self._verify(connection, absent, words)
        except DatabaseError as error:
            # SQLite itself stumbles over what is wrong.
            broken = Problem(
                kind=ProblemKind.DATABASE, what=f"the database cannot be read: {error}"
            )
            return Verification(
                seq=0, num_documents=0, num_chunks=0, num_files=0, problems=(broken,)
            )

    def _verify(
        self, connection: Connection, absent: Sequence[str], words: Sequence[str]
    ) -> Verification:
        now = serving(connection, self._key.id, self._key.name)
        stored = StoredVectors(
            collection_id=self._key.id, set_id=now.set_id, dim=now.dim, metric=self._key.metric
        )
        live = stored.live_ids(connection)
        files, num_files = self._files_checked(connection, stored, live)
        problems = [
            *self._database_checked(connection),
            *self._documents_checked(connection),
            *self._vectors_checked(connection, stored, live),
            *self._tokens_checked(connection, now),
            *self._old_checked(connection),
            *self._log_checked(connection, now, live),
            *(Problem(kind=ProblemKind.WORDS, what=what) for what in words),
            *self._words_checked(connection),
            *files,
            *self._residue(connection, absent),
        ]
        num_documents = connection.scalar(
            select(func.count()).where(documents.c.collection_id == self._key.id)
        )
        return Verification(
            seq=now.seq,
            num_documents=int(num_documents or 0),
            num_chunks=len(live),
            num_files=num_files,
            problems=tuple(problems),
        )

    def _words_checked(self, connection: Connection) -> Iterator[Problem]:
        # Without a table here the words are in a file that follows and is checked where it is read.
        if self._lexical is not None:
            yield from word_problems(
                connection,
                self._key.id,
                self._key.language,
                self._lexical,
                on_progress=self._on_progress,
            )

    def _database_checked(self, connection: Connection) -> Iterator[Problem]:
        if connection.dialect.name != "sqlite":
            return
        for (line,) in connection.exec_driver_sql(f"PRAGMA integrity_check({_SHOWN})"):
            if line != "ok":
                yield Problem(kind=ProblemKind.DATABASE, what=line)
        for row in connection.exec_driver_sql("PRAGMA foreign_key_check").all()[:_SHOWN]:
            yield Problem(
                kind=ProblemKind.DATABASE, what=f"row {row[1]} of {row[0]} has no row in {row[2]}"
            )

    def _documents_checked(self, connection: Connection) -> Iterator[Problem]:
        held = dict[str, int]()
        for document_id, num in connection.execute(
            select(chunks.c.document_id, func.count())
            .where(chunks.c.collection_id == self._key.id)
            .group_by(chunks.c.document_id)
        ):
            held[document_id] = num
        rows = connection.execute(
            select(documents, document_versions.c.digest)
            .outerjoin(document_versions, document_versions.c.document_id == documents.c.id)
            .where(documents.c.collection_id == self._key.id)
        )
        total = connection.scalar(
            select(func.count()).where(documents.c.collection_id == self._key.id)
        )
        for done, row in enumerate(rows.yield_per(50), start=1):
            if done % 50 == 0 or done == total:
                self._on_progress("documents", done, int(total or 0))
            what = self._wrong_with(row, held.pop(row.id, 0))
            if what:
                yield Problem(kind=ProblemKind.DOCUMENT, what=what, uri=row.uri)
        for document_id in held:
            yield Problem(kind=ProblemKind.DOCUMENT, what=f"document {document_id} is missing")

    def _wrong_with(self, row: Any, num_chunks: int) -> str:
        if row.digest is None or document_digest(row) != row.digest:
            return f"the record of document {row.uri!r} is not what was stored"
        if hashlib.sha256(row.text).hexdigest() != row.text_sha256:
            return f"the text of document {row.uri!r} is not what was stored"
        if row.id != document_id_of(self._key.name, row.uri):
            return f"document {row.uri!r} stands under an id that is not its own"
        if row.num_chunks != num_chunks:
            return f"document {row.uri!r} has {num_chunks} chunks of {row.num_chunks}"
        return ""

    def _vectors_checked(
        self, connection: Connection, stored: StoredVectors, live: np.ndarray
    ) -> Iterator[Problem]:
        done = 0
        for ids, _ in stored.read(connection, live):
            done += len(ids)
            self._on_progress("vectors", done, len(live))
        uris = dict[int, str]()
        for chunk_id in sorted(stored.damaged):
            uris[chunk_id] = (
                connection.scalar(
                    select(documents.c.uri)
                    .join(chunks, chunks.c.document_id == documents.c.id)
                    .where(chunks.c.id == chunk_id)
                )
                or ""
            )
        for chunk_id, what in sorted(stored.damaged.items()):
            yield Problem(kind=ProblemKind.VECTOR, what=what, uri=uris[chunk_id])

    def _tokens_checked(self, connection: Connection, now: Serving) -> Iterator[Problem]:
        for uri, what in damaged_tokens(connection, self._key.id, now.set_id, now.dim):
            yield Problem(kind=ProblemKind.VECTOR, what=what, uri=uri)

    def _old_checked(self, connection: Connection) -> Iterator[Problem]:
        for row in connection.execute(
            select(old_documents).where(old_documents.c.collection_id == self._key.id)
        ).yield_per(50):
            record = SimpleNamespace(**{**row._mapping, "id": row.document_id})  # noqa: SLF001
            if (
                document_digest(record) != row.digest
                or hashlib.sha256(row.text).hexdigest() != row.text_sha256
            ):
                yield Problem(
                    kind=ProblemKind.DOCUMENT,
                    what=f"a version of document {row.uri!r} before write {row.seq_deleted} is"
                    " not what was stored",
                    uri=row.uri,
                )
        for row in connection.execute(
            select(old_chunks).where(old_chunks.c.collection_id == self._key.id)
        ).yield_per(500):
            if vector_digest(row, row.set_id, row.vector) != row.digest:
                yield Problem(
                    kind=ProblemKind.VECTOR,
                    what=f"the deleted chunk {row.id} or its vector is not what was stored",
                )

    def _log_checked(
        self, connection: Connection, now: Serving, live: np.ndarray
    ) -> Iterator[Problem]:
        loss = self._files.acknowledged.lost(connection, self._key.id)
        if loss:
            yield Problem(kind=ProblemKind.LOG, what=loss)
        newest = connection.scalar(
            select(func.max(commits.c.seq)).where(commits.c.collection_id == self._key.id)
        )
        if (newest or 0) != now.seq:
            yield Problem(
                kind=ProblemKind.LOG,
                what=f"the last write is {newest}, the collection says {now.seq}",
            )
        alive = set[int]()
        for chunk_id, op in connection.execute(
            select(oplog.c.chunk_id, oplog.c.op)
            .where(oplog.c.collection_id == self._key.id)
            .order_by(oplog.c.seq)
        ):
            (alive.add if op == "add" else alive.discard)(chunk_id)
        if alive != set(live.tolist()):
            yield Problem(
                kind=ProblemKind.LOG,
                what=f"the log of operations leads to {len(alive)} chunks, {len(live)} are there",
            )
        sets = connection.execute(
            select(vector_sets.c.embedder, vector_sets.c.dim).where(vector_sets.c.id == now.set_id)
        ).one()
        if tuple(sets) != (now.embedder, now.dim):
            yield Problem(
                kind=ProblemKind.LOG, what="what the collection says of its embedder has changed"
            )

    def _files_checked(
        self, connection: Connection, stored: StoredVectors, live: np.ndarray
    ) -> tuple[list[Problem], int]:
        folder = self._files.folder
        pointer = folder.pointer()
        if not pointer:
            return [], 0
        try:
            manifest = folder.read(pointer)
        except (OSError, ValueError, IndexFileError) as error:
            return [Problem(kind=ProblemKind.FILE, what=str(error))], 1
        if manifest.set_id != stored.set_id and manifest.collection_id == stored.collection_id:
            return (
                [],
                1,
            )  # of the embedder before: no search uses them, and the next seal drops them
        if not is_of_database(connection, manifest, stored):
            what = "the index files were made of another state of the database"
            return [Problem(kind=ProblemKind.FILE, what=what)], 1
        problems = list(self._older_checked(manifest))
        num_files = 2
        for done, entry in enumerate(manifest.segments, start=1):
            self._on_progress("segments", done, len(manifest.segments))
            num_files += len(entry.files)
            try:
                segment = open_segment(folder, manifest, entry, threads=1)
            except IndexFileError as error:
                problems.append(Problem(kind=ProblemKind.FILE, what=str(error)))
                continue
            here = np.intersect1d(segment.ids, live)
            for ids, rows in stored.read(connection, here):
                if not np.array_equal(segment.rows[np.searchsorted(segment.ids, ids)], rows):
                    what = f"segment {entry.name} holds other vectors than the database"
                    problems.append(Problem(kind=ProblemKind.FILE, what=what))
                    break
        return problems, num_files

    def _older_checked(self, manifest: Manifest) -> Iterator[Problem]:
        for path in self._files.folder.manifest_files():
            try:
                Manifest.from_bytes(path.read_bytes())
            except (OSError, ValueError) as error:
                if path.stem != f"{manifest.generation:06d}":
                    yield Problem(kind=ProblemKind.FILE, what=f"the older {path}: {error}")

    def _residue(self, connection: Connection, absent: Sequence[str]) -> Iterator[Problem]:
        for document_id in absent:
            for table in (documents, old_documents, chunks, old_chunks):
                column = table.c.id if table is documents else table.c.document_id
                if connection.scalar(
                    select(func.count()).select_from(table).where(column == document_id)
                ):
                    yield Problem(
                        kind=ProblemKind.RESIDUE,
                        what=f"document {document_id} is still in {table.name}",
                    )
        if absent:
            yield from self._forgotten_rows(connection)

    def _forgotten_rows(self, connection: Connection) -> Iterator[Problem]:
        """Find rows in files that no table knows any more."""
        known = np.fromiter(
            connection.scalars(
                select(chunks.c.id)
                .where(chunks.c.collection_id == self._key.id)
                .union(select(old_chunks.c.id).where(old_chunks.c.collection_id == self._key.id))
            ),
            np.int64,
        )
        folder = self._files.folder
        for path in folder.manifest_files():
            try:
                manifest = Manifest.from_bytes(path.read_bytes())
                for entry in manifest.segments:
                    segment = open_segment(folder, manifest, entry, threads=1)
                    if len(np.setdiff1d(segment.ids, known)):
                        yield Problem(
                            kind=ProblemKind.RESIDUE,
                            what=f"segment {entry.name} of generation {manifest.generation} holds"
                            " rows that were purged",
                        )
            except (OSError, ValueError, IndexFileError):
                continue  # reported as damaged
        if folder.quarantined.is_dir() and any(folder.quarantined.iterdir()):
            yield Problem(
                kind=ProblemKind.RESIDUE,
                what=f"{folder.quarantined} may hold rows that were purged",
            )


def _broken(what: str) -> Verification:
    problem = Problem(kind=ProblemKind.DATABASE, what=what)
    return Verification(seq=0, num_documents=0, num_chunks=0, num_files=0, problems=(problem,))

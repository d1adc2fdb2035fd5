"""Embeds a collection anew beside the vectors that serve, and then changes over in one write.

The new set fills in small transactions, so that it can be stopped, killed and run again: what is
there is not embedded twice. Meanwhile the old set serves and takes new documents, which the next
round finds. The old set stays until it is dropped, and `roll_back` is one write as well.

Letters: `n` chunks, `d` the width of their vectors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from jaxtyping import Float
from sqlalchemy import Connection, Engine, Select, delete, func, insert, select, update

from index.collection_files import CollectionFiles
from index.database import reading, writing
from index.derived_lexical import UnwrittenTable
from index.document_rows import DocumentRows, serving
from index.errors import EmbedderMismatchError
from index.live_index import CollectionKey
from index.new_rows import check_components
from index.row_digests import vector_digest
from index.stored_texts import ChunkText, stored_texts
from index.tables import (
    chunks,
    collections,
    token_vectors,
    tunings,
    vector_sets,
    vectors,
)

_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEmbedder:
    """The embedder that the collection shall have; `encode` gives a row for each chunk."""

    name: str
    fingerprint: str
    dim: int
    encode: Callable[[Sequence[ChunkText]], Float[np.ndarray, "n d"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reembedded:
    """How far it came; `is_serving` says that the new vectors answer now."""

    num_done: int
    num_chunks: int
    is_serving: bool


class Reembedding:
    """Changes the embedder of one collection; satisfies no port of a remote engine."""

    def __init__(self, database: Engine, key: CollectionKey, files: CollectionFiles) -> None:
        self._database = database
        self._key = key
        self._files = files
        self._rows = DocumentRows(key.id, key.name, UnwrittenTable())

    def run(
        self,
        embedder: NewEmbedder,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Reembedded:
        """Embed what has no vector of this embedder yet, and change over once all chunks have one.

        Run it again after an interruption. Two runs at once do the same work twice and harm
        nothing.

        Raises:
            ValueError: the embedder gives vectors of another shape, or not finite ones.
            UnknownCollectionError: the collection was deleted.
        """
        set_id = self._open_set(embedder)
        while True:
            with reading(self._database) as connection:
                now = serving(connection, self._key.id, self._key.name)
                total, done = self._counts(connection, set_id)
                missing = self._missing(connection, set_id)
                texts = [text for _, text in stored_texts(connection, missing)]
            if on_progress is not None:
                on_progress(done, total)
            if now.set_id == set_id and not missing:
                return Reembedded(num_done=done, num_chunks=total, is_serving=True)
            if should_stop():
                return Reembedded(num_done=done, num_chunks=total, is_serving=False)
            if missing:
                self._fill(set_id, embedder, missing, texts)
            else:
                self._change_over(set_id)

    def roll_back(self) -> str:
        """Let the set that served before serve again; return its embedder's name.

        Raises:
            EmbedderMismatchError: there is none, or it lacks chunks that were stored since.
            UnknownCollectionError: the collection was deleted.
        """
        with reading(self._database) as connection:
            now = serving(connection, self._key.id, self._key.name)
            row = connection.execute(
                select(vector_sets)
                .where(vector_sets.c.collection_id == self._key.id, vector_sets.c.id != now.set_id)
                .order_by(vector_sets.c.id.desc())
                .limit(1)
            ).first()
            lacking = None if row is None else self._num_missing(connection, row.id)
        if row is None:
            raise EmbedderMismatchError(
                f"collection {self._key.name!r} has vectors of {now.embedder} alone: there is"
                " nothing to go back to"
            )
        if lacking or not self._change_over(row.id):
            raise EmbedderMismatchError(
                f"{lacking or 'some'} chunks of collection {self._key.name!r} have no vector of"
                f" {row.embedder}; embed them first: python -m api index reembed"
                f" {self._key.name} --model {row.embedder}"
            )
        return str(row.embedder)

    def drop_others(self) -> int:
        """Remove the vectors of all embedders but the one that serves; return how many.

        Raises:
            UnknownCollectionError: the collection was deleted.
        """
        with writing(self._database) as connection:
            now = serving(connection, self._key.id, self._key.name)
            others = select(vector_sets.c.id).where(
                vector_sets.c.collection_id == self._key.id, vector_sets.c.id != now.set_id
            )
            num = connection.execute(delete(vectors).where(vectors.c.set_id.in_(others))).rowcount
            connection.execute(delete(token_vectors).where(token_vectors.c.set_id.in_(others)))
            connection.execute(
                delete(vector_sets).where(
                    vector_sets.c.collection_id == self._key.id, vector_sets.c.id != now.set_id
                )
            )
        return num

    def _open_set(self, embedder: NewEmbedder) -> int:
        ours = (
            vector_sets.c.collection_id == self._key.id,
            vector_sets.c.fingerprint == embedder.fingerprint,
        )
        with writing(self._database) as connection:
            serving(connection, self._key.id, self._key.name)
            row = connection.execute(select(vector_sets).where(*ours)).first()
            if row is not None and row.dim != embedder.dim:
                raise ValueError(
                    f"vectors of the embedder {embedder.fingerprint} have {row.dim} components in"
                    f" collection {self._key.name!r}, not {embedder.dim}"
                )
            if row is not None:
                return int(row.id)
            made = connection.scalar(
                insert(vector_sets)
                .values(
                    collection_id=self._key.id,
                    embedder=embedder.name,
                    fingerprint=embedder.fingerprint,
                    dim=embedder.dim,
                    created_at=datetime.now(UTC),
                )
                .returning(vector_sets.c.id)
            )
            return int(made or 0)

    def _fill(
        self, set_id: int, embedder: NewEmbedder, missing: Sequence[int], texts: Sequence[ChunkText]
    ) -> None:
        rows = np.ascontiguousarray(embedder.encode(texts))
        if rows.shape != (len(texts), embedder.dim):
            raise ValueError(
                f"{embedder.name} gave vectors of the shape {rows.shape} for {len(texts)} chunks,"
                f" not of {embedder.dim} components each"
            )
        check_components(rows, f"a vector of {embedder.name}")
        blobs = dict(zip(missing, (row.tobytes() for row in rows.astype("<f4")), strict=True))
        # Nobody was told of these rows: after a power cut they are made again.
        with writing(self._database, is_durable=False) as connection:
            there = connection.execute(
                select(chunks)
                .where(chunks.c.id.in_(missing))
                .where(
                    ~chunks.c.id.in_(select(vectors.c.chunk_id).where(vectors.c.set_id == set_id))
                )
            ).all()
            if there:
                connection.execute(
                    insert(vectors),
                    [
                        {
                            "chunk_id": chunk.id,
                            "set_id": set_id,
                            "digest": vector_digest(chunk, set_id, blobs[chunk.id]),
                            "vector": blobs[chunk.id],
                        }
                        for chunk in there
                    ],
                )

    def _change_over(self, set_id: int) -> bool:
        with writing(self._database) as connection:
            if self._num_missing(connection, set_id):
                return False  # stored meanwhile
            row = connection.execute(select(vector_sets).where(vector_sets.c.id == set_id)).one()
            commit = self._rows.begin(connection)
            connection.execute(
                update(collections)
                .where(collections.c.id == self._key.id)
                .values(embedder=row.embedder, fingerprint=row.fingerprint, dim=row.dim)
            )
            # They were measured on other vectors.
            connection.execute(delete(tunings).where(tunings.c.collection_id == self._key.id))
        self._files.acknowledged.note(commit)
        self._files.on_due()
        return True

    def _counts(self, connection: Connection, set_id: int) -> tuple[int, int]:
        total = connection.scalar(
            select(func.count()).where(chunks.c.collection_id == self._key.id)
        )
        return int(total or 0), int(total or 0) - self._num_missing(connection, set_id)

    def _num_missing(self, connection: Connection, set_id: int) -> int:
        lacking = self._lacking(set_id).subquery()
        return int(connection.scalar(select(func.count()).select_from(lacking)) or 0)

    def _missing(self, connection: Connection, set_id: int) -> list[int]:
        query = self._lacking(set_id).order_by(chunks.c.id).limit(_BATCH)
        return list(connection.scalars(query))

    def _lacking(self, set_id: int) -> Select[int]:
        has = select(vectors.c.chunk_id).where(
            vectors.c.chunk_id == chunks.c.id, vectors.c.set_id == set_id
        )
        return select(chunks.c.id).where(chunks.c.collection_id == self._key.id, ~has.exists())

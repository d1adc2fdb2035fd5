"""Tunings of stored collections: the vectors they are measured on, and their records in SQL.

Letters: `n` vectors, `d` their width.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from jaxtyping import Float32
from sqlalchemy import Connection, Engine, func, insert, select

from index.database import reading, writing
from index.distance import unit_rows
from index.document_rows import serving
from index.errors import DamagedDocumentError, UnknownCollectionError
from index.protocol import Metric
from index.tables import chunks, collections, tunings, vectors
from index.tuning import Tuning

_BATCH = 8192


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CollectionRows:
    """The vectors of a collection as an index compares them, in the order of storing."""

    rows: Float32[np.ndarray, "n d"]
    metric: Metric


class TuningStore:
    """The records of one database."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def rows(self, name: str) -> CollectionRows:
        """Return the vectors of a collection, of length one where it compares by cosine.

        Raises:
            UnknownCollectionError: there is no such collection.
            DamagedDocumentError: a stored vector has another width.
        """
        with reading(self._database) as connection:
            row = _collection(connection, name)
            of_it = chunks.c.collection_id == row.id
            num = connection.scalar(select(func.count()).select_from(chunks).where(of_it)) or 0
            out = np.empty((num, row.dim), np.float32)
            blobs = connection.scalars(
                select(vectors.c.vector)
                .join(chunks, vectors.c.chunk_id == chunks.c.id)
                .where(of_it, vectors.c.set_id == serving(connection, row.id, name).set_id)
                .order_by(chunks.c.seq_added, chunks.c.id)
            )
            at = 0
            for batch in blobs.partitions(_BATCH):
                if any(len(blob) != 4 * row.dim for blob in batch):
                    raise DamagedDocumentError(
                        f"collection {name!r} is damaged: a vector has not {row.dim} components;"
                        " delete it and ingest again"
                    )
                part = np.frombuffer(b"".join(batch), "<f4").reshape(-1, row.dim)
                out[at : at + len(part)] = part
                at += len(part)
        metric = Metric(row.metric)
        rows = out[:at]
        return CollectionRows(
            rows=unit_rows(rows) if metric is Metric.COSINE else rows, metric=metric
        )

    def save(self, name: str, tuning: Tuning) -> None:
        """Keep a record as the collection's latest; raises `UnknownCollectionError`."""
        with writing(self._database) as connection:
            row = _collection(connection, name)
            connection.execute(
                insert(tunings).values(
                    collection_id=row.id, record=tuning.to_json(), created_at=datetime.now(UTC)
                )
            )

    def latest(self, name: str) -> Tuning | None:
        """Return the latest record of a collection, None where it was never tuned.

        Raises:
            UnknownCollectionError: there is no such collection.
            ValueError: the record cannot be read by this version.
        """
        with reading(self._database) as connection:
            row = _collection(connection, name)
            record = connection.scalar(
                select(tunings.c.record)
                .where(tunings.c.collection_id == row.id)
                .order_by(tunings.c.id.desc())
                .limit(1)
            )
        return None if record is None else Tuning.from_json(record)


def _collection(connection: Connection, name: str) -> Any:
    row = connection.execute(select(collections).where(collections.c.name == name)).first()
    if row is None:
        names = sorted(connection.scalars(select(collections.c.name)))
        raise UnknownCollectionError(
            f"no collection is called {name!r}; there are {', '.join(map(repr, names)) or 'none'}"
        )
    return row

"""The vectors of a collection as SQL holds them, each checked against its hash when it is read.

Letters: `n` vectors, `d` their width.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int64
from sqlalchemy import Connection, select

from index.distance import unit_rows
from index.protocol import Metric
from index.row_digests import vector_digest
from index.tables import chunks, vectors

_BATCH = 500  # ids in one statement: SQLite bounds the number of parameters


@dataclass(slots=True, kw_only=True)
class StoredVectors:
    """Reads the vectors of one set; `damaged` names, by chunk, what was not handed out."""

    collection_id: int
    set_id: int
    dim: int
    metric: Metric
    damaged: dict[int, str] = field(default_factory=dict)

    def live_ids(self, connection: Connection) -> Int64[np.ndarray, " n"]:
        """Return the ids of all chunks, ascending."""
        found = connection.scalars(
            select(chunks.c.id)
            .where(chunks.c.collection_id == self.collection_id)
            .order_by(chunks.c.id)
        )
        return np.fromiter(found, np.int64)

    def read(
        self, connection: Connection, ids: Int64[np.ndarray, " n"]
    ) -> Iterator[tuple[Int64[np.ndarray, " m"], Float32[np.ndarray, "m d"]]]:
        """Give the vectors of ascending ids in parts, of length one where cosine compares them.

        A vector that is missing or not what was written is left out and noted in `damaged`.
        """
        for i in range(0, len(ids), _BATCH):
            wanted = ids[i : i + _BATCH].tolist()
            found = connection.execute(
                select(chunks, vectors.c.vector, vectors.c.digest)
                .join(vectors, vectors.c.chunk_id == chunks.c.id)
                .where(chunks.c.id.in_(wanted), vectors.c.set_id == self.set_id)
                .order_by(chunks.c.id)
            ).all()
            good = [row for row in found if self._is_whole(row)]
            for chunk_id in set(wanted) - {row.id for row in good}:
                self.damaged[chunk_id] = (
                    f"the vector of chunk {chunk_id} is missing or not what was stored"
                )
            if good:
                rows = np.frombuffer(b"".join(row.vector for row in good), "<f4")
                rows = rows.reshape(len(good), self.dim)
                yield (
                    np.array([row.id for row in good], np.int64),
                    unit_rows(rows) if self.metric is Metric.COSINE else rows,
                )

    def _is_whole(self, row: object) -> bool:
        vector: bytes = row.vector  # type: ignore[attr-defined]  # a row of SQLAlchemy
        digest: bytes = row.digest  # type: ignore[attr-defined]
        return len(vector) == 4 * self.dim and vector_digest(row, self.set_id, vector) == digest

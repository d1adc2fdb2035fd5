"""What every write to a collection did, what it replaced, vectors by embedder, hashes of rows.

Rows that are there already get their hashes now; their history begins with this migration.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from index import tables
from index.row_digests import document_digest, vector_digest

revision: str = "0005"
down_revision: str | Sequence[str] | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_BATCH = 1000


def upgrade() -> None:
    """Create the tables and fill them from what is stored."""
    _create_sets()
    _create_logs()
    _create_old()
    _fill()


def downgrade() -> None:
    """Drop them; vectors of all but the serving set are lost, and so is what was deleted."""
    for name in ("snapshots", "old_chunks", "old_documents", "oplog", "commits"):
        op.drop_table(name)
    op.execute(
        "CREATE TABLE moved AS SELECT v.chunk_id, v.vector FROM vectors v"
        " JOIN chunks ON chunks.id = v.chunk_id"
        " JOIN collections c ON c.id = chunks.collection_id"
        " JOIN vector_sets s ON s.collection_id = c.id AND s.fingerprint = c.fingerprint"
        " WHERE v.set_id = s.id"
    )
    op.drop_table("vectors")
    op.create_table(
        "vectors",
        sa.Column(
            "chunk_id",
            sa.Integer,
            sa.ForeignKey("chunks.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )
    op.execute("INSERT INTO vectors (chunk_id, vector) SELECT chunk_id, vector FROM moved")
    for name in ("moved", "document_versions", "vector_sets"):
        op.drop_table(name)


def _collection() -> sa.Column[int]:
    return sa.Column(
        "collection_id",
        sa.Integer,
        sa.ForeignKey("collections.id", ondelete="CASCADE"),
        nullable=False,
    )


def _collection_key() -> sa.Column[int]:
    return sa.Column(
        "collection_id",
        sa.Integer,
        sa.ForeignKey("collections.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )


def _create_sets() -> None:
    op.execute("CREATE TABLE moved AS SELECT chunk_id, vector FROM vectors")
    op.execute("CREATE INDEX ix_moved ON moved (chunk_id)")
    op.drop_table("vectors")
    op.create_table(
        "vector_sets",
        sa.Column("id", sa.Integer, primary_key=True),
        _collection(),
        sa.Column("embedder", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("dim", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.UniqueConstraint("collection_id", "fingerprint"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "vectors",
        sa.Column(
            "chunk_id",
            sa.Integer,
            sa.ForeignKey("chunks.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("set_id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "document_versions",
        sa.Column(
            "document_id",
            sa.Text,
            sa.ForeignKey("documents.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("seq_added", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )


def _create_logs() -> None:
    op.create_table(
        "commits",
        _collection_key(),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "oplog",
        _collection_key(),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("chunk_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("op", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "snapshots",
        _collection_key(),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )


def _create_old() -> None:
    op.create_table(
        "old_documents",
        sa.Column("id", sa.Integer, primary_key=True),
        _collection(),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("source_sha256", sa.Text, nullable=False),
        sa.Column("text_sha256", sa.Text, nullable=False),
        sa.Column("num_bytes", sa.Integer, nullable=False),
        sa.Column("num_chunks", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("seq_added", sa.Integer, nullable=False),
        sa.Column("seq_deleted", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "old_chunks",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        _collection(),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("heading_path", sa.JSON, nullable=False),
        sa.Column("seq_added", sa.Integer, nullable=False),
        sa.Column("seq_deleted", sa.Integer, nullable=False),
        sa.Column("set_id", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )
    for table in ("documents", "chunks"):
        op.create_index(
            f"ix_old_{table}_collection", f"old_{table}", ["collection_id", "seq_deleted"]
        )
        op.create_index(f"ix_old_{table}_document", f"old_{table}", ["document_id"])


def _fill() -> None:
    connection = op.get_bind()
    now = datetime.now(UTC)
    for row in connection.execute(sa.select(tables.collections)).all():
        set_id = connection.scalar(
            sa.insert(tables.vector_sets)
            .values(
                collection_id=row.id,
                embedder=row.embedder,
                fingerprint=row.fingerprint,
                dim=row.dim,
                created_at=now,
            )
            .returning(tables.vector_sets.c.id)
        )
        if row.seq:
            connection.execute(
                sa.insert(tables.commits).values(
                    collection_id=row.id, seq=row.seq, token=uuid.uuid4().hex, at=now
                )
            )
        _fill_vectors(connection, row.id, int(set_id or 0))
        _fill_documents(connection, row.id)
        connection.execute(
            sa.text(
                "INSERT INTO oplog (collection_id, seq, chunk_id, op)"
                " SELECT collection_id, seq_added, id, 'add' FROM chunks WHERE collection_id = :id"
            ),
            {"id": row.id},
        )
    op.drop_table("moved")


def _fill_vectors(connection: sa.Connection, collection_id: int, set_id: int) -> None:
    moved = sa.table("moved", sa.column("chunk_id"), sa.column("vector", sa.LargeBinary))
    last = 0
    while rows := connection.execute(
        sa.select(tables.chunks, moved.c.vector)
        .join(moved, moved.c.chunk_id == tables.chunks.c.id)
        .where(tables.chunks.c.collection_id == collection_id, tables.chunks.c.id > last)
        .order_by(tables.chunks.c.id)
        .limit(_BATCH)
    ).all():
        connection.execute(
            sa.insert(tables.vectors),
            [
                {
                    "chunk_id": row.id,
                    "set_id": set_id,
                    "digest": vector_digest(row, set_id, row.vector),
                    "vector": row.vector,
                }
                for row in rows
            ],
        )
        last = rows[-1].id


def _fill_documents(connection: sa.Connection, collection_id: int) -> None:
    columns = [column for column in tables.documents.c if column.name != "text"]
    seq_added = (
        sa.select(sa.func.max(tables.chunks.c.seq_added))
        .where(tables.chunks.c.document_id == tables.documents.c.id)
        .scalar_subquery()
    )
    rows = connection.execute(
        sa.select(*columns, sa.func.coalesce(seq_added, 0).label("seq_added")).where(
            tables.documents.c.collection_id == collection_id
        )
    ).all()
    if rows:
        connection.execute(
            sa.insert(tables.document_versions),
            [
                {"document_id": row.id, "seq_added": row.seq_added, "digest": document_digest(row)}
                for row in rows
            ],
        )

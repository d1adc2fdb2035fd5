"""The tables of stored collections.

The text of a document is stored once, as UTF-8 bytes beside their SHA-256; a chunk is a byte span
of it. Every write to a collection raises its `seq`; chunks carry the `seq` that added them, and the
collection the last `seq` that took chunks away, so that a reader catches up with what is new and
looks for what is gone only when something is. Chunk ids are never used twice.

`analyser` is the fingerprint of the analyser whose terms the collection's keyword index holds. That
index is two virtual tables a collection, made and dropped with it; see `index.lexical`.
"""

from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from index.database import UTCDateTime

metadata = MetaData()

collections = Table(
    "collections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("embedder", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("dim", Integer, nullable=False),
    Column("metric", Text, nullable=False),
    Column("analyser", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("seq_deleted", Integer, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    sqlite_autoincrement=True,
)

documents = Table(
    "documents",
    metadata,
    Column("id", Text, primary_key=True),
    Column(
        "collection_id", Integer, ForeignKey("collections.id", ondelete="CASCADE"), nullable=False
    ),
    Column("uri", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("source_sha256", Text, nullable=False),
    Column("text_sha256", Text, nullable=False),
    Column("num_bytes", Integer, nullable=False),
    Column("num_chunks", Integer, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("metadata", JSON, nullable=False),
    # The last column: SQLite then reads the others without walking through a long text.
    Column("text", LargeBinary, nullable=False),
    UniqueConstraint("collection_id", "uri"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "collection_id", Integer, ForeignKey("collections.id", ondelete="CASCADE"), nullable=False
    ),
    Column("document_id", Text, ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("heading_path", JSON, nullable=False),
    Column("seq_added", Integer, nullable=False),
    Index("ix_chunks_collection_seq", "collection_id", "seq_added"),
    Index("ix_chunks_document", "document_id"),
    sqlite_autoincrement=True,
)

vectors = Table(
    "vectors",
    metadata,
    Column("chunk_id", Integer, ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # little-endian float32
)

# What the tuner measured and chose for a collection, newest last; see `index.tuning`.
tunings = Table(
    "tunings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "collection_id", Integer, ForeignKey("collections.id", ondelete="CASCADE"), nullable=False
    ),
    Column("record", Text, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Index("ix_tunings_collection", "collection_id"),
)

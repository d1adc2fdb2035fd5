"""The tables of stored collections.

The text of a document is stored once, as UTF-8 bytes beside their SHA-256; a chunk is a byte span
of it. Every write to a collection raises its `seq`; chunks carry the `seq` that added them, and the
collection the last `seq` that took chunks away, so that a reader catches up with what is new and
looks for what is gone only when something is. `commits` and `oplog` say what every write did. Chunk
ids are never used twice. What is deleted moves to `old_documents` and `old_chunks` until it is
purged, so that the tables of what lives hold nothing else.

`analyser` is the fingerprint of the analyser whose terms the collection's keyword index holds. That
index is two virtual tables a collection, made and dropped with it; see `index.lexical`.
"""

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from index.database import BytewiseText, UTCDateTime

metadata = MetaData()


def _of_collection() -> Column[int]:
    """Return the column of a row that belongs to a collection, and goes with it."""
    return Column(
        "collection_id", Integer, ForeignKey("collections.id", ondelete="CASCADE"), nullable=False
    )


def _collection_key() -> Column[int]:
    """Return the same as the first part of a key."""
    return Column(
        "collection_id",
        Integer,
        ForeignKey("collections.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )


collections = Table(
    "collections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", BytewiseText, nullable=False, unique=True),
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
    _of_collection(),
    Column("uri", BytewiseText, nullable=False),
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
    _of_collection(),
    Column("document_id", Text, ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("heading_path", JSON, nullable=False),
    Column("seq_added", Integer, nullable=False),
    Index("ix_chunks_collection_seq", "collection_id", "seq_added"),
    Index("ix_chunks_document", "document_id"),
    sqlite_autoincrement=True,
)

# One set of vectors for each embedder that a collection was embedded with. The one that has the
# collection's fingerprint serves; others are being filled, or wait to be gone back to.
vector_sets = Table(
    "vector_sets",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_collection(),
    Column("embedder", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("dim", Integer, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    UniqueConstraint("collection_id", "fingerprint"),
    sqlite_autoincrement=True,
)

vectors = Table(
    "vectors",
    metadata,
    Column("chunk_id", Integer, ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True),
    Column("set_id", Integer, primary_key=True),
    Column("digest", LargeBinary, nullable=False),  # of the chunk and the vector: `row_digests`
    Column("vector", LargeBinary, nullable=False),  # little-endian float32
)

# Of collections that keep token vectors: how many a chunk has at most.
token_options = Table(
    "token_options",
    metadata,
    _collection_key(),
    Column("most", Integer, nullable=False),
)

# The token vectors of a chunk, of the vector set that served when it was written; see
# `index.token_rows`.
token_vectors = Table(
    "token_vectors",
    metadata,
    Column("chunk_id", Integer, ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True),
    Column("set_id", Integer, primary_key=True),
    Column("scale", Float, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("codes", LargeBinary, nullable=False),  # [m, d] int8
)

# What proves a document's row, and when this version of it was stored. Not columns of `documents`:
# there they would lie behind the text.
document_versions = Table(
    "document_versions",
    metadata,
    Column("document_id", Text, ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("seq_added", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

# Every write to a collection, in order. `token` is random: two databases, or one and what is left
# of it after a damage, never agree on it.
commits = Table(
    "commits",
    metadata,
    _collection_key(),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("token", Text, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    sqlite_with_rowid=False,
)

# What each write did: `op` is "add" or "delete" of a chunk. Rows are never changed; the oldest
# go when a history is trimmed.
oplog = Table(
    "oplog",
    metadata,
    _collection_key(),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("chunk_id", Integer, primary_key=True, autoincrement=False),
    Column("op", Text, nullable=False),
    sqlite_with_rowid=False,
)

# Documents and chunks that were deleted or replaced, for searches as of an earlier `seq`. A purge
# takes them away. A version was there at s where seq_added <= s < seq_deleted.
old_documents = Table(
    "old_documents",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_collection(),
    Column("document_id", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("source_sha256", Text, nullable=False),
    Column("text_sha256", Text, nullable=False),
    Column("num_bytes", Integer, nullable=False),
    Column("num_chunks", Integer, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("seq_added", Integer, nullable=False),
    Column("seq_deleted", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("text", LargeBinary, nullable=False),
    Index("ix_old_documents_collection", "collection_id", "seq_deleted"),
    Index("ix_old_documents_document", "document_id"),
)

old_chunks = Table(
    "old_chunks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # as it was in `chunks`
    _of_collection(),
    Column("document_id", Text, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("heading_path", JSON, nullable=False),
    Column("seq_added", Integer, nullable=False),
    Column("seq_deleted", Integer, nullable=False),
    Column("set_id", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Index("ix_old_chunks_collection", "collection_id", "seq_deleted"),
    Index("ix_old_chunks_document", "document_id"),
)

# States of a collection that somebody gave a name.
snapshots = Table(
    "snapshots",
    metadata,
    _collection_key(),
    Column("name", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)

# Fields of the metadata that a collection declares, of kind text, number or boolean, and their
# values by document: what filters look up instead of reading every document's JSON.
fields = Table(
    "fields",
    metadata,
    _collection_key(),
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
)

field_values = Table(
    "field_values",
    metadata,
    Column("document_id", Text, ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("collection_id", Integer, nullable=False),
    Column("text", Text),
    Column("number", Float),  # of booleans 0 or 1
    Index("ix_field_values_text", "collection_id", "name", "text", "document_id"),
    Index("ix_field_values_number", "collection_id", "name", "number", "document_id"),
)

# What the tuner measured and chose for a collection, newest last; see `index.tuning`.
tunings = Table(
    "tunings",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_collection(),
    Column("record", Text, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Index("ix_tunings_collection", "collection_id"),
)

# What became of each source at its last ingest; see `index.source_notes`.
source_notes = Table(
    "source_notes",
    metadata,
    _collection_key(),
    Column("uri", BytewiseText, primary_key=True),
    Column("root", Text, nullable=False),
    Column("source_sha256", Text, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("num_bytes", Integer, nullable=False),
    Column("num_chunks", Integer, nullable=False),
    Column("at", UTCDateTime, nullable=False),
)

"""The tables of evaluation: runs of sets of questions, and what users said of answers.

They name collections and conversations and hold no key of theirs: a run outlives its collection,
and what was said of a conversation is forgotten by whoever deletes it.
"""

from sqlalchemy import JSON, Boolean, Column, Index, Integer, MetaData, Table, Text

from index.database import UTCDateTime

metadata = MetaData()

evaluation_runs = Table(
    "evaluation_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("collection", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("k", Integer, nullable=False),
    Column("is_accepted", Boolean, nullable=False),
    Column("record", JSON, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Index("ix_evaluation_runs_collection", "collection", "id"),
    sqlite_autoincrement=True,
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("collection", Text, nullable=False),
    Column("rating", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("item", JSON, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Index("ix_feedback_answer", "conversation_id", "seq", unique=True),
    Index("ix_feedback_collection", "collection", "status", "id"),
    sqlite_autoincrement=True,
)

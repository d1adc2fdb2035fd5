"""Bots: their conversations with events, timers and handoffs; the calls of tools, written down."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "task_conversations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False, index=True),
        sa.Column("bot", sa.Text, nullable=False, index=True),
        sa.Column("bot_hash", sa.Text, nullable=False),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("num_events", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "task_events",
        _owned(),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "task_timers",
        _owned(),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("due_at", sa.DateTime, nullable=False),
        sa.Index("ix_task_timers_due", "due_at"),
    )
    op.create_table(
        "task_handoffs",
        _owned(),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.Index("ix_task_handoffs_status", "status", "updated_at"),
    )
    _create_tool_calls()


def _create_tool_calls() -> None:
    op.create_table(
        "tool_calls",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("conversation", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("effect", sa.Text, nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("idempotency_key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text),
        sa.Column("is_in_doubt", sa.Boolean, nullable=False),
        sa.Column("content", sa.Text),
        sa.Column("seconds", sa.Float),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("finished_at", sa.DateTime),
        sa.Index("ix_tool_calls_conversation", "conversation", "id"),
        sa.Index("ix_tool_calls_key", "idempotency_key", "id"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drop them, the dependent ones first."""
    for name in ("tool_calls", "task_handoffs", "task_timers", "task_events", "task_conversations"):
        op.drop_table(name)


def _owned() -> sa.Column[str]:
    key = sa.ForeignKey("task_conversations.id", ondelete="CASCADE")
    return sa.Column("conversation_id", sa.Text, key, primary_key=True)

"""What bots remember of their users beyond a conversation."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | Sequence[str] | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "task_memories",
        sa.Column(
            "conversation_id",
            sa.Text,
            sa.ForeignKey("task_conversations.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("slot", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("bot", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_task_memories_person", "task_memories", ["person", "bot", "owner"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("task_memories")

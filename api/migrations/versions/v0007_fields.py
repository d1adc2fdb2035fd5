"""Fields that collections declare, and their values, for filters."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | Sequence[str] | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "fields",
        sa.Column(
            "collection_id",
            sa.Integer,
            sa.ForeignKey("collections.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
    )
    op.create_table(
        "field_values",
        sa.Column(
            "document_id",
            sa.Text,
            sa.ForeignKey("documents.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("collection_id", sa.Integer, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("number", sa.Float),
    )
    for kind in ("text", "number"):
        op.create_index(
            f"ix_field_values_{kind}",
            "field_values",
            ["collection_id", "name", kind, "document_id"],
        )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("field_values")
    op.drop_table("fields")

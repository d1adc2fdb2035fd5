"""Token vectors of chunks, for collections that ask for them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | Sequence[str] | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "token_options",
        sa.Column(
            "collection_id",
            sa.Integer,
            sa.ForeignKey("collections.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("most", sa.Integer, nullable=False),
    )
    op.create_table(
        "token_vectors",
        sa.Column(
            "chunk_id",
            sa.Integer,
            sa.ForeignKey("chunks.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("set_id", sa.Integer, primary_key=True),
        sa.Column("scale", sa.Float, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("codes", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop them: the vectors can be made again by ingesting anew."""
    op.drop_table("token_vectors")
    op.drop_table("token_options")

"""The metadata of series as documents that are served as they lie."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "series_documents",
        sa.Column("series", _KEY, nullable=False),
        sa.Column("piece", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("built_at", sa.Float(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series"], ["series.id"], name=op.f("fk_series_documents_series"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("series", "piece", name=op.f("pk_series_documents")),
    )
    op.create_index("ix_series_documents_built_at", "series_documents", ["built_at"])

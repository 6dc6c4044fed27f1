"""Tags that the operator has made searchable, and what the change feed knows of instances that are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "query_tags",
        sa.Column("key", _KEY, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("private_creator", sa.Text(), server_default="", nullable=False),
        sa.Column("vr", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_query_tags")),
        sa.UniqueConstraint("path", name=op.f("uq_query_tags_path")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "query_tag_values",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("resource", _KEY, nullable=False),
        sa.Column("tag", _KEY, nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("norm", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("number", sa.Float(), nullable=True),
        sa.Column("instance", _KEY, nullable=True),
        sa.PrimaryKeyConstraint("level", "resource", "tag", "position", name=op.f("pk_query_tag_values")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_query_tag_values_norm", "query_tag_values", ["tag", "norm"], unique=False)
    has_number = sa.text("number IS NOT NULL")
    op.create_index(
        "ix_query_tag_values_number",
        "query_tag_values",
        ["tag", "number"],
        unique=False,
        sqlite_where=has_number,
        postgresql_where=has_number,
    )
    has_instance = sa.text("instance IS NOT NULL")
    op.create_index(
        "ix_query_tag_values_instance",
        "query_tag_values",
        ["instance"],
        unique=False,
        sqlite_where=has_instance,
        postgresql_where=has_instance,
    )
    op.create_table(
        "query_tag_losses",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("resource", _KEY, nullable=False),
        sa.Column("tag", _KEY, nullable=False),
        sa.Column("after", _KEY, nullable=False),
        sa.Column("writers", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("level", "resource", "tag", name=op.f("pk_query_tag_losses")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "query_tag_errors",
        sa.Column("tag", _KEY, nullable=False),
        sa.Column("instance", _KEY, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tag", "instance", name=op.f("pk_query_tag_errors")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_query_tag_errors_instance", "query_tag_errors", ["instance"], unique=False)
    op.add_column("changes", sa.Column("uids", sa.Text(), nullable=True))
    op.add_column("changes", sa.Column("replaces", sa.Boolean(), nullable=True))
    op.add_column("changes", sa.Column("gone", sa.Text(), nullable=True))
    changes = sa.table("changes", *(sa.column(name) for name in ("resource", "date", "gone")))
    op.execute(sa.update(changes).where(changes.c.resource.is_(None)).values(gone=changes.c.date))
    gone = sa.text("gone IS NOT NULL")
    op.create_index(
        "ix_changes_gone", "changes", ["gone", "seq"], unique=False, sqlite_where=gone, postgresql_where=gone
    )

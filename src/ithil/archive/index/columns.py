"""What all tables are made of: the schema they belong to, and kinds of columns."""

from __future__ import annotations

import sqlalchemy as sa

naming = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
schema = sa.MetaData(naming_convention=naming)

# SQLite numbers rows only in a column declared INTEGER; PostgreSQL wants 64 bits.
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def text(name: str) -> sa.Column[str]:
    """A text that is never NULL, empty if nothing is known."""
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def count(name: str) -> sa.Column[int]:
    """A number that begins at 0."""
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")

"""Bringing the tables of a database to the shape that this version of the program works with.

At every start one row tells whether there is anything to do; only then Alembic is loaded, under a lock that
keeps other processes out. The steps are in `migrations/versions`. A step must leave the tables usable for the
version before it too (columns are added first and dropped one release later), so that a rolling upgrade of
many processes never stops the archive.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ithil.archive.errors import IndexUnavailable
from ithil.archive.index.database import Database
from ithil.archive.index.statement import Statement

HEAD = "0009"
"""The newest step in `migrations/versions`."""

_VERSION = Statement(sa.select(sa.column("version_num")).select_from(sa.table("alembic_version")))


def prepare(database: Database) -> None:
    """Create or upgrade the tables. Raises IndexUnavailable, also for a database that is not ours to change."""
    version = current_version(database)
    if version == HEAD:
        return
    with database.exclusive():
        version = current_version(database)  # another process may have been faster
        if version == HEAD:
            return
        if version is None:
            _refuse_foreign_tables(database)
        elif version > HEAD:
            raise IndexUnavailable(
                f"The index has schema {version}, which is newer than this program knows ({HEAD}): "
                "start the newer version of Ithil that made it"
            )
        upgrade(database)


def current_version(database: Database) -> str | None:
    """The step that the database is at, or None if it has no tables of ours."""
    try:
        with database.read() as session:
            row = session.one(_VERSION)
    except Exception as error:
        if database.lacks_table(error):
            return None
        raise
    return row[0] if row else None


def engine(database: Database) -> sa.Engine:
    """A SQLAlchemy engine on the same database, for Alembic."""
    url = "sqlite://" if database.dialect == "sqlite" else "postgresql+psycopg://"
    return sa.create_engine(url, creator=database.connect, poolclass=sa.NullPool)


def upgrade(database: Database) -> None:
    """Run all steps that are missing, in one transaction each."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with engine(database).connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


_ORTHANCS = {"resources", "globalproperties", "maindicomtags"}


def _refuse_foreign_tables(database: Database) -> None:
    inspector: Any = sa.inspect(engine(database))
    names = {name.lower() for name in inspector.get_table_names()}
    if _ORTHANCS & names:
        raise IndexUnavailable(
            "This database holds an index of Orthanc, which Ithil does not change: "
            "give Ithil a database or schema of its own"
        )

"""Looking closer at the candidates of a search: their public ids, main tags, metadata and one file of each.

Every function takes a batch of internal ids and asks one statement for all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.find_conditions import Condition, conjunction, one_of
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Row, Session, Statement
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.dicom.level import Level

Columns = tuple[tuple[Level, str], ...]


def upwards(level: Level, top: Level) -> Any:
    """The tables from `level` up to `top`, joined."""
    source: Any = t.BY_LEVEL[level]
    for number in range(level, top, -1):
        above = t.BY_LEVEL[number - 1]
        source = sa.join(source, above, t.BY_LEVEL[number].c[t.PARENT_COLUMN[number]] == above.c.id)
    return source


def _column(column: tuple[Level, str]) -> Any:
    return t.BY_LEVEL[column[0]].c[column[1]]


def _keys(level: Level, dialect: str) -> sa.ColumnElement[bool]:
    return one_of(t.BY_LEVEL[level].c.id, "keys", sa.BigInteger, dialect)


@lru_cache(maxsize=64)
def _columns_of(level: Level, columns: Columns, dialect: str) -> Statement:
    top = min((each for each, _ in columns), default=level)
    return Statement(
        sa.select(t.BY_LEVEL[level].c.id, *(_column(column) for column in columns))
        .select_from(upwards(level, top))
        .where(_keys(level, dialect))
    )


def columns_of(session: Session, level: Level, columns: Columns, keys: Any) -> dict[int, Row]:
    """Columns of the rows with these internal ids, and of the rows above them, by internal id."""
    rows = session.all(_columns_of(level, columns, session.dialect), {"keys": keys})
    return {row[0]: row[1:] for row in rows}


@lru_cache(maxsize=64)
def _columns_below(
    level: Level, columns: Columns, conditions: tuple[Condition, ...], dialect: str
) -> Statement:
    low = max(each for each, _ in columns)
    below = t.BY_LEVEL[level + 1]
    return Statement(
        sa.select(*(_column(column) for column in columns))
        .select_from(upwards(low, Level(level + 1)))
        .where(
            below.c[t.PARENT_COLUMN[level + 1]] == sa.bindparam("key"),
            *conjunction(below, conditions, dialect),
        )
    )


def columns_below(
    session: Session,
    level: Level,
    columns: Columns,
    conditions: tuple[Condition, ...],
    values: dict[str, Any],
) -> list[Row]:
    """Columns of the rows below the one that the parameter `key` names, where the next level satisfies
    `conditions`."""
    return session.all(_columns_below(level, columns, conditions, session.dialect), values)


_m = t.metadata.c


@lru_cache(maxsize=2)
def _metadata(dialect: str) -> Statement:
    return Statement(
        sa.select(_m.resource, _m.type, _m.value).where(
            _m.level == sa.bindparam("level"), one_of(_m.resource, "keys", sa.BigInteger, dialect)
        )
    )


def metadata_of(session: Session, level: Level, keys: Any) -> list[Row]:
    """Internal id, number and value of the metadata that can change."""
    return session.all(_metadata(session.dialect), {"level": int(level), "keys": keys})


@lru_cache(maxsize=8)
def _public_ids(level: Level, dialect: str) -> Statement:
    c = t.BY_LEVEL[level].c
    return Statement(sa.select(c.id, c.public_id).where(_keys(level, dialect)))


def public_ids(session: Session, level: Level, keys: Any) -> dict[int, str]:
    """Public ids by internal id."""
    rows = session.all(_public_ids(level, session.dialect), {"keys": keys})
    return {row[0]: row[1] for row in rows}


@lru_cache(maxsize=16)
def _first_instances(level: Level, dialect: str, by_public_id: bool) -> Statement:
    table, instances = t.BY_LEVEL[level], t.instances
    key: Any = table.c.id
    for number in range(level + 1, len(Level)):
        below = t.BY_LEVEL[number].alias()
        first = sa.select(sa.func.min(below.c.id)).where(below.c[t.PARENT_COLUMN[number]] == key)
        key = first.correlate_except(below).scalar_subquery()
    name = table.c.public_id if by_public_id else table.c.id
    kind = sa.Text if by_public_id else sa.BigInteger
    one = instances.alias("one") if level == Level.INSTANCE else instances
    columns = [one.c[column.name] for column in DICOM_FILE_COLUMNS]
    return Statement(
        sa.select(name, one.c.public_id, one.c.pixel_data_offset, *columns)
        .join_from(table, one, one.c.id == key)
        .where(one_of(name, "keys", kind, dialect))
    )


def first_instances(
    session: Session, level: Level, keys: Any, *, by_public_id: bool = False
) -> dict[Any, tuple[str, int | None, Attachment]]:
    """One instance below each resource (or itself): its public id, where its pixel data begins, its file.

    The keys, and those of the answer, are internal ids, or public ones with `by_public_id`.
    """
    rows = session.all(_first_instances(level, session.dialect, by_public_id), {"keys": keys})
    return {row[0]: (row[1], row[2], Attachment(DICOM_FILE, *row[3:])) for row in rows}

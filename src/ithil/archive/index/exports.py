"""The rows of the log of exports: what was sent to which other server.

As in the log of changes, a number must never become visible after a greater one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Row, Session, Statement
from ithil.archive.model import Export, Exports
from ithil.dicom.level import Level

_ADVISORY_LOCK = 0x17813  # PostgreSQL's lock of transactions that write to this log
_CLEARED = "LastExportBeforeClear"

_e = t.exports.c
_COLUMNS = (
    *("level", "public_id", "remote_modality", "patient_id", "study_instance_uid"),
    *("series_instance_uid", "sop_instance_uid", "date"),
)
_LOCK = Statement(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
_INSERT = Statement(sa.insert(t.exports).values({name: sa.bindparam(name) for name in _COLUMNS}))
_PAGE = Statement(
    sa.select(_e.seq, *(_e[name] for name in _COLUMNS))
    .where(_e.seq > sa.bindparam("since"))
    .order_by(_e.seq)
    .limit(sa.bindparam("limit"))
)
_NEWEST = Statement(sa.select(_e.seq, *(_e[name] for name in _COLUMNS)).order_by(_e.seq.desc()).limit(1))
_CLEAR = Statement(sa.delete(t.exports))
_READ_CLEARED = Statement(sa.select(t.properties.c.value).where(t.properties.c.name == _CLEARED))
_END = 2**62

_IDENTIFIERS: tuple[Any, ...] = (
    t.patients.c.patient_id,
    t.studies.c.study_instance_uid,
    t.series.c.series_instance_uid,
    t.instances.c.sop_instance_uid,
)


def _keep(insert: Callable[[Any], Any]) -> Any:
    statement = insert(t.properties).values(name=_CLEARED, value=sa.bindparam("value"))
    return statement.on_conflict_do_update(index_elements=["name"], set_={"value": statement.excluded.value})


_KEEP_CLEARED = Statement(_keep(sqlite_insert), postgresql=_keep(postgresql_insert))


def _identifiers(level: Level) -> Statement:
    """The DICOM identifiers of a resource and of all above it, from the patient down."""
    source: Any = t.BY_LEVEL[level]
    for number in range(level, Level.PATIENT, -1):
        table, above = t.BY_LEVEL[number], t.BY_LEVEL[number - 1]
        source = sa.join(source, above, table.c[t.PARENT_COLUMN[number]] == above.c.id)
    return Statement(
        sa.select(*_IDENTIFIERS[: level + 1])
        .select_from(source)
        .where(t.BY_LEVEL[level].c.public_id == sa.bindparam("public_id"))
    )


_FIND = tuple(_identifiers(level) for level in Level)


def add(session: Session, level: Level, public_id: str, remote_modality: str, date: str) -> bool:
    """Log an export; False if the resource is unknown. To be called last in a transaction."""
    row = session.one(_FIND[level], {"public_id": public_id})
    if row is None:
        return False
    identifiers = (*row, *("" for _ in range(len(row), len(_IDENTIFIERS))))
    if session.dialect == "postgresql":
        session.run(_LOCK)
    values = (int(level), public_id, remote_modality, *identifiers, date)
    session.run(_INSERT, dict(zip(_COLUMNS, values, strict=True)))
    return True


def page(session: Session, since: int, limit: int) -> Exports:
    """Up to `limit` entries after number `since`."""
    rows = session.all(_PAGE, {"since": min(since, _END), "limit": min(limit, _END) + 1})
    found = [_from_row(row) for row in rows[:limit]]
    return Exports(found, len(rows) <= limit, found[-1].seq if found else since)


def newest(session: Session) -> Exports:
    """The newest entry alone."""
    row = session.one(_NEWEST)
    if row is None:
        return Exports([], True, _cleared(session))
    return Exports([_from_row(row)], True, row[0])


def clear(session: Session) -> None:
    """Forget all entries. Their numbers are not used again."""
    if session.dialect == "postgresql":
        session.run(_LOCK)
    session.run(_KEEP_CLEARED, {"value": str(newest(session).last)})
    session.run(_CLEAR)


def _cleared(session: Session) -> int:
    row = session.one(_READ_CLEARED)
    return int(row[0]) if row else 0


def _from_row(row: Row) -> Export:
    return Export(row[0], Level(row[1]), *row[2:])

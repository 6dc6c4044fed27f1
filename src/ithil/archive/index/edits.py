"""Statements of edits: what an instance is before it is edited, numbers for names, changes that are told once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import tables as t
from ithil.archive.index.changelog import Entry, record
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Row, Session, Statement
from ithil.dicom.level import Level

_p, _st, _se, _i = t.patients.c, t.studies.c, t.series.c, t.instances.c
_ORIGINAL = Statement(
    sa.select(
        *(_p.public_id, _st.public_id, _se.public_id, _i.public_id),
        *(_p.patient_id, _st.study_instance_uid, _se.series_instance_uid, _i.sop_instance_uid),
        _i.pixel_data_offset,
        *DICOM_FILE_COLUMNS,
    )
    .select_from(
        sa.join(t.instances, t.series, _i.series == _se.id)
        .join(t.studies, _se.study == _st.id)
        .join(t.patients, _st.patient == _p.id)
    )
    .where(_i.public_id == sa.bindparam("public_id"))
)


def original(session: Session, public_id: str) -> Row | None:
    """The row of an instance and its parents; None if it is unknown.

    Four public ids, PatientID, three UIDs, offset of the pixel data, columns of the file.
    """
    return session.one(_ORIGINAL, {"public_id": public_id})


def _count(insert: Callable[[Any], Any]) -> Any:
    value = t.properties.c.value
    statement = insert(t.properties).values(name=sa.bindparam("name"), value="1")
    return statement.on_conflict_do_update(
        index_elements=["name"], set_={"value": sa.cast(sa.cast(value, sa.BigInteger) + 1, sa.Text)}
    ).returning(value)


_COUNT = Statement(_count(sqlite_insert), postgresql=_count(postgresql_insert))


def next_number(session: Session, name: str) -> int:
    """The next number of a series of numbers, of which none is given twice."""
    row = session.one(_COUNT, {"name": name})
    assert row is not None
    return int(row[0])


_FIND = tuple(
    Statement(sa.select(table.c.id).where(table.c.public_id == sa.bindparam("public_id")))
    for table in t.BY_LEVEL
)
_TOLD = Statement(
    sa.select(t.changes.c.seq)
    .where(
        t.changes.c.level == sa.bindparam("level"),
        t.changes.c.resource == sa.bindparam("resource"),
        t.changes.c.kind == sa.bindparam("kind"),
        t.changes.c.date >= sa.bindparam("since"),
    )
    .limit(1)
)


def tell_once(session: Session, changes: Sequence[tuple[str, Level, str]], since: str, date: str) -> None:
    """Log changes (kind, level, public id), but those that have been logged since `since`."""
    entries = []
    for kind, level, public_id in changes:
        row = session.one(_FIND[level], {"public_id": public_id})
        if row is None:
            continue  # deleted meanwhile
        told = {"level": int(level), "resource": row[0], "kind": kind, "since": since}
        if session.one(_TOLD, told) is None:
            entries.append(Entry(kind, level, row[0], public_id))
    record(session, entries, date)

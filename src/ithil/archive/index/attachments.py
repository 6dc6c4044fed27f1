"""The rows of stored files, and what their sizes add to the counters of the resources above.

The DICOM file of an instance is part of the instance's row, every other file has a row of its own; here both
look alike. The counters `disk_size` and `uncompressed_size` of a patient, study or series hold all files below
it and its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import tables as t
from ithil.archive.index.database import Retry
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.remove import RemovedFile, queue_files
from ithil.archive.index.statement import Session, Statement
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.dicom.level import Level

_a, _i = t.attachments.c, t.instances.c
_ONE = (
    _a.level == sa.bindparam("level"),
    _a.resource == sa.bindparam("resource"),
    _a.content_type == sa.bindparam("content_type"),
)
_VALUES = (
    *("uuid", "compression", "compressed_size", "compressed_md5"),
    *("uncompressed_size", "uncompressed_md5", "revision"),
)
_KEY = ("level", "resource", "content_type")

_GET = Statement(sa.select(_a.content_type, *(_a[name] for name in _VALUES)).where(*_ONE))
_DELETE = Statement(sa.delete(t.attachments).where(*_ONE))
_GET_DICOM = Statement(sa.select(*DICOM_FILE_COLUMNS).where(_i.id == sa.bindparam("resource")))
_PUT_DICOM = Statement(
    sa.update(t.instances)
    .where(_i.id == sa.bindparam("resource"))
    .values(
        file_uuid=sa.bindparam("uuid"),
        file_compression=sa.bindparam("compression"),
        file_stored_size=sa.bindparam("compressed_size"),
        file_stored_md5=sa.bindparam("compressed_md5"),
        file_size=sa.bindparam("uncompressed_size"),
        file_md5=sa.bindparam("uncompressed_md5"),
    )
)
_FIND = tuple(
    Statement(sa.select(table.c.id).where(table.c.public_id == sa.bindparam("public_id")))
    for table in t.BY_LEVEL
)


def _put(insert: Callable[[Any], Any]) -> Any:
    statement = insert(t.attachments).values({name: sa.bindparam(name) for name in _KEY + _VALUES})
    return statement.on_conflict_do_update(
        index_elements=list(_KEY), set_={name: statement.excluded[name] for name in _VALUES}
    )


_PUT = Statement(_put(sqlite_insert), postgresql=_put(postgresql_insert))


def find(session: Session, level: Level, public_id: str) -> int | None:
    """The internal id of a resource, which may go at any time; None if it is unknown."""
    row = session.one(_FIND[level], {"public_id": public_id})
    return None if row is None else int(row[0])


def get(session: Session, level: Level, resource: int, content_type: int) -> Attachment | None:
    """A file of the resource with that internal id, or None."""
    values = {"level": int(level), "resource": resource, "content_type": content_type}
    if level == Level.INSTANCE and content_type == DICOM_FILE:
        row = session.one(_GET_DICOM, {"resource": resource})
        return Attachment(DICOM_FILE, *row) if row else None
    row = session.one(_GET, values)
    return Attachment(*row) if row else None


def put(
    session: Session, level: Level, resource: int, file: Attachment, old: Attachment | None, now: float
) -> None:
    """Name `file` in the place of `old`, which goes to the list of files to be removed.

    The resource must be locked; `now` is in seconds since 1970.
    """
    values = {name: getattr(file, name) for name in _VALUES}
    if level == Level.INSTANCE and file.content_type == DICOM_FILE:
        session.run(_PUT_DICOM, {**values, "resource": resource})
    else:
        session.run(
            _PUT, {**values, "level": int(level), "resource": resource, "content_type": file.content_type}
        )
    _exchanged(session, level, resource, old, file, now)


def delete(session: Session, level: Level, resource: int, old: Attachment, now: float) -> None:
    """Forget a file other than an instance's DICOM file; it goes to the list of those to be removed."""
    session.run(_DELETE, {"level": int(level), "resource": resource, "content_type": old.content_type})
    _exchanged(session, level, resource, old, None, now)


def _exchanged(
    session: Session,
    level: Level,
    resource: int,
    old: Attachment | None,
    new: Attachment | None,
    now: float,
) -> None:
    disk = uncompressed = 0
    if old is not None:
        queue_files(session, [as_removed(old)], now)
        disk, uncompressed = -old.compressed_size, -old.uncompressed_size
    if new is not None:
        disk += new.compressed_size
        uncompressed += new.uncompressed_size
    if disk or uncompressed:
        _resize(session, level, resource, disk, uncompressed)


def as_removed(file: Attachment) -> RemovedFile:
    """A file as the list of those to be removed takes it."""
    return RemovedFile(file.uuid, file.content_type, file.compressed_size, file.uncompressed_size)


# -- sizes ---------------------------------------------------------------------------------------------------


def _grow(level: Level) -> Statement:
    table = t.BY_LEVEL[level]
    return Statement(
        sa.update(table)
        .where(table.c.id == sa.bindparam("resource"))
        .values(
            disk_size=table.c.disk_size + sa.bindparam("disk"),
            uncompressed_size=table.c.uncompressed_size + sa.bindparam("uncompressed"),
        )
    )


_COUNTING = (Level.PATIENT, Level.STUDY, Level.SERIES)
_GROW = tuple(_grow(level) for level in _COUNTING)
_PARENT = {
    level: Statement(
        sa.select(t.BY_LEVEL[level].c[t.PARENT_COLUMN[level]]).where(
            t.BY_LEVEL[level].c.id == sa.bindparam("resource")
        )
    )
    for level in (Level.STUDY, Level.SERIES, Level.INSTANCE)
}


def _resize(session: Session, level: Level, resource: int, disk: int, uncompressed: int) -> None:
    """Add to the sizes of a resource and all above it, from below as ingest does."""
    while True:
        if level < Level.INSTANCE:
            session.run(_GROW[level], {"resource": resource, "disk": disk, "uncompressed": uncompressed})
        if level == Level.PATIENT:
            return
        row = session.one(_PARENT[level], {"resource": resource})
        if row is None:
            raise Retry
        resource, level = row[0], Level(level - 1)


def _sizes(top: Level, at: Level) -> Statement:
    """The sizes of attachments of what is at level `at` below a resource at level `top`."""
    source: Any = t.BY_LEVEL[at]
    for number in range(at, top, -1):
        table, above = t.BY_LEVEL[number], t.BY_LEVEL[number - 1]
        source = sa.join(source, above, table.c[t.PARENT_COLUMN[number]] == above.c.id)
    source = sa.join(source, t.attachments, sa.and_(_a.level == int(at), _a.resource == t.BY_LEVEL[at].c.id))
    return Statement(
        sa.select(
            sa.cast(sa.func.coalesce(sa.func.sum(_a.compressed_size), 0), sa.BigInteger),
            sa.cast(sa.func.coalesce(sa.func.sum(_a.uncompressed_size), 0), sa.BigInteger),
        )
        .select_from(source)
        .where(t.BY_LEVEL[top].c.public_id == sa.bindparam("public_id"))
    )


_SIZES = {top: tuple(_sizes(top, Level(at)) for at in range(top, 4)) for top in _COUNTING}


def sizes_below(session: Session, level: Level, public_id: str) -> tuple[int, int]:
    """Bytes, stored and plain, of all attachments of a patient, study or series and of what is below it.

    The DICOM files do not count.
    """
    disk = uncompressed = 0
    for statement in _SIZES[level]:
        row = session.one(statement, {"public_id": public_id})
        if row is not None:
            disk += int(row[0])
            uncompressed += int(row[1])
    return disk, uncompressed

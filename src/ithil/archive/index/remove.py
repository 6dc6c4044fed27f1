"""Taking resources out of the index.

The rows go at once; the files behind them are put on the list `deleted_files`, from which a sweep that any
process may run removes them. A crash in between leaves a file to be removed later, never a row without its
file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from ithil.archive.index import query_tag_losses
from ithil.archive.index import tables as t
from ithil.archive.index.changelog import DELETED, GONE, Entry, record
from ithil.archive.index.database import Retry
from ithil.archive.index.statement import Session, Statement
from ithil.archive.model import DICOM_FILE
from ithil.dicom.level import Level


@dataclass(frozen=True, slots=True)
class RemovedFile:
    """A stored file that no row names any more."""

    uuid: str
    content_type: int
    compressed_size: int
    uncompressed_size: int


@dataclass(frozen=True, slots=True)
class Removed:
    """What a delete took away; `remaining_ancestor` is the nearest parent that still has children."""

    remaining_ancestor: tuple[Level, str] | None
    files: list[RemovedFile]


@dataclass(slots=True)
class _Loss:
    """What the parents of a deleted resource lose."""

    instances: int = 0
    series: int = 0
    studies: int = 0
    disk_size: int = 0
    uncompressed_size: int = 0


def remove_instance(session: Session, instance: int, date: str) -> list[RemovedFile]:
    """Delete the row of one instance and all that hangs on it, without a look at its parents.

    `date` is now, as in the change log.
    """
    session.all(_LOCK[Level.INSTANCE], {"id": instance})  # nothing can be hung on it from now on
    _keep_arrivals(session, [instance], date)
    files = _take_hangings(session, Level.INSTANCE, [instance])
    session.run(_DELETE[Level.INSTANCE], {"id": instance})
    return files


def queue_files(session: Session, files: Sequence[RemovedFile], now: float) -> None:
    """Put files on the list of those to be removed from the storage; `now` in seconds since 1970."""
    session.run_many(
        _QUEUE, [{"uuid": file.uuid, "content_type": file.content_type, "deleted_at": now} for file in files]
    )


def remove(session: Session, level: Level, public_id: str, date: str, now: float) -> Removed | None:
    """Delete a resource, all below it, and every parent that has no other child; None if it is unknown."""
    found = session.one(_FIND[level], {"public_id": public_id})
    if found is None:
        return None
    chain = _chain(session, level, found[0], public_id)
    for step in chain.steps:
        if not session.all(_LOCK[step.level], {"id": step.id}):
            raise Retry  # deleted by another process since
    if chain.remaining is not None and not session.all(
        _LOCK[chain.remaining.level], {"id": chain.remaining.id}
    ):
        raise Retry
    # A sibling may have arrived before the locks were held, and must not go as well; or the last sibling went,
    # and the parent has to go too.
    if _chain(session, level, found[0], public_id) != chain:
        raise Retry
    target, level, public_id = chain.steps[-1].id, chain.steps[-1].level, chain.steps[-1].public_id
    remaining = chain.remaining
    gone = _descendants(session, level, target, public_id)
    loss = _Loss(
        instances=len(gone[Level.INSTANCE]),
        series=len(gone[Level.SERIES]),
        studies=len(gone[Level.STUDY]),
    )
    parent = session.one(_PARENT[level], {"id": target}) if level else None
    files: list[RemovedFile] = []
    entries: list[Entry] = []
    for at in (Level.INSTANCE, Level.SERIES, Level.STUDY, Level.PATIENT):
        ids = [row[0] for row in gone[at]]
        uids = _keep_arrivals(session, ids, date) if at == Level.INSTANCE else {}
        files += _take_hangings(session, at, ids)
        session.run_many(_DELETE[at], [{"id": one} for one in ids])
        entries += [Entry(DELETED, at, None, row[1], uids.get(row[0])) for row in gone[at]]
    loss.disk_size = sum(file.compressed_size for file in files)
    loss.uncompressed_size = sum(file.uncompressed_size for file in files)
    if parent is not None:
        _shrink_parents(session, Level(level - 1), parent[0], loss, date)
    queue_files(session, files, now)
    record(session, entries, date)
    return Removed((remaining.level, remaining.public_id) if remaining is not None else None, files)


@dataclass(frozen=True, slots=True)
class _Step:
    level: Level
    id: int
    public_id: str


@dataclass(frozen=True, slots=True)
class _Chain:
    """A resource and the parents that go with it, from below; and the first parent that stays."""

    steps: tuple[_Step, ...]
    remaining: _Step | None


def _chain(session: Session, level: Level, resource: int, public_id: str) -> _Chain:
    """Climb while the resource is an only child."""
    steps = [_Step(level, resource, public_id)]
    while level > Level.PATIENT:
        row = session.one(_PARENT[level], {"id": resource})
        if row is None:
            raise Retry
        resource, public_id, children = row
        level = Level(level - 1)
        if children > 1:
            return _Chain(tuple(steps), _Step(level, resource, public_id))
        steps.append(_Step(level, resource, public_id))
    return _Chain(tuple(steps), None)


def _descendants(
    session: Session, level: Level, resource: int, public_id: str
) -> tuple[list[tuple[Any, ...]], ...]:
    """(id, public id) of the resource and all below it, by Level; their rows are locked.

    So nothing can come below a series, nor be hung on what is going.
    """
    gone: tuple[list[tuple[Any, ...]], ...] = ([], [], [], [])
    gone[level].append((resource, public_id))
    for at in [Level(number) for number in range(level + 1, Level.INSTANCE + 1)]:
        for parent in gone[at - 1]:
            gone[at].extend(session.all(_CHILDREN[at], {"parent": parent[0]}))
    return gone


def _keep_arrivals(session: Session, ids: list[int], date: str) -> dict[int, str]:
    """Have the change feed remember the arrivals of instances that go now; gives their UIDs by internal id."""
    found = {}
    for instance in ids:
        row = session.one(_UIDS, {"id": instance})
        if row is not None:
            found[instance] = orjson.dumps(row).decode()
            values = {"instance": instance, "uids_of": found[instance], "gone_at": date}
            session.run(_KEEP_ARRIVAL, values)
    return found


def _take_hangings(session: Session, level: Level, ids: list[int]) -> list[RemovedFile]:
    """Delete attachments, metadata, labels, values of query tags and log entries; gives the files."""
    files: list[RemovedFile] = []
    for resource in ids:
        values = {"level": int(level), "resource": resource}
        if level == Level.INSTANCE:
            files.extend(RemovedFile(*row) for row in session.all(_DICOM_FILE, values))
        files.extend(RemovedFile(*row) for row in session.all(_ATTACHMENTS, values))
        for statement in _HANGINGS:
            session.run(statement, values)
        if level == Level.INSTANCE:
            session.run(_ERRORS, values)
            query_tag_losses.lose(session, resource)
    return files


def _shrink_parents(session: Session, level: Level, resource: int, loss: _Loss, date: str) -> None:
    while True:
        session.run(
            _SHRINK[level],
            {
                "id": resource,
                "instances": loss.instances,
                "series": loss.series,
                "studies": loss.studies,
                "disk": loss.disk_size,
                "uncompressed": loss.uncompressed_size,
                "date": date,
            },
        )
        if level == Level.PATIENT:
            return
        row = session.one(_PARENT[level], {"id": resource})
        if row is None:
            return
        resource, level = row[0], Level(level - 1)


_FIND = tuple(
    Statement(sa.select(table.c.id).where(table.c.public_id == sa.bindparam("public_id")))
    for table in t.BY_LEVEL
)
_DELETE = tuple(Statement(sa.delete(table).where(table.c.id == sa.bindparam("id"))) for table in t.BY_LEVEL)
# SQLite has one writer and no row locks; SQLAlchemy leaves FOR UPDATE out there.
_LOCK = tuple(
    Statement(sa.select(table.c.id).where(table.c.id == sa.bindparam("id")).with_for_update())
    for table in t.BY_LEVEL
)


def _parent(level: Level) -> Statement:
    """The id and public id of a resource's parent, and how many children that parent has."""
    table, above = t.BY_LEVEL[level], t.BY_LEVEL[level - 1]
    link = table.c[t.PARENT_COLUMN[level]]
    sibling = table.alias()
    children = (
        sa.select(sa.func.count())
        .select_from(sibling)
        .where(sibling.c[t.PARENT_COLUMN[level]] == above.c.id)
        .scalar_subquery()
    )
    return Statement(
        sa.select(above.c.id, above.c.public_id, children)
        .join_from(table, above, link == above.c.id)
        .where(table.c.id == sa.bindparam("id"))
    )


def _children(level: Level) -> Statement:
    table = t.BY_LEVEL[level]
    return Statement(
        sa.select(table.c.id, table.c.public_id)
        .where(table.c[t.PARENT_COLUMN[level]] == sa.bindparam("parent"))
        .order_by(table.c.id)
        .with_for_update()
    )


def _shrink(level: Level) -> Statement:
    table = t.BY_LEVEL[level]
    values: dict[str, Any] = {
        "instance_count": table.c.instance_count - sa.bindparam("instances"),
        "disk_size": table.c.disk_size - sa.bindparam("disk"),
        "uncompressed_size": table.c.uncompressed_size - sa.bindparam("uncompressed"),
        "last_update": sa.bindparam("date"),
    }
    if level <= Level.STUDY:
        values["series_count"] = table.c.series_count - sa.bindparam("series")
    if level == Level.PATIENT:
        values["study_count"] = table.c.study_count - sa.bindparam("studies")
    return Statement(sa.update(table).where(table.c.id == sa.bindparam("id")).values(values))


_LEVELS_WITH_PARENT = (Level.STUDY, Level.SERIES, Level.INSTANCE)
_PARENT = {level: _parent(level) for level in _LEVELS_WITH_PARENT}
_CHILDREN = {level: _children(level) for level in _LEVELS_WITH_PARENT}
_SHRINK = {level: _shrink(level) for level in (Level.PATIENT, Level.STUDY, Level.SERIES)}


def _of(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.level == sa.bindparam("level"), table.c.resource == sa.bindparam("resource")


_a = t.attachments.c
_ATTACHMENTS = Statement(
    sa.select(_a.uuid, _a.content_type, _a.compressed_size, _a.uncompressed_size).where(*_of(t.attachments))
)
_i = t.instances.c
_DICOM_FILE = Statement(
    sa.select(_i.file_uuid, sa.literal_column(str(DICOM_FILE)), _i.file_stored_size, _i.file_size).where(
        _i.id == sa.bindparam("resource")
    )
)
_HANGINGS = tuple(
    Statement(sa.delete(table).where(*_of(table)))
    for table in (
        t.attachments,
        t.metadata,
        t.labels,
        t.query_tag_values,
        t.query_tag_losses,
        t.changes,
    )
)
_ERRORS = Statement(
    sa.delete(t.query_tag_errors).where(t.query_tag_errors.c.instance == sa.bindparam("resource"))
)
_UIDS = Statement(
    sa.select(t.studies.c.study_instance_uid, t.series.c.series_instance_uid, _i.sop_instance_uid)
    .join_from(t.instances, t.series, _i.series == t.series.c.id)
    .join(t.studies, t.series.c.study == t.studies.c.id)
    .where(_i.id == sa.bindparam("id"))
)
_KEEP_ARRIVAL = Statement(
    sa.update(t.changes)
    .where(
        t.changes.c.level == int(Level.INSTANCE),
        t.changes.c.resource == sa.bindparam("instance"),
        t.changes.c.kind == "NewInstance",
    )
    .values(kind=GONE, resource=sa.null(), uids=sa.bindparam("uids_of"), gone=sa.bindparam("gone_at"))
)
_QUEUE = Statement(
    sa.insert(t.deleted_files).values(
        {name: sa.bindparam(name) for name in ("uuid", "content_type", "deleted_at")}
    )
)

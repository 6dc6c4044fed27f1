"""The statements that write anew what the index says of resources, from what their files say."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.ingest import COLUMNS
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Row, Session, Statement
from ithil.dicom.level import Level

_i, _a = t.instances.c, t.attachments.c
_PARENTS = (Level.PATIENT, Level.STUDY, Level.SERIES)

_FILE = frozenset(name for name in COLUMNS[Level.INSTANCE] if name.startswith("file_"))
_NOT_FROM_TAGS = frozenset({"public_id", "patient", "study", "series", "arrived_at", "stable_at"})
TAG_COLUMNS = tuple(tuple(name for name in names if name not in _NOT_FROM_TAGS | _FILE) for names in COLUMNS)
"""The columns of each resource table, by Level, that follow from the tags of its first instance."""


def _below(level: Level, at: Level) -> Any:
    """The tables from level `at` up to `level`, joined."""
    source: Any = t.BY_LEVEL[at]
    for number in range(at, level, -1):
        table, above = t.BY_LEVEL[number], t.BY_LEVEL[number - 1]
        source = sa.join(source, above, table.c[t.PARENT_COLUMN[number]] == above.c.id)
    return source


def _page(level: Level, at: Level) -> Statement:
    table = t.BY_LEVEL[at]
    columns: list[Any] = [table.c.id, table.c.public_id]
    if at == Level.INSTANCE:
        columns += [table.c.metadata, *DICOM_FILE_COLUMNS]
    return Statement(
        sa.select(*columns)
        .select_from(_below(level, at))
        .where(t.BY_LEVEL[level].c.public_id == sa.bindparam("public_id"), table.c.id > sa.bindparam("after"))
        .order_by(table.c.id)
        .limit(sa.bindparam("limit"))
    )


_PAGES = {(level, at): _page(level, at) for level in Level for at in Level if at >= level}
_PATIENTS = Statement(
    sa.select(t.patients.c.id, t.patients.c.public_id)
    .where(t.patients.c.id > sa.bindparam("after"))
    .order_by(t.patients.c.id)
    .limit(sa.bindparam("limit"))
)
_FIRST = tuple(
    Statement(
        sa.select(_i.id, _i.public_id, _i.metadata, *DICOM_FILE_COLUMNS).where(
            _i.id
            == sa.select(sa.func.min(_i.id))
            .select_from(_below(level, Level.INSTANCE))
            .where(t.BY_LEVEL[level].c.public_id == sa.bindparam("public_id"))
            .scalar_subquery()
        )
    )
    for level in Level
)


def page(session: Session, level: Level, public_id: str, at: Level, after: int, limit: int) -> list[Row]:
    """(internal id, public id) of what is below a resource at level `at`, in order of arrival.

    Of instances also their metadata and the columns of their file.
    """
    return session.all(_PAGES[level, at], {"public_id": public_id, "after": after, "limit": limit})


def patients(session: Session, after: int, limit: int) -> list[Row]:
    """(internal id, public id) of patients, in order of arrival."""
    return session.all(_PATIENTS, {"after": after, "limit": limit})


def first_instance(session: Session, level: Level, public_id: str) -> Row | None:
    """The instance below a resource that arrived first, as `page` gives it; None if there is none."""
    return session.one(_FIRST[level], {"public_id": public_id})


# -- writing tags --------------------------------------------------------------------------------------------


def _update(level: Level) -> Statement:
    table = t.BY_LEVEL[level]
    query = sa.update(table).values({name: sa.bindparam(name) for name in TAG_COLUMNS[level]})
    if level == Level.INSTANCE:
        # Not if the file was replaced meanwhile: whoever did that knows better.
        return Statement(query.where(_i.id == sa.bindparam("row"), _i.file_uuid == sa.bindparam("uuid")))
    return Statement(query.where(table.c.public_id == sa.bindparam("public")))


_UPDATE = tuple(_update(level) for level in Level)
_METADATA = tuple(
    Statement(sa.select(table.c.metadata).where(table.c.public_id == sa.bindparam("public_id")))
    for table in t.BY_LEVEL
)


def metadata_of(session: Session, level: Level, public_id: str) -> str | None:
    """The metadata that a resource has from its beginning, as JSON; None if it is unknown."""
    row = session.one(_METADATA[level], {"public_id": public_id})
    return None if row is None else str(row[0])


def update_instance(session: Session, instance: int, file_uuid: str, values: dict[str, Any]) -> bool:
    """Write what follows from the tags of an instance, if it still has that file; False if not."""
    wanted = {name: values[name] for name in TAG_COLUMNS[Level.INSTANCE]}
    return session.run(_UPDATE[Level.INSTANCE], {**wanted, "row": instance, "uuid": file_uuid}) > 0


def update_parent(session: Session, level: Level, public_id: str, values: dict[str, Any]) -> None:
    """Write what follows from the tags of the first instance of a patient, study or series."""
    wanted = {name: values[name] for name in TAG_COLUMNS[level]}
    session.run(_UPDATE[level], {**wanted, "public": public_id})


# -- counting anew -------------------------------------------------------------------------------------------


def _sum(column: Any) -> Any:
    return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger)


# The lock comes first, and the sums are asked for after it: who adds something below does it before it counts
# here in the same transaction, so its row is either seen by the sums or counted after them.
_LOCK = tuple(
    Statement(
        sa.select(table.c.id)
        .where(table.c.public_id == sa.bindparam("public_id"))
        .with_for_update(key_share=True)
    )
    for table in (t.patients, t.studies, t.series)
)
_p, _s, _e = t.patients.c, t.studies.c, t.series.c
_CHILDREN = (
    Statement(
        sa.select(_sum(_s.instance_count), _sum(_s.disk_size), _sum(_s.uncompressed_size))
        .add_columns(_sum(_s.series_count), sa.func.count())
        .where(_s.patient == sa.bindparam("resource"))
    ),
    Statement(
        sa.select(_sum(_e.instance_count), _sum(_e.disk_size), _sum(_e.uncompressed_size))
        .add_columns(sa.func.count())
        .where(_e.study == sa.bindparam("resource"))
    ),
    Statement(
        sa.select(sa.func.count(), _sum(_i.file_stored_size), _sum(_i.file_size)).where(
            _i.series == sa.bindparam("resource")
        )
    ),
)
_OWN_FILES = Statement(
    sa.select(_sum(_a.compressed_size), _sum(_a.uncompressed_size)).where(
        _a.level == sa.bindparam("level"), _a.resource == sa.bindparam("resource")
    )
)
_FILES_OF_INSTANCES = Statement(
    sa.select(_sum(_a.compressed_size), _sum(_a.uncompressed_size))
    .join_from(t.instances, t.attachments, sa.and_(_a.level == int(Level.INSTANCE), _a.resource == _i.id))
    .where(_i.series == sa.bindparam("resource"))
)
_COUNTS = ("instance_count", "disk_size", "uncompressed_size", "series_count", "study_count")


def _recount(level: Level) -> Statement:
    table = t.BY_LEVEL[level]
    names = [name for name in _COUNTS if name in table.c]
    return Statement(
        sa.update(table)
        .where(table.c.id == sa.bindparam("resource"))
        .values({name: sa.bindparam(name) for name in names})
    )


_RECOUNT = tuple(_recount(level) for level in _PARENTS)


def recount(session: Session, level: Level, public_id: str) -> None:
    """Count anew what is below a patient, study or series; the counters of the level below must be right."""
    found = session.one(_LOCK[level], {"public_id": public_id})
    if found is None:
        return
    resource = found[0]
    counts = session.one(_CHILDREN[level], {"resource": resource})
    assert counts is not None, "sums always give a row"
    values = dict(zip(_COUNTS, counts, strict=False))
    files = [session.one(_OWN_FILES, {"level": int(level), "resource": resource})]
    if level == Level.SERIES:
        files.append(session.one(_FILES_OF_INSTANCES, {"resource": resource}))
    for sizes in files:
        assert sizes is not None, "sums always give a row"
        values["disk_size"] += sizes[0]
        values["uncompressed_size"] += sizes[1]
    session.run(_RECOUNT[level], {**values, "resource": resource})

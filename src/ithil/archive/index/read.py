"""Reading resources out of the index.

Every function takes many resources at once and asks one statement for all, so that a list of a thousand
studies costs a handful of statements; one resource is a list of length one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Row, Session, Statement
from ithil.archive.model import DICOM_FILE, Attachment, MetadataValue, Resource, Statistics
from ithil.dicom.level import Level

LAST_UPDATE = 7  # the number of the metadata that lives in a column of its own
CHUNK = 500  # resources a statement


def _among(column: sa.ColumnElement[Any], kind: Any) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """`column` is one of the parameter `keys`: as SQLite says it (a JSON array), as PostgreSQL does."""
    each = sa.func.json_each(sa.bindparam("keys", type_=sa.Text)).table_valued("value")
    return (
        column.in_(sa.select(each.c.value)),
        column == sa.func.any(sa.bindparam("keys", type_=postgresql.ARRAY(kind))),
    )


def _for_keys(build: Callable[[sa.ColumnElement[bool]], Any], column: Any, kind: Any) -> Statement:
    in_sqlite, in_postgresql = _among(column, kind)
    return Statement(build(in_sqlite), postgresql=build(in_postgresql))


def _keys(session: Session, values: Sequence[Any]) -> Any:
    return orjson.dumps(values).decode() if session.dialect == "sqlite" else list(values)


# -- lists ---------------------------------------------------------------------------------------------------

_LIST = tuple(
    Statement(
        sa.select(table.c.public_id)
        .order_by(table.c.id)
        .limit(sa.bindparam("limit"))
        .offset(sa.bindparam("since"))
    )
    for table in t.BY_LEVEL
)
_NO_LIMIT = 2**62


def list_ids(session: Session, level: Level, since: int, limit: int) -> list[str]:
    """Public ids in order of arrival; `limit` 0 means all."""
    values = {"since": min(since, _NO_LIMIT), "limit": min(limit, _NO_LIMIT) or _NO_LIMIT}
    rows = session.all(_LIST[level], values)
    return [row[0] for row in rows]


def _walk(at: Level, start: Level, *, upwards: bool) -> Statement:
    """Public ids at one level of what is below (or above) a resource at another."""
    low, high = (start, at) if upwards else (at, start)
    source: Any = t.BY_LEVEL[low]
    for number in range(low, high, -1):
        table, above = t.BY_LEVEL[number], t.BY_LEVEL[number - 1]
        source = sa.join(source, above, table.c[t.PARENT_COLUMN[number]] == above.c.id)
    target = t.BY_LEVEL[at]
    return Statement(
        sa.select(target.c.public_id)
        .select_from(source)
        .where(t.BY_LEVEL[start].c.public_id == sa.bindparam("public_id"))
        .order_by(target.c.id)
    )


_DESCENDANTS = {
    (start, at): _walk(at, start, upwards=False) for start in Level for at in Level if at >= start
}
_ANCESTORS = {(start, at): _walk(at, start, upwards=True) for start in Level for at in Level if at <= start}


def descendants(session: Session, level: Level, public_id: str, at: Level) -> list[str]:
    """Public ids at level `at` below a resource, in order of arrival; empty if it is unknown."""
    return [row[0] for row in session.all(_DESCENDANTS[level, at], {"public_id": public_id})]


def ancestor(session: Session, level: Level, public_id: str, at: Level) -> str | None:
    """The public id of the parent at level `at`, or None if the resource is unknown."""
    row = session.one(_ANCESTORS[level, at], {"public_id": public_id})
    return row[0] if row else None


_i = t.instances.c
DICOM_FILE_COLUMNS: list[Any] = [
    _i.file_uuid,
    _i.file_compression,
    _i.file_stored_size,
    _i.file_stored_md5,
    _i.file_size,
    _i.file_md5,
]
"""The columns of `instances` that make an `Attachment`, after its content type."""


# -- whole resources -----------------------------------------------------------------------------------------


def _resource(level: Level) -> Statement:
    table = t.BY_LEVEL[level]
    c = table.c
    columns: list[Any] = [c.id, c.public_id, c.main_tags, c.metadata]
    source: Any = table
    if level:
        above = t.BY_LEVEL[level - 1]
        source = sa.join(table, above, c[t.PARENT_COLUMN[level]] == above.c.id)
        columns.append(above.c.public_id.label("parent"))
    else:
        columns.append(sa.null().label("parent"))
    if level < Level.INSTANCE:
        columns += [c.last_update, c.stable_at.is_(None)]
    extra = {Level.PATIENT: "protected", Level.STUDY: "patient_main_tags", Level.SERIES: "expected_instances"}
    columns.append(c[extra.get(level, "index_in_series")])
    if level == Level.INSTANCE:
        columns += DICOM_FILE_COLUMNS
    return _for_keys(lambda among: sa.select(*columns).select_from(source).where(among), c.public_id, sa.Text)


def _children(level: Level) -> Statement:
    table = t.BY_LEVEL[level]
    parent = table.c[t.PARENT_COLUMN[level]]
    return _for_keys(
        lambda among: sa.select(parent, table.c.public_id).where(among).order_by(table.c.public_id),
        parent,
        sa.BigInteger,
    )


def _hanging(table: sa.Table, columns: Sequence[Any]) -> Statement:
    return _for_keys(
        lambda among: sa.select(*columns).where(table.c.level == sa.bindparam("level"), among),
        table.c.resource,
        sa.BigInteger,
    )


_a, _m = t.attachments.c, t.metadata.c
_RESOURCES = tuple(_resource(level) for level in Level)
_CHILDREN = {level: _children(Level(level + 1)) for level in (Level.PATIENT, Level.STUDY, Level.SERIES)}
_ATTACHMENTS = _hanging(
    t.attachments,
    [_a.resource, _a.content_type, _a.uuid, _a.compression, _a.compressed_size, _a.compressed_md5]
    + [_a.uncompressed_size, _a.uncompressed_md5, _a.revision],
)
_METADATA = _hanging(t.metadata, [_m.resource, _m.type, _m.value, _m.revision])
_LABELS = _hanging(t.labels, [t.labels.c.resource, t.labels.c.label])


def resources(session: Session, level: Level, public_ids: Sequence[str]) -> list[Resource]:
    """The resources with these public ids, in the same order; unknown ones are left out."""
    found: dict[str, Resource] = {}
    for start in range(0, len(public_ids), CHUNK):
        found.update(_read_chunk(session, level, public_ids[start : start + CHUNK]))
    return [found[public_id] for public_id in public_ids if public_id in found]


def _read_chunk(session: Session, level: Level, public_ids: Sequence[str]) -> dict[str, Resource]:
    rows = session.all(_RESOURCES[level], {"keys": _keys(session, public_ids)})
    by_id: dict[int, Resource] = {row[0]: _from_row(level, row) for row in rows}
    if not by_id:
        return {}
    keys = _keys(session, list(by_id))
    hanging = {"level": int(level), "keys": keys}
    if level < Level.INSTANCE:
        for parent, child in session.all(_CHILDREN[level], {"keys": keys}):
            by_id[parent].children.append(child)
    for row in session.all(_ATTACHMENTS, hanging):
        by_id[row[0]].attachments[row[1]] = Attachment(*row[1:])
    for resource, kind, value, revision in session.all(_METADATA, hanging):
        by_id[resource].metadata[kind] = MetadataValue(value, revision)
    for resource, label in session.all(_LABELS, hanging):
        by_id[resource].labels.append(label)
    for one in by_id.values():
        one.labels.sort()
    return {one.id: one for one in by_id.values()}


def _from_row(level: Level, row: Row) -> Resource:
    made = Resource(level=level, id=row[1], parent=row[4], main_tags=tags_from_json(row[2]))
    made.metadata = {int(key): MetadataValue(value) for key, value in orjson.loads(row[3]).items()}
    if level < Level.INSTANCE:
        made.last_update = row[5]
        made.metadata[LAST_UPDATE] = MetadataValue(row[5])
        made.is_stable = bool(row[6])
    if level == Level.PATIENT:
        made.is_protected = bool(row[7])
    elif level == Level.STUDY:
        made.patient_main_tags = tags_from_json(row[7])
    elif level == Level.SERIES:
        made.expected_instances = row[7]
    else:
        made.index_in_series = row[5]
        made.attachments[DICOM_FILE] = Attachment(DICOM_FILE, *row[6:])
    return made


def tags_from_json(text: str) -> dict[int, str]:
    """Main DICOM tags from the JSON column: {"00100010": "DOE^JOHN"}."""
    return {int(key, 16): value for key, value in orjson.loads(text).items()}


def tags_to_json(tags: dict[int, str]) -> str:
    """The inverse of `tags_from_json`."""
    return orjson.dumps({f"{tag:08x}": value for tag, value in tags.items()}).decode()


# -- counts --------------------------------------------------------------------------------------------------

_p = t.patients.c


def _sum(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger)


_TOTALS = Statement(
    sa.select(
        sa.func.count(), _sum(_p.study_count), _sum(_p.series_count), _sum(_p.instance_count),
        _sum(_p.disk_size), _sum(_p.uncompressed_size),
    )
)  # fmt: skip


def _counts(level: Level) -> Statement:
    c = t.BY_LEVEL[level].c
    one: Any = sa.literal_column("1")
    none: Any = sa.literal_column("0")
    studies = c.study_count if level == Level.PATIENT else one if level == Level.STUDY else none
    series = c.series_count if level <= Level.STUDY else one
    return Statement(
        sa.select(c.id, studies, series, c.instance_count, c.disk_size, c.uncompressed_size).where(
            c.public_id == sa.bindparam("public_id")
        )
    )


_COUNTS = tuple(_counts(level) for level in (Level.PATIENT, Level.STUDY, Level.SERIES))


def totals(session: Session) -> Statistics:
    """Counts and sizes of the whole archive."""
    row = session.one(_TOTALS)
    assert row is not None
    return Statistics(*row)


def counts(session: Session, level: Level, public_id: str) -> Statistics | None:
    """Counts and sizes below a resource, attachments of users included; None if it is unknown."""
    if level == Level.INSTANCE:
        found = resources(session, level, [public_id])
        if not found:
            return None
        files = found[0].attachments
        sizes = (
            sum(file.compressed_size for file in files.values()),
            sum(file.uncompressed_size for file in files.values()),
        )
        dicom = files[DICOM_FILE]
        return Statistics(0, 0, 0, 1, *sizes, dicom.compressed_size, dicom.uncompressed_size)
    row = session.one(_COUNTS[level], {"public_id": public_id})
    if row is None:
        return None
    patients = 1 if level == Level.PATIENT else 0
    return Statistics(patients, row[1], row[2], row[3], row[4], row[5], row[4], row[5])


# -- lookup --------------------------------------------------------------------------------------------------

_LOOKUPS = (
    (Level.PATIENT, t.patients.c.patient_id_norm, "norm"),
    (Level.STUDY, t.studies.c.study_instance_uid, "uid"),
    (Level.STUDY, t.studies.c.accession_number_norm, "norm"),
    (Level.SERIES, t.series.c.series_instance_uid, "uid"),
    (Level.INSTANCE, t.instances.c.sop_instance_uid, "uid"),
)
_LOOKUP = tuple(
    (
        level,
        form,
        Statement(
            sa.select(t.BY_LEVEL[level].c.public_id)
            .where(column == sa.bindparam("value"))
            .order_by(t.BY_LEVEL[level].c.id)
        ),
    )
    for level, column, form in _LOOKUPS
)


def lookup(session: Session, uid: str, normalised: str) -> list[tuple[Level, str]]:
    """Resources whose PatientID, UID or AccessionNumber is the given text (as it is, and normalised)."""
    found: dict[tuple[Level, str], None] = {}
    for level, form, statement in _LOOKUP:
        value = uid if form == "uid" else normalised
        if value:
            for row in session.all(statement, {"value": value}):
                found[level, row[0]] = None
    return list(found)

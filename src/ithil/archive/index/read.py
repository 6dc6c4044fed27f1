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
from ithil.archive.query import EVERYTHING, Part
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


def keys_for(session: Session, values: Sequence[Any]) -> Any:
    """Many keys as the one parameter `keys` of a statement that was made for them."""
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
    """Public ids in order of arrival; `limit` 0 means all, at once: `archive.find` gives them in batches."""
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


TagsOf = Callable[[str], dict[Any, Any]]
"""Turns the JSON of main tags into a dictionary; `tags_from_json` is one."""


def resource_select(level: Level) -> sa.Select[Any]:
    """The columns that make a resource, of all rows of a level; the first is the internal id."""
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
    return sa.select(*columns).select_from(source)


def _resource(level: Level, *, by_key: bool) -> Statement:
    c = t.BY_LEVEL[level].c
    select = resource_select(level)
    found, kind = (c.id, sa.BigInteger) if by_key else (c.public_id, sa.Text)
    return _for_keys(select.where, found, kind)


def _children(level: Level) -> Statement:
    table = t.BY_LEVEL[level]
    parent = table.c[t.PARENT_COLUMN[level]]
    return _for_keys(
        lambda among: sa.select(parent, table.c.public_id).where(among),
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
_RESOURCES = tuple(_resource(level, by_key=False) for level in Level)
_RESOURCES_BY_KEY = tuple(_resource(level, by_key=True) for level in Level)
_CHILDREN = {level: _children(Level(level + 1)) for level in (Level.PATIENT, Level.STUDY, Level.SERIES)}
_ATTACHMENTS = _hanging(
    t.attachments,
    [_a.resource, _a.content_type, _a.uuid, _a.compression, _a.compressed_size, _a.compressed_md5]
    + [_a.uncompressed_size, _a.uncompressed_md5, _a.revision],
)
_METADATA = _hanging(t.metadata, [_m.resource, _m.type, _m.value, _m.revision])
_LABELS = _hanging(t.labels, [t.labels.c.resource, t.labels.c.label])


def _known(level: Level) -> Statement:
    column = t.BY_LEVEL[level].c.public_id
    return _for_keys(lambda among: sa.select(column).where(among), column, sa.Text)


_KNOWN = tuple(_known(level) for level in Level)


def known(session: Session, level: Level, keys: Any) -> list[str]:
    """Those of the public ids in `keys` (made by `keys_for`) that resources of the level have."""
    return [row[0] for row in session.all(_KNOWN[level], {"keys": keys})]


def resources(
    session: Session, level: Level, public_ids: Sequence[str], parts: Part = EVERYTHING
) -> list[Resource]:
    """The resources with these public ids, in the same order; unknown ones are left out."""
    found: dict[str, Resource] = {}
    for start in range(0, len(public_ids), CHUNK):
        chunk = keys_for(session, public_ids[start : start + CHUNK])
        read = _with_parts(session, level, session.all(_RESOURCES[level], {"keys": chunk}), parts)
        found.update((one.id, one) for one in read.values())
    return [found[public_id] for public_id in public_ids if public_id in found]


def resources_by_key(
    session: Session,
    level: Level,
    keys: Sequence[int],
    parts: Part = EVERYTHING,
    tags: TagsOf | None = None,
) -> list[Resource]:
    """The resources with these internal ids, `CHUNK` at most, in the same order without those that are gone.

    For `tags` see `resources_of_rows`.
    """
    rows = session.all(_RESOURCES_BY_KEY[level], {"keys": keys_for(session, keys)})
    found = _with_parts(session, level, rows, parts, tags)
    return [found[key] for key in keys if key in found]


def resources_of_rows(
    session: Session, level: Level, rows: list[Row], parts: Part, tags: TagsOf | None = None
) -> list[Resource]:
    """The resources that rows of `resource_select` make, `CHUNK` at most, in the order of the rows.

    With `tags`, which turns the JSON of main tags into what the caller wants to see, the main tags of the
    resources are what it made. It spares lists of thousands of resources to turn each tag around twice.
    """
    return list(_with_parts(session, level, rows, parts, tags).values())


def _with_parts(
    session: Session, level: Level, rows: list[Row], parts: Part, tags: TagsOf | None = None
) -> dict[int, Resource]:
    """The resources of these rows by internal id, with what hangs on them."""
    read_tags: TagsOf = tags_from_json if tags is None else tags
    by_id: dict[int, Resource] = {row[0]: _from_row(level, row, read_tags) for row in rows}
    if not by_id or not parts:
        return by_id
    keys = keys_for(session, list(by_id))
    hanging = {"level": int(level), "keys": keys}
    if level < Level.INSTANCE and Part.CHILDREN in parts:
        for parent, child in session.all(_CHILDREN[level], {"keys": keys}):
            by_id[parent].children.append(child)
        for one in by_id.values():
            one.children.sort()
    if Part.ATTACHMENTS in parts:
        for row in session.all(_ATTACHMENTS, hanging):
            by_id[row[0]].attachments[row[1]] = Attachment(*row[1:])
    if Part.METADATA in parts:
        for resource, kind, value, revision in session.all(_METADATA, hanging):
            by_id[resource].metadata[kind] = MetadataValue(value, revision)
        if level != Level.INSTANCE:
            for one in by_id.values():
                one.metadata[LAST_UPDATE] = MetadataValue(one.last_update)
    if Part.LABELS in parts:
        for resource, label in session.all(_LABELS, hanging):
            by_id[resource].labels.append(label)
        for one in by_id.values():
            one.labels.sort()
    return by_id


def _from_row(level: Level, row: Row, read_tags: TagsOf) -> Resource:
    metadata = {}
    if row[3] != "{}":
        metadata = {int(key): MetadataValue(value) for key, value in orjson.loads(row[3]).items()}
    tags = read_tags(row[2])
    if level == Level.STUDY:
        return Resource(
            level, row[1], row[4], tags, read_tags(row[7]), [], [], metadata, {}, bool(row[6]), False, row[5]
        )
    made = Resource(level, row[1], row[4], tags, {}, [], [], metadata)
    if level == Level.INSTANCE:
        made.index_in_series = row[5]
        made.attachments[DICOM_FILE] = Attachment(DICOM_FILE, *row[6:])
        return made
    made.last_update = row[5]
    made.is_stable = bool(row[6])
    if level == Level.PATIENT:
        made.is_protected = bool(row[7])
    else:
        made.expected_instances = row[7]
    return made


class _Numbers(dict[str, int]):
    """The number of each tag that was read from the index so far, by its eight digits."""

    def __missing__(self, key: str) -> int:
        number = int(key, 16)
        if len(self) < _MOST_NUMBERS:
            self[key] = number
        return number


_MOST_NUMBERS = 10_000  # there are a few dozen main tags, and what the configuration adds
_numbers = _Numbers()


def tags_from_json(text: str) -> dict[int, str]:
    """Main DICOM tags from the JSON column: {"00100010": "DOE^JOHN"}."""
    numbers = _numbers
    return {numbers[key]: value for key, value in orjson.loads(text).items()}


def tags_to_json(tags: dict[int, str]) -> str:
    """The inverse of `tags_from_json`."""
    return orjson.dumps({f"{tag:08x}": value for tag, value in tags.items()}).decode()


_INDEXES = _for_keys(
    lambda among: (
        sa.select(t.series.c.public_id, t.instances.c.index_in_series)
        .join_from(t.series, t.instances, t.instances.c.series == t.series.c.id)
        .where(among)
    ),
    t.series.c.public_id,
    sa.Text,
)


def indexes_in_series(session: Session, public_ids: Sequence[str]) -> dict[str, list[int | None]]:
    """The index that each instance has in its series, for the series with these public ids."""
    found: dict[str, list[int | None]] = {public_id: [] for public_id in public_ids}
    for public_id, index in session.all(_INDEXES, {"keys": keys_for(session, public_ids)}):
        found[public_id].append(index)
    return found


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


# -- files ---------------------------------------------------------------------------------------------------

_DICOM_FILES = _for_keys(
    lambda among: sa.select(_i.public_id, _i.pixel_data_offset, *DICOM_FILE_COLUMNS).where(among),
    _i.public_id,
    sa.Text,
)


def dicom_files(session: Session, public_ids: Sequence[str]) -> dict[str, tuple[int | None, Attachment]]:
    """Of each instance that is known, `CHUNK` at most, where its pixel data begins and its DICOM file."""
    rows = session.all(_DICOM_FILES, {"keys": keys_for(session, public_ids)})
    return {row[0]: (row[1], Attachment(DICOM_FILE, *row[2:])) for row in rows}

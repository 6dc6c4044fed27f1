"""The rows of declared query tags, of the values that resources have in them, and of values that are unfit.

What a process believes to be declared may be old by the time it stores an instance. So what is declared has a
version, a property of the database: whoever adds an instance says which one he went by, and his transaction reads the
present one after its first write. A transaction that read the old one and is not over yet when a declaration is
committed is waited for by the job that looks at what is stored (`writers_before`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import edits
from ithil.archive.index import tables as t
from ithil.archive.index.find_conditions import one_of
from ithil.archive.index.read import keys_for
from ithil.archive.index.statement import Row, Session, Statement
from ithil.dicom.level import Level

ADDING, READY = "Adding", "Ready"
"""The statuses of a tag: whether what was stored before it was declared has been looked at."""

MOST_ERRORS = 10_000
"""Unfit values of a tag that are remembered."""

_VERSION = "QueryTagsVersion"

_q, _v, _x = t.query_tags.c, t.query_tag_values.c, t.query_tag_errors.c


@dataclass(frozen=True, slots=True)
class QueryTag:
    """A declared tag. `path` is the tag, after those of the sequences around it."""

    key: int
    path: tuple[int, ...]
    private_creator: str
    vr: str
    level: Level
    status: str
    operation: str  # the id of the job that looks at what is stored

    @property
    def name(self) -> str:
        """The path as clients write it: `GGGGEEEE`, or several of these with dots between them."""
        return path_name(self.path)


@dataclass(frozen=True, slots=True)
class Value:
    """What one instance has in one declared tag: rows of (norm, value, number), or why there are none.

    The first row is the whole value, the others are those of several ones.
    """

    tag: QueryTag
    rows: tuple[tuple[str, str, float | None], ...]
    reason: str = ""


def path_name(path: Sequence[int]) -> str:
    """A path as text."""
    return ".".join(f"{tag:08X}" for tag in path)


VERSION = (
    sa.select(t.properties.c.value)
    .where(t.properties.c.name == sa.literal_column(f"'{_VERSION}'"))
    .scalar_subquery()
)
"""The version of what is declared, as a column of a statement; NULL if nothing ever was."""

_READ_VERSION = Statement(sa.select(VERSION))
_NAMES = ("path", "private_creator", "vr", "level", "status", "operation")
_columns: list[Any] = [_q[name] for name in ("key", *_NAMES)]
_READ = sa.select(*_columns).order_by(_q.key)
_ALL = Statement(_READ)
_ADD = Statement(
    sa.insert(t.query_tags).values({name: sa.bindparam(name) for name in (*_NAMES, "created_at")})
)
_DELETE = Statement(sa.delete(t.query_tags).where(_q.path == sa.bindparam("path")))
_SET_OPERATION = Statement(
    sa.update(t.query_tags).where(_q.key == sa.bindparam("tag")).values(operation=sa.bindparam("job"))
)
_SET_READY = Statement(
    sa.update(t.query_tags).where(_q.operation == sa.bindparam("job")).values(status=READY)
)


def version(session: Session) -> str | None:
    """The version of what is declared."""
    row = session.one(_READ_VERSION)
    return None if row is None or row[0] is None else str(row[0])


def all_tags(session: Session) -> list[QueryTag]:
    """All declared tags in the order of their declaration."""
    return [_tag(row) for row in session.all(_ALL)]


def _tag(row: Row) -> QueryTag:
    key, path, creator, vr, level, status, operation = row
    tags = tuple(int(part, 16) for part in path.split("."))
    return QueryTag(key, tags, creator, vr, Level(level), status, operation)


def add(session: Session, tags: Sequence[QueryTag], now: float) -> None:
    """Declare tags, whose keys the database gives; `now` in seconds since 1970."""
    for tag in tags:
        values = {"path": tag.name, "private_creator": tag.private_creator, "vr": tag.vr}
        values |= {"status": tag.status, "operation": tag.operation}
        session.run(_ADD, {**values, "level": int(tag.level), "created_at": now})
    if tags:
        edits.next_number(session, _VERSION)


def set_operation(session: Session, key: int, operation: str) -> None:
    """Have another job make a declared tag ready."""
    session.run(_SET_OPERATION, {"tag": key, "job": operation})


def delete(session: Session, path: str) -> bool:
    """Take a declaration back, False if there is none; its values stay until `forget_values` takes them."""
    if not session.run(_DELETE, {"path": path}):
        return False
    edits.next_number(session, _VERSION)
    return True


def set_ready(session: Session, operation: str) -> None:
    """Note that all that is stored has been looked at for the tags of that job."""
    session.run(_SET_READY, {"job": operation})


# -- values --------------------------------------------------------------------------------------------------


def _first(insert: Callable[[Any], Any]) -> Any:
    statement = insert(t.query_tag_values).values({name: sa.bindparam(name) for name in _VALUE})
    return statement.on_conflict_do_nothing().returning(_v.resource)


_VALUE = ("level", "resource", "tag", "position", "norm", "value", "number", "instance")
_PUT = Statement(_first(sqlite_insert), postgresql=_first(postgresql_insert))
_PUT_REST = Statement(sa.insert(t.query_tag_values).values({name: sa.bindparam(name) for name in _VALUE}))


def _error(insert: Callable[[Any], Any]) -> Any:
    count = (
        sa.select(sa.func.count())
        .select_from(t.query_tag_errors)
        .where(_x.tag == sa.bindparam("tag", type_=sa.BigInteger))
        .scalar_subquery()
    )
    columns: list[Any] = [
        sa.bindparam("tag", type_=sa.BigInteger),
        sa.bindparam("instance", type_=sa.BigInteger),
        sa.bindparam("reason", type_=sa.Text),
        sa.bindparam("created_at", type_=sa.Float),
    ]
    source = sa.select(*columns).where(count < sa.literal_column(str(MOST_ERRORS)))
    names = ["tag", "instance", "reason", "created_at"]
    return insert(t.query_tag_errors).from_select(names, source).on_conflict_do_nothing()


_PUT_ERROR = Statement(_error(sqlite_insert), postgresql=_error(postgresql_insert))


def put(session: Session, values: Iterable[Value], ids: Sequence[int], now: float) -> None:
    """Keep what an instance has; `ids` are the internal ids of its patient, study, series and of itself.

    A study or series has the values of the first of its instances that has any, for as long as that is there
    (see `query_tag_losses.py`).
    """
    for value in values:
        tag, instance = value.tag, ids[Level.INSTANCE]
        if value.reason:
            row = {"tag": tag.key, "instance": instance, "reason": value.reason}
            session.run(_PUT_ERROR, {**row, "created_at": now})
        where = {
            "level": int(tag.level),
            "resource": ids[tag.level],
            "tag": tag.key,
            "instance": instance if tag.level < Level.INSTANCE else None,
        }
        kept = [
            {**where, "position": position, "norm": norm, "value": text, "number": number}
            for position, (norm, text, number) in enumerate(value.rows)
        ]
        if kept and session.one(_PUT, kept[0]) is not None:  # or else another instance was first
            session.run_many(_PUT_REST, kept[1:])


_OF_LEVEL = tuple(
    Statement(
        sa.select(_v.resource, _v.tag, _v.value).where(
            _v.level == sa.bindparam("level"),
            one_of(_v.resource, "keys", sa.BigInteger, dialect),
            _v.position == sa.literal_column("0"),
        )
    )
    for dialect in ("sqlite", "postgresql")
)


def values_of(session: Session, level: Level, resources: Sequence[int]) -> dict[int, dict[int, str]]:
    """The values of resources, by their internal ids, in the tags declared for that level, by the keys of these."""
    found: dict[int, dict[int, str]] = {}
    statement = _OF_LEVEL[session.dialect != "sqlite"]
    values = {"level": int(level), "keys": keys_for(session, resources)}
    for resource, tag, text in session.all(statement, values):
        found.setdefault(resource, {})[tag] = text
    return found


_SOME_VALUES = (
    sa.select(_v.level, _v.resource, _v.tag, _v.position)
    .where(_v.tag == sa.bindparam("tag"))
    .limit(sa.bindparam("limit"))
)
_FORGET_VALUES = Statement(
    sa.delete(t.query_tag_values).where(
        sa.tuple_(_v.level, _v.resource, _v.tag, _v.position).in_(_SOME_VALUES)
    )
)
_FORGET_ERRORS = Statement(sa.delete(t.query_tag_errors).where(_x.tag == sa.bindparam("tag")))
_FORGET_LOSSES = Statement(
    sa.delete(t.query_tag_losses).where(t.query_tag_losses.c.tag == sa.bindparam("tag"))
)


def forget_values(session: Session, key: int, limit: int) -> int:
    """Delete up to `limit` values of a tag that is not declared any more; gives how many."""
    session.run(_FORGET_ERRORS, {"tag": key})
    session.run(_FORGET_LOSSES, {"tag": key})
    return session.run(_FORGET_VALUES, {"tag": key, "limit": limit})


# -- errors --------------------------------------------------------------------------------------------------

_COUNTS = Statement(sa.select(_x.tag, sa.func.count()).group_by(_x.tag))
_i, _e, _s = t.instances.c, t.series.c, t.studies.c
_ERRORS = Statement(
    sa.select(_s.study_instance_uid, _e.series_instance_uid, _i.sop_instance_uid, _x.reason, _x.created_at)
    .select_from(
        sa.join(t.query_tag_errors, t.instances, _x.instance == _i.id)
        .join(t.series, _i.series == _e.id)
        .join(t.studies, _e.study == _s.id)
    )
    .where(_x.tag == sa.bindparam("tag"))
    .order_by(_x.instance)
    .limit(sa.bindparam("limit"))
    .offset(sa.bindparam("offset"))
)


def error_counts(session: Session) -> dict[int, int]:
    """How many instances have an unfit value, by the keys of tags; those without any are left out."""
    return dict(session.all(_COUNTS))


def errors(session: Session, key: int, offset: int, limit: int) -> list[Row]:
    """(study, series and instance UID, reason, seconds since 1970) of unfit values."""
    return session.all(_ERRORS, {"tag": key, "offset": offset, "limit": limit})


# -- what is stored already ----------------------------------------------------------------------------------

_file = [_i[name] for name in ("file_uuid", "file_compression", "file_stored_size", "file_stored_md5")]
_file += [_i.file_size, _i.file_md5]
_PAGE = Statement(
    sa.select(_s.patient, _e.study, _i.series, _i.id, _i.pixel_data_offset, *_file)
    .select_from(sa.join(t.instances, t.series, _i.series == _e.id).join(t.studies, _e.study == _s.id))
    .where(_i.id > sa.bindparam("after"), _i.id <= sa.bindparam("last"))
    .order_by(_i.id)
    .limit(sa.bindparam("limit"))
)
_LAST = Statement(sa.select(sa.func.max(_i.id)))
_COUNT = Statement(sa.select(sa.func.coalesce(sa.func.sum(t.patients.c.instance_count), 0)))
_STILL_THERE = tuple(
    Statement(
        sa.select(_i.id)
        .where(one_of(_i.id, "keys", sa.BigInteger, dialect))
        .with_for_update(read=True, key_share=True)
    )
    for dialect in ("sqlite", "postgresql")
)


def page(session: Session, after: int, last: int, limit: int) -> list[Row]:
    """Instances with internal ids after one and up to another, in the order of these.

    Internal ids of patient, study, series and instance, offset of the pixel data, columns of the file.
    """
    return session.all(_PAGE, {"after": after, "last": last, "limit": limit})


def last_instance(session: Session) -> int:
    """The greatest internal id of an instance, 0 without any."""
    row = session.one(_LAST)
    return int(row[0] or 0) if row else 0


def count_instances(session: Session) -> int:
    """How many instances there are."""
    row = session.one(_COUNT)
    return int(row[0]) if row else 0


def hold(session: Session, instances: Sequence[int]) -> set[int]:
    """Those of the instances that are still there, and stay so until the transaction ends."""
    statement = _STILL_THERE[session.dialect != "sqlite"]
    return {row[0] for row in session.all(statement, {"keys": keys_for(session, instances)})}


_SNAPSHOT = sa.func.pg_current_snapshot()
_XMAX = Statement(sa.select(sa.cast(sa.cast(sa.func.pg_snapshot_xmax(_SNAPSHOT), sa.Text), sa.BigInteger)))
_XMIN = Statement(sa.select(sa.cast(sa.cast(sa.func.pg_snapshot_xmin(_SNAPSHOT), sa.Text), sa.BigInteger)))

_ME = Statement(sa.select(sa.cast(sa.cast(sa.func.pg_current_xact_id(), sa.Text), sa.BigInteger)))


def next_writer(session: Session) -> int:
    """A number that transactions which have written already are below, and those that begin to write are not."""
    row = session.one(_XMAX) if session.dialect == "postgresql" else None
    return int(row[0]) if row else 0


def this_writer(session: Session) -> int:
    """A number that is greater than those of all transactions that have written before this one."""
    row = session.one(_ME) if session.dialect == "postgresql" else None
    return int(row[0]) if row else 1


def writers_before(session: Session, number: int) -> bool:
    """Whether some transaction is not over yet that `next_writer` or `this_writer` had in mind with that number.

    SQLite has one writer, so nobody is in the middle of a transaction when another one is committed.
    """
    if session.dialect != "postgresql":
        return False
    row = session.one(_XMIN)
    return row is not None and int(row[0]) < number

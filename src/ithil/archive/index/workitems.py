"""The rows of unified procedure steps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Row, Session, Statement

_w, _s = t.workitems.c, t.workitem_subscriptions.c

_ADVISORY_LOCK = 0x17814
"""PostgreSQL's lock of transactions that write workitems, their subscriptions and their events."""


class WorkitemRow(NamedTuple):
    """One workitem; `content` is DICOM JSON, times are in seconds since 1970."""

    uid: str
    state: str
    readiness: str
    transaction_uid: str
    start: str
    patient_id_norm: str
    study_instance_uid: str
    created_at: float
    changed_at: float
    ended_at: float | None
    content: bytes


PAGE_BYTES = 4 * 1024 * 1024
"""Bytes of the contents of a page of more than one workitem, so that a page never takes much memory."""

FILTERS = ("state", "patient_id_norm", "study_instance_uid")
"""The columns that a search can narrow down by."""

_NAMES = WorkitemRow._fields
_one = _w.uid == sa.bindparam("key")
_LOCK = Statement(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
_INSERT = Statement(sa.insert(t.workitems).values({name: sa.bindparam(name) for name in _NAMES}))
_UPDATE = Statement(
    sa.update(t.workitems)
    .where(_one)
    .values({name: sa.bindparam(name) for name in _NAMES if name not in ("uid", "created_at")})
)
_READ = Statement(sa.select(*(_w[name] for name in _NAMES)).where(_one))
_is_old = sa.and_(
    _w.ended_at < sa.bindparam("before"),
    sa.or_(
        _w.ended_at < sa.bindparam("locked_before"),
        ~sa.exists().where(_s.uid == _w.uid, _s.locked.is_(sa.true())),
    ),
)
_OLD = Statement(sa.select(_w.uid).where(_is_old).limit(sa.bindparam("limit")))
_DELETE = Statement(sa.delete(t.workitems).where(_one))
_DELETE_SUBSCRIPTIONS = Statement(sa.delete(t.workitem_subscriptions).where(_s.uid == sa.bindparam("key")))


def lock(session: Session) -> None:
    """Let the other transactions that write workitems wait for this one.

    So an event never becomes visible after one with a greater number, and nobody who subscribes to
    everything misses a workitem that is created at the same moment. SQLite has one writer anyway.
    """
    if session.dialect == "postgresql":
        session.run(_LOCK)


def insert(session: Session, row: WorkitemRow) -> None:
    """Add a workitem."""
    session.run(_INSERT, row._asdict())


def update(session: Session, row: WorkitemRow) -> None:
    """Change a workitem, all but its UID and when it was created."""
    values = row._asdict()
    session.run(_UPDATE, {**values, "key": row.uid})


def read(session: Session, uid: str) -> WorkitemRow | None:
    """The workitem with that UID."""
    row = session.one(_READ, {"key": uid})
    return None if row is None else _row(row)


def page(session: Session, filters: dict[str, str], after: tuple[str, str], limit: int) -> list[WorkitemRow]:
    """Workitems by start and UID, from the one after `after` on; `filters` are values of `FILTERS`.

    There are `limit` of them or what `PAGE_BYTES` hold, whichever is less; [] only after the last one.
    """
    parameters = {**filters, "after_start": after[0], "after_uid": after[1]}
    return _bounded(session, _page(tuple(sorted(filters))), parameters, limit)


def page_by_uid(session: Session, after: str, limit: int) -> list[WorkitemRow]:
    """The same by UID, an order that no change of a workitem changes."""
    return _bounded(session, _PAGE_BY_UID, {"after": after}, limit)


def old(session: Session, before: float, locked_before: float, limit: int) -> list[str]:
    """UIDs of workitems that ended before `before` and that nobody has locked since `locked_before`."""
    found = session.all(_OLD, {"before": before, "locked_before": locked_before, "limit": limit})
    return [row[0] for row in found]


def delete(session: Session, uids: Sequence[str]) -> None:
    """Forget workitems and who is subscribed to them."""
    keys = [{"key": uid} for uid in uids]
    session.run_many(_DELETE, keys)
    session.run_many(_DELETE_SUBSCRIPTIONS, keys)


_Pages = tuple[Statement, Statement]
"""The sizes of what is on a page, and its rows."""


def _pages(condition: sa.ColumnElement[bool], *order: sa.ColumnElement[str]) -> _Pages:
    sizes = sa.select(sa.func.length(_w.content)).where(condition)
    rows = sa.select(*(_w[name] for name in _NAMES)).where(condition)
    limit: sa.BindParameter[int] = sa.bindparam("limit")
    return Statement(sizes.order_by(*order).limit(limit)), Statement(rows.order_by(*order).limit(limit))


_PAGE_BY_UID = _pages(_w.uid > sa.bindparam("after"), _w.uid)


@lru_cache(maxsize=8)
def _page(filters: tuple[str, ...]) -> _Pages:
    later = sa.tuple_(_w.start, _w.uid) > sa.tuple_(sa.bindparam("after_start"), sa.bindparam("after_uid"))
    wanted = [_w[name] == sa.bindparam(name) for name in filters]
    return _pages(sa.and_(later, *wanted), _w.start, _w.uid)


def _bounded(session: Session, pages: _Pages, parameters: dict[str, str], limit: int) -> list[WorkitemRow]:
    sizes, rows = pages
    count, total = 0, 0
    for (size,) in session.all(sizes, {**parameters, "limit": limit}):
        total += size
        if count and total > PAGE_BYTES:
            break
        count += 1
    if not count:
        return []
    return [_row(row) for row in session.all(rows, {**parameters, "limit": count})]


def _row(row: Row) -> WorkitemRow:
    *values, content = row
    return WorkitemRow._make((*values, bytes(content)))

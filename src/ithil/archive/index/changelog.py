"""The change log: an entry for everything that happens to a resource, with a number that only grows.

Readers (the REST route, plugins, the outbox) keep the last number they have seen. So a number must never
become visible after a greater one: SQLite has one writer anyway, and in PostgreSQL a transaction takes a lock
before it draws numbers and holds it until its commit.

The log also feeds the change feed of DICOMweb (`index/change_feed.py`), which tells of instances that are gone too.
Their entries stay, hidden from the readers of Orthanc's log, and so they do when that log is cleared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import many_rows
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement
from ithil.archive.model import Change, Changes
from ithil.dicom.level import Level

DELETED = "Deleted"
GONE = "GoneInstance"
"""What a `NewInstance` becomes when the instance is deleted or replaced."""

HIDDEN = (DELETED, GONE)
"""The kinds that only internal readers see: Orthanc's log does not have them."""


_ADVISORY_LOCK = 0x17812  # PostgreSQL's lock of transactions that write to the change log


@dataclass(frozen=True, slots=True)
class Entry:
    """A change that is about to be logged; `resource` is the internal id, None if the row is gone.

    `uids` are the three UIDs of an instance that is gone, as a JSON array. `replaces` tells of a new
    instance that it took the place of one with the same identifiers.
    """

    kind: str
    level: Level
    resource: int | None
    public_id: str
    uids: str | None = None
    replaces: bool | None = None


_c = t.changes.c
_LOCK = Statement(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
_COLUMNS = ("kind", "level", "resource", "public_id", "date", "uids", "replaces", "gone")
_INSERT = Statement(sa.insert(t.changes).values({name: sa.bindparam(name) for name in _COLUMNS}))
_GREATEST = Statement(sa.select(sa.func.max(_c.seq)))

# Clearing the log must not make readers believe that it starts anew: the last number is kept as a property.
_CLEARED = "LastChangeBeforeClear"
_OF_FEED = sa.or_(*(_c.kind == kind for kind in ("NewInstance", *HIDDEN)))
_CLEAR = Statement(sa.delete(t.changes).where(sa.not_(sa.and_(_c.level == int(Level.INSTANCE), _OF_FEED))))
_READ_CLEARED = Statement(sa.select(t.properties.c.value).where(t.properties.c.name == _CLEARED))
_AFTER_CLEARED = _c.seq > sa.func.coalesce(
    sa.select(sa.cast(t.properties.c.value, sa.BigInteger))
    .where(t.properties.c.name == _CLEARED)
    .scalar_subquery(),
    0,
)
_SHOWN = (*(_c.kind != kind for kind in HIDDEN), _AFTER_CLEARED)
# Looked for from the end, where it nearly always is the first row.
_NEWEST = Statement(sa.select(_c.seq).where(*_SHOWN).order_by(_c.seq.desc()).limit(1))


def _keep(insert: Callable[[Any], Any]) -> Any:
    statement = insert(t.properties).values(name=_CLEARED, value=sa.bindparam("value"))
    return statement.on_conflict_do_update(index_elements=["name"], set_={"value": statement.excluded.value})


_KEEP_CLEARED = Statement(_keep(sqlite_insert), postgresql=_keep(postgresql_insert))


def record(session: Session, entries: Sequence[Entry], date: str) -> None:
    """Append `entries` in their order. To be called last in a transaction, since it holds up other ones."""
    if not entries:
        return
    if session.dialect == "postgresql":
        session.run(_LOCK)
    rows = [
        (
            entry.kind,
            int(entry.level),
            entry.resource,
            entry.public_id,
            date,
            entry.uids,
            entry.replaces,
            date if entry.kind == DELETED else None,
        )
        for entry in entries
    ]
    if session.dialect == "sqlite":
        many_rows.insert(session, t.changes.name, _COLUMNS, rows)
    else:
        session.run_many(_INSERT, [dict(zip(_COLUMNS, row, strict=True)) for row in rows])


def _page(kinds: Sequence[str] | None, *, backwards: bool) -> Statement:
    query = sa.select(_c.seq, _c.kind, _c.level, _c.public_id, _c.date).limit(sa.bindparam("limit"))
    query = query.where(*_SHOWN)
    if kinds is not None:
        query = query.where(sa.or_(sa.false(), *(_c.kind == kind for kind in kinds)))
    if backwards:
        query = query.where(_c.seq <= sa.bindparam("to")).order_by(_c.seq.desc())
    else:
        query = query.where(_c.seq > sa.bindparam("since"), _c.seq <= sa.bindparam("to")).order_by(_c.seq)
    return Statement(query)


_FORWARDS = _page(None, backwards=False)
_BACKWARDS = _page(None, backwards=True)
_END = 2**62


def page(
    session: Session,
    since: int,
    limit: int,
    to: int | None = None,
    kinds: Sequence[str] | None = None,
) -> Changes:
    """Up to `limit` entries after `since` and up to `to`, oldest first.

    With `to` and no `since` (zero), the newest entries up to `to` are looked for backwards, as clients do
    that follow the log from its end. `done` is false if there are more in the direction of the search.
    """
    backwards = to is not None and since == 0
    statement = _BACKWARDS if backwards else _FORWARDS
    if kinds is not None:
        statement = _page(kinds, backwards=backwards)
    values = {
        "since": min(since, _END),
        "to": _END if to is None else max(-1, min(to, _END)),
        "limit": min(limit, _END) + 1,
    }
    rows = session.all(statement, values)
    if not rows or not limit:
        last = last_seq(session)
        rows = session.all(statement, values)  # what was committed before `last` was asked for shows now
    done = len(rows) <= limit
    rows = rows[:limit]
    if backwards:
        rows.reverse()
    found = [Change(seq, kind, Level(level), public_id, date) for seq, kind, level, public_id, date in rows]
    if found:
        last = found[-1].seq
    return Changes(found, done, last, found[0].seq if found else None)


def newest(session: Session) -> Changes:
    """The newest entry alone."""
    row = session.one(_NEWEST)
    if row is None:
        return Changes([], True, last_seq(session))
    return page(session, row[0] - 1, 1)


def last_seq(session: Session) -> int:
    """The greatest number that an entry ever had; 0 in a new archive.

    Of those whose transactions are committed: the database's own sequence would also tell of numbers that
    have been drawn and cannot be seen yet, and a reader who goes on from there would miss them.
    """
    greatest, cleared = session.one(_GREATEST), session.one(_READ_CLEARED)
    return max(greatest[0] or 0 if greatest else 0, int(cleared[0]) if cleared else 0)


def clear(session: Session) -> None:
    """Forget all entries, as Orthanc's readers see it. Their numbers are not used again.

    Those of new and deleted instances stay for the change feed, and are not shown any more.
    """
    if session.dialect == "postgresql":
        session.run(_LOCK)
    session.run(_KEEP_CLEARED, {"value": str(last_seq(session))})
    session.run(_CLEAR)

"""Which resources have become stable: no instance has arrived for `StableAge` seconds.

The deadline is a column that every arriving instance moves, so it survives a restart, and the UPDATE that
clears it succeeds in one process only, whichever asks first.
"""

from __future__ import annotations

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.changelog import Entry, record
from ithil.archive.index.statement import Session, Statement
from ithil.dicom.level import Level

_LEVELS = (Level.SERIES, Level.STUDY, Level.PATIENT)


def _due(level: Level) -> Statement:
    c = t.BY_LEVEL[level].c
    return Statement(
        sa.select(c.id, c.public_id)
        .where(c.stable_at <= sa.bindparam("now"))
        .order_by(c.stable_at)
        .limit(sa.bindparam("limit"))
    )


def _settle(level: Level) -> Statement:
    table = t.BY_LEVEL[level]
    return Statement(
        sa.update(table)
        .where(table.c.id == sa.bindparam("resource"), table.c.stable_at <= sa.bindparam("now"))
        .values(stable_at=None)
    )


_DUE = {level: _due(level) for level in _LEVELS}
_SETTLE = {level: _settle(level) for level in _LEVELS}


def is_due(session: Session, now: float) -> bool:
    """Whether `settle` would find anything; a read, so that an idle archive writes nothing."""
    return any(session.one(_DUE[level], {"now": now, "limit": 1}) is not None for level in _LEVELS)


def settle(session: Session, now: float, date: str, limit: int = 500) -> list[Entry]:
    """Mark up to `limit` resources of each level as stable, log it, and tell which they were."""
    entries = [
        Entry(f"Stable{level.singular}", level, resource, public_id)
        for level in _LEVELS
        for resource, public_id in session.all(_DUE[level], {"now": now, "limit": limit})
        if session.run(_SETTLE[level], {"resource": resource, "now": now})
    ]
    record(session, entries, date)
    return entries

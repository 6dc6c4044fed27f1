"""Which resources have become stable: no instance has arrived for `StableAge` seconds.

The deadline is a column, so it survives a restart, and the UPDATE that clears it succeeds in one process only,
whichever asks first. Instances that arrive later only note when; a deadline that turns out to be too early is
put off by whoever looks.
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
        sa.select(c.id, c.public_id, c.arrived_at)
        .where(c.stable_at <= sa.bindparam("now"))
        .order_by(c.stable_at)
        .limit(sa.bindparam("limit"))
    )


def _settle(level: Level, *, put_off: bool) -> Statement:
    """Clear or move the deadline, unless another process did or another instance arrived."""
    c = t.BY_LEVEL[level].c
    return Statement(
        sa.update(t.BY_LEVEL[level])
        .where(
            c.id == sa.bindparam("resource"),
            c.stable_at <= sa.bindparam("now"),
            c.arrived_at == sa.bindparam("arrived"),
        )
        .values(stable_at=sa.bindparam("deadline") if put_off else sa.null())
    )


_DUE = {level: _due(level) for level in _LEVELS}
_SETTLE = {level: _settle(level, put_off=False) for level in _LEVELS}
_PUT_OFF = {level: _settle(level, put_off=True) for level in _LEVELS}


def is_due(session: Session, now: float) -> bool:
    """Whether `settle` would find anything; a read, so that an idle archive writes nothing."""
    return any(session.one(_DUE[level], {"now": now, "limit": 1}) is not None for level in _LEVELS)


def settle(session: Session, now: float, date: str, stable_age: float, limit: int = 500) -> list[Entry]:
    """Mark up to `limit` resources of each level as stable, log it, and tell which they were.

    `now` is in seconds since 1970, `stable_age` in seconds.
    """
    entries: list[Entry] = []
    for level in _LEVELS:
        for resource, public_id, arrived_at in session.all(_DUE[level], {"now": now, "limit": limit}):
            deadline = arrived_at + stable_age
            values = {"resource": resource, "now": now, "arrived": arrived_at, "deadline": deadline}
            if deadline > now:
                session.run(_PUT_OFF[level], values)
            elif session.run(_SETTLE[level], values):
                entries.append(Entry(f"Stable{level.singular}", level, resource, public_id))
    record(session, entries, date)
    return entries

"""The rows behind routing: how far the change log has been followed, and what waits to be sent.

A delivery is a record of the key-value store `RECORDS`. Beside it stands one key in the store of its state:
under the moment when it is due, for those that wait, and under its own id for the others. So what is due is the
beginning of a range of keys, however much waits. Keys begin with as many digits as they need, so that every
database sorts them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import key_values
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement

RECORDS = "ithil-routing"
_CURSOR = "RoutingCursor"
_HERE = b"1"

_k, _p = t.key_values.c, t.properties.c


def _begin(insert: Callable[[Any], Any]) -> Any:
    statement = insert(t.properties).values(name=_CURSOR, value=sa.bindparam("value"))
    return statement.on_conflict_do_nothing(index_elements=["name"])


_BEGIN = Statement(_begin(sqlite_insert), postgresql=_begin(postgresql_insert))
_READ = Statement(sa.select(_p.value).where(_p.name == _CURSOR))
_ADVANCE = Statement(
    sa.update(t.properties)
    .where(_p.name == _CURSOR, _p.value == sa.bindparam("before"))
    .values(value=sa.bindparam("after"))
)
_PAGE = Statement(
    sa.select(_k.key, _k.value)
    .where(_k.store == sa.bindparam("store"), _k.key > sa.bindparam("after"))
    .order_by(_k.key)
    .limit(sa.bindparam("limit"))
)
_DUE = Statement(
    sa.select(_k.key)
    .where(_k.store == sa.bindparam("store"), _k.key < sa.bindparam("until"))
    .order_by(_k.key)
    .limit(sa.bindparam("limit"))
)
_COUNT = Statement(
    sa.select(sa.func.count()).select_from(t.key_values).where(_k.store == sa.bindparam("store"))
)
_TAKE = Statement(
    sa.delete(t.key_values).where(_k.store == sa.bindparam("store"), _k.key == sa.bindparam("key"))
)


def cursor(session: Session) -> int | None:
    """The number of the last change that was looked at, None if none ever was."""
    row = session.one(_READ)
    return int(row[0]) if row else None


def begin(session: Session, seq: int) -> None:
    """Begin to follow the log after a number, if nobody has begun yet."""
    session.run(_BEGIN, {"value": str(seq)})


def advance(session: Session, before: int, after: int) -> bool:
    """Note that the log was followed from one number to another; False if somebody else has been faster."""
    return bool(session.run(_ADVANCE, {"before": str(before), "after": str(after)}))


def store_of(state: str) -> str:
    """The store whose keys are the deliveries in that state."""
    return f"{RECORDS}-{state.lower()}"


def moment(seconds: float) -> str:
    """A time in seconds since 1970 as the beginning of a key."""
    return f"{max(0, int(seconds * 1000)):016d}"


def put(session: Session, key: str, record: bytes, state: str, place: str) -> None:
    """Write a delivery, and its key `place` among those of its state."""
    key_values.put(session, RECORDS, key, record)
    key_values.put(session, store_of(state), place, _HERE)


def read(session: Session, key: str) -> bytes | None:
    """The record of a delivery."""
    return key_values.get(session, RECORDS, key)


def take(session: Session, state: str, place: str) -> bool:
    """Take a delivery out of its state; False if it is not there any more."""
    return bool(session.run(_TAKE, {"store": store_of(state), "key": place}))


def forget(session: Session, key: str) -> None:
    """Delete the record of a delivery."""
    key_values.delete(session, RECORDS, key)


def places(session: Session, state: str, limit: int) -> Sequence[str]:
    """The first keys of the deliveries in a state."""
    return [row[0] for row in session.all(_PAGE, {"store": store_of(state), "after": "", "limit": limit})]


def due(session: Session, state: str, seconds: float, limit: int) -> Sequence[str]:
    """The keys of those that are due at a moment, in the order in which they are."""
    values = {"store": store_of(state), "until": moment(seconds + 0.001), "limit": limit}
    return [row[0] for row in session.all(_DUE, values)]


def page(session: Session, after: str, limit: int) -> Sequence[bytes]:
    """The records after a key, in the order of their keys."""
    rows = session.all(_PAGE, {"store": RECORDS, "after": after, "limit": limit})
    return [bytes(row[1]) for row in rows]


def count(session: Session, state: str) -> int:
    """How many deliveries are in a state."""
    row = session.one(_COUNT, {"store": store_of(state)})
    return int(row[0]) if row else 0

"""The rows of key-value stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement

_k = t.key_values.c
_ONE = (_k.store == sa.bindparam("store"), _k.key == sa.bindparam("key"))


def _put(insert: Callable[[Any], Any]) -> Any:
    statement = insert(t.key_values).values({name: sa.bindparam(name) for name in ("store", "key", "value")})
    return statement.on_conflict_do_update(
        index_elements=["store", "key"], set_={"value": statement.excluded.value}
    )


_PUT = Statement(_put(sqlite_insert), postgresql=_put(postgresql_insert))
_GET = Statement(sa.select(_k.value).where(*_ONE))
_DELETE = Statement(sa.delete(t.key_values).where(*_ONE))
_NEXT = Statement(
    sa.select(_k.key, _k.value)
    .where(_k.store == sa.bindparam("store"), _k.key > sa.bindparam("after"))
    .order_by(_k.key)
    .limit(1)
)
_FIRST = Statement(
    sa.select(_k.key, _k.value).where(_k.store == sa.bindparam("store")).order_by(_k.key).limit(1)
)


def put(session: Session, store: str, key: str, value: bytes) -> None:
    """Set the value of a key."""
    session.run(_PUT, {"store": store, "key": key, "value": value})


def get(session: Session, store: str, key: str) -> bytes | None:
    """The value of a key, or None."""
    row = session.one(_GET, {"store": store, "key": key})
    return bytes(row[0]) if row else None


def delete(session: Session, store: str, key: str) -> None:
    """Forget a key, if it is there."""
    session.run(_DELETE, {"store": store, "key": key})


def following(session: Session, store: str, after: str | None) -> tuple[str, bytes] | None:
    """The entry after a key, or the first one, in the database's order of keys; None at the end."""
    if after is None:
        row = session.one(_FIRST, {"store": store})
    else:
        row = session.one(_NEXT, {"store": store, "after": after})
    return (row[0], bytes(row[1])) if row else None

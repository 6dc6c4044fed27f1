"""The rows of modalities and peers that are kept in the database: JSON by kind and name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement

_r = t.remotes.c
_ONE = (_r.kind == sa.bindparam("kind"), _r.name == sa.bindparam("name"))


def _put(insert: Callable[[Any], Any]) -> Any:
    statement = insert(t.remotes).values({name: sa.bindparam(name) for name in ("kind", "name", "value")})
    return statement.on_conflict_do_update(
        index_elements=["kind", "name"], set_={"value": statement.excluded.value}
    )


_PUT = Statement(_put(sqlite_insert), postgresql=_put(postgresql_insert))
_ALL = Statement(sa.select(_r.name, _r.value).where(_r.kind == sa.bindparam("kind")).order_by(_r.name))
_DELETE = Statement(sa.delete(t.remotes).where(*_ONE))
_COUNT = Statement(sa.select(sa.func.count()).select_from(t.remotes).where(_r.kind == sa.bindparam("kind")))


def every(session: Session, kind: str) -> dict[str, str]:
    """The JSON of all remotes of a kind, by name."""
    return dict(session.all(_ALL, {"kind": kind}))


def put(session: Session, kind: str, name: str, value: str) -> None:
    """Add or replace one."""
    session.run(_PUT, {"kind": kind, "name": name, "value": value})


def delete(session: Session, kind: str, name: str) -> bool:
    """Forget one; False if there is none."""
    return bool(session.run(_DELETE, {"kind": kind, "name": name}))


def count(session: Session, kind: str) -> int:
    """How many there are of a kind."""
    row = session.one(_COUNT, {"kind": kind})
    return int(row[0]) if row else 0

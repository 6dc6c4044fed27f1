"""The rows of metadata that can change, with their revisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement
from ithil.archive.model import MetadataValue
from ithil.dicom.level import Level

_m = t.metadata.c
_ONE = (
    _m.level == sa.bindparam("level"),
    _m.resource == sa.bindparam("resource"),
    _m.type == sa.bindparam("type"),
)
_GET = Statement(sa.select(_m.value, _m.revision).where(*_ONE))
_DELETE = Statement(sa.delete(t.metadata).where(*_ONE))


def _put(insert: Callable[[Any], Any]) -> Any:
    names = ("level", "resource", "type", "value", "revision")
    statement = insert(t.metadata).values({name: sa.bindparam(name) for name in names})
    return statement.on_conflict_do_update(
        index_elements=["level", "resource", "type"],
        set_={"value": statement.excluded.value, "revision": statement.excluded.revision},
    )


_PUT = Statement(_put(sqlite_insert), postgresql=_put(postgresql_insert))


def get(session: Session, level: Level, resource: int, number: int) -> MetadataValue | None:
    """A metadata that was set after its resource came into being, or None."""
    row = session.one(_GET, {"level": int(level), "resource": resource, "type": number})
    return MetadataValue(row[0], row[1]) if row else None


def put(session: Session, level: Level, resource: int, number: int, entry: MetadataValue) -> None:
    """Set a metadata and its revision."""
    session.run(
        _PUT,
        {
            "level": int(level),
            "resource": resource,
            "type": number,
            "value": entry.value,
            "revision": entry.revision,
        },
    )


def delete(session: Session, level: Level, resource: int, number: int) -> bool:
    """Forget a metadata; False if there is none."""
    return bool(session.run(_DELETE, {"level": int(level), "resource": resource, "type": number}))

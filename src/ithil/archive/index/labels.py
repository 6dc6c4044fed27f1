"""The rows of labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement
from ithil.dicom.level import Level

_l = t.labels.c


def _add(insert: Callable[[Any], Any]) -> Any:
    statement = insert(t.labels).values({name: sa.bindparam(name) for name in ("level", "resource", "label")})
    return statement.on_conflict_do_nothing(index_elements=["level", "resource", "label"])


_ADD = Statement(_add(sqlite_insert), postgresql=_add(postgresql_insert))
_REMOVE = Statement(
    sa.delete(t.labels).where(
        _l.level == sa.bindparam("level"),
        _l.resource == sa.bindparam("resource"),
        _l.label == sa.bindparam("label"),
    )
)


def add(session: Session, level: Level, resource: int, label: str) -> None:
    """Put a label on a resource that may have it already."""
    session.run(_ADD, {"level": int(level), "resource": resource, "label": label})


def remove(session: Session, level: Level, resource: int, label: str) -> None:
    """Take a label off a resource that may not have it."""
    session.run(_REMOVE, {"level": int(level), "resource": resource, "label": label})

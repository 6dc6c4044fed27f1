"""The table in which the version before this one kept small instances whose files may not have reached the disk."""

from __future__ import annotations

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement

_c = t.intake.c
_FIRST = Statement(
    sa.select(_c.instance, _c.uuid, _c.content, t.instances.c.file_uuid)
    .join_from(t.intake, t.instances, t.instances.c.id == _c.instance, isouter=True)
    .limit(1)
)
_DROP = Statement(sa.delete(t.intake).where(_c.instance == sa.bindparam("instance")))


def first(session: Session) -> tuple[int, str, bytes | None] | None:
    """(instance, uuid, content) of a row, the content only if the instance has that file still; None at the end."""
    row = session.one(_FIRST)
    return None if row is None else (row[0], row[1], bytes(row[2]) if row[1] == row[3] else None)


def drop(session: Session, instance: int) -> None:
    """The file of that row is on the disk."""
    session.run(_DROP, {"instance": instance})

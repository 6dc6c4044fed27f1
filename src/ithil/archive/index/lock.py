"""Holding a resource still while something is hung on it.

A delete takes what hangs on a resource before it takes the row itself. Whoever adds a label, a metadata or an
attachment therefore locks the row first, so that the delete waits for it, or it finds that the row is gone.
SQLite has one writer and needs no lock.
"""

from __future__ import annotations

import sqlalchemy as sa

from ithil import error_codes as codes
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement
from ithil.dicom.level import Level
from ithil.error_codes import CodedError

# FOR NO KEY UPDATE: instances may be added to a series meanwhile.
_LOCK = tuple(
    Statement(
        sa.select(table.c.id)
        .where(table.c.public_id == sa.bindparam("public_id"))
        .with_for_update(key_share=True)
    )
    for table in t.BY_LEVEL
)


def lock(session: Session, level: Level, public_id: str) -> int:
    """The internal id of a resource, which stays until the transaction ends.

    Raises CodedError (unknown resource).
    """
    row = session.one(_LOCK[level], {"public_id": public_id})
    if row is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    return int(row[0])

"""The rows that tell how far each segment of a journal is in the index (archive/intake.py).

A row changes in the transaction that adds the instances, so that after a crash both are there or neither.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement

_j = t.journals.c
_COLUMNS = ("segment", "generation", "done")


def _put(insert: Callable[[Any], Any]) -> Any:
    statement = insert(t.journals).values({name: sa.bindparam(name) for name in _COLUMNS})
    return statement.on_conflict_do_update(
        index_elements=["segment"],
        set_={"generation": statement.excluded.generation, "done": statement.excluded.done},
    )


_PUT = Statement(_put(sqlite_insert), postgresql=_put(postgresql_insert))
_GET = Statement(sa.select(_j.generation, _j.done).where(_j.segment == sa.bindparam("segment")))
_FORGET = Statement(sa.delete(t.journals).where(_j.segment == sa.bindparam("segment")))


def advance(session: Session, segment: str, generation: int, done: int) -> None:
    """All records of the segment's generation with a number below `done` are in the index with this transaction."""
    session.run(_PUT, {"segment": segment, "generation": generation, "done": done})


def done(session: Session, segment: str, generation: int) -> int:
    """The number of the first record of that generation that may not be in the index."""
    row = session.one(_GET, {"segment": segment})
    if row is None or row[0] < generation:
        return 0
    return int(row[1]) if row[0] == generation else sys.maxsize


def forget(session: Session, segments: Sequence[str]) -> None:
    """The segments are no more."""
    session.run_many(_FORGET, [{"segment": segment} for segment in segments])

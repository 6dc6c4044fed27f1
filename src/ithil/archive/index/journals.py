"""The rows that tell how far each segment of a journal is in the index (archive/intake.py).

A row changes in the transaction that adds the instances, so that after a crash both are there or neither.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement

_j = t.journals.c
_COLUMNS = ("segment", "generation", "done", "pending")


def _put(insert: Callable[[Any], Any]) -> Any:
    statement = insert(t.journals).values({name: sa.bindparam(name) for name in _COLUMNS})
    return statement.on_conflict_do_update(
        index_elements=["segment"],
        set_={name: statement.excluded[name] for name in _COLUMNS[1:]},
    )


_PUT = Statement(_put(sqlite_insert), postgresql=_put(postgresql_insert))
_GET = Statement(sa.select(_j.generation, _j.done, _j.pending).where(_j.segment == sa.bindparam("segment")))
_FORGET = Statement(sa.delete(t.journals).where(_j.segment == sa.bindparam("segment")))


@dataclass(frozen=True, slots=True)
class Position:
    """How far a segment is in the index: all records below `done` are, but for those in `pending`."""

    segment: str
    generation: int
    done: int
    pending: Collection[int] = ()

    def lacks(self, generation: int, number: int) -> bool:
        """Whether that record is not in the index."""
        if generation != self.generation:
            return generation > self.generation
        return number >= self.done or number in self.pending


def write(session: Session, position: Position) -> None:
    """Say how far a segment is with this transaction."""
    session.run(
        _PUT,
        {
            "segment": position.segment,
            "generation": position.generation,
            "done": position.done,
            "pending": orjson.dumps(sorted(position.pending)).decode(),
        },
    )


def read(session: Session, segment: str) -> Position:
    """How far a segment is."""
    row = session.one(_GET, {"segment": segment})
    if row is None:
        return Position(segment, 0, 0)
    return Position(segment, row[0], row[1], frozenset(orjson.loads(row[2])))


def forget(session: Session, segments: Sequence[str]) -> None:
    """The segments are no more."""
    session.run_many(_FORGET, [{"segment": segment} for segment in segments])

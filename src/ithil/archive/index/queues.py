"""The rows of queues.

Who takes a value locks its row and passes over rows that others have locked, so that no two processes get the
same one and none waits for another. SQLite has one writer and needs no locks.
"""

from __future__ import annotations

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement

_q = t.queues.c
_PUT = Statement(sa.insert(t.queues).values(queue=sa.bindparam("queue"), value=sa.bindparam("value")))
_SIZE = Statement(sa.select(sa.func.count()).select_from(t.queues).where(_q.queue == sa.bindparam("queue")))
_REMOVE = Statement(
    sa.delete(t.queues).where(_q.seq == sa.bindparam("seq"), _q.queue == sa.bindparam("queue"))
)
_RESERVE = Statement(
    sa.update(t.queues).where(_q.seq == sa.bindparam("seq")).values(reserved_until=sa.bindparam("until"))
)


def _next(*, backwards: bool) -> Statement:
    return Statement(
        sa.select(_q.seq, _q.value)
        .where(
            _q.queue == sa.bindparam("queue"),
            sa.or_(_q.reserved_until.is_(None), _q.reserved_until <= sa.bindparam("now")),
        )
        .order_by(_q.seq.desc() if backwards else _q.seq)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


_FRONT, _BACK = _next(backwards=False), _next(backwards=True)


def put(session: Session, queue: str, value: bytes) -> None:
    """Append a value."""
    session.run(_PUT, {"queue": queue, "value": value})


def following(session: Session, queue: str, now: float, *, back: bool) -> tuple[int, bytes] | None:
    """The number and value of the oldest (or newest) value that nobody has reserved at `now`; it is locked."""
    row = session.one(_BACK if back else _FRONT, {"queue": queue, "now": now})
    return (row[0], bytes(row[1])) if row else None


def reserve(session: Session, seq: int, until: float) -> None:
    """Hide a value from others until then (seconds since 1970)."""
    session.run(_RESERVE, {"seq": seq, "until": until})


def remove(session: Session, queue: str, seq: int) -> bool:
    """Forget a value; False if it is not there."""
    return bool(session.run(_REMOVE, {"queue": queue, "seq": seq}))


def size(session: Session, queue: str) -> int:
    """How many values there are, the reserved ones included."""
    row = session.one(_SIZE, {"queue": queue})
    return int(row[0]) if row else 0

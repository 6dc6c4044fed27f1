"""The statements of the change feed: what became of instances, out of the rows of the change log.

The log has one row for the arrival of each instance anyway. While the instance is there its UIDs come from its own
row; when it goes, `index.remove` leaves the row of its arrival in the log with the UIDs in it. So the feed costs
ingest nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from ithil.archive.errors import IndexBusy
from ithil.archive.index import tables as t
from ithil.archive.index.changelog import DELETED, GONE
from ithil.archive.index.find_conditions import one_of
from ithil.archive.index.read import keys_for
from ithil.archive.index.statement import Session, Statement
from ithil.dicom.level import Level

_c, _i, _e, _s = t.changes.c, t.instances.c, t.series.c, t.studies.c

_CREATED = sa.or_(_c.kind == "NewInstance", _c.kind == GONE)
_OF_ACTION = {
    "create": sa.and_(_CREATED, _c.replaces.is_(None)),
    "update": sa.and_(_CREATED, _c.replaces.is_not(None)),
    "delete": _c.kind == DELETED,
}
_PUBLIC_ID = 4  # its place in the rows
_TRIES = 10

ACTIONS = tuple(_OF_ACTION)
"""What can have happened to an instance."""


class FeedRow(NamedTuple):
    """A row of the log. The last three are NULL if no instance with these identifiers is stored now."""

    seq: int
    kind: str
    replaces: bool | None
    resource: int | None  # of an arrival: the internal id, if it is still this one that is stored
    public_id: str
    date: str
    uids: str | None
    study: str | None
    series: str | None
    instance: str | None


@lru_cache(maxsize=32)
def _rows(actions: tuple[str, ...], *, newest: bool) -> Statement:
    query: sa.Select[Any] = sa.select(
        *(_c.seq, _c.kind, _c.replaces, _c.resource, _c.public_id, _c.date, _c.uids)
    ).where(
        # Not the column itself: by its index the database would fetch all there is, and then sort it.
        _c.level + sa.literal_column("0") == int(Level.INSTANCE),
        sa.or_(*(_OF_ACTION[action] for action in actions)),
        # What was deleted by a version that kept no UIDs can be told nobody.
        sa.or_(_c.resource.is_not(None), _c.uids.is_not(None)),
    )
    if newest:
        return Statement(query.order_by(_c.seq.desc()).limit(1))
    return Statement(
        query.where(
            _c.seq > sa.bindparam("since"),
            _c.seq <= sa.bindparam("to"),
            _c.date >= sa.bindparam("start"),
            _c.date < sa.bindparam("end"),
        )
        .order_by(_c.seq)
        .limit(sa.bindparam("limit"))
        .offset(sa.bindparam("offset"))
    )


_STORED = tuple(
    Statement(
        sa.select(_i.public_id, _s.study_instance_uid, _e.series_instance_uid, _i.sop_instance_uid)
        .join_from(t.instances, t.series, _i.series == _e.id)
        .join(t.studies, _e.study == _s.id)
        .where(one_of(_i.public_id, "keys", sa.Text, dialect))
    )
    for dialect in ("sqlite", "postgresql")
)


def _read(session: Session, statement: Statement, values: dict[str, Any]) -> list[FeedRow]:
    """The rows together with the UIDs of what is stored."""
    of_stored = _STORED[session.dialect != "sqlite"]
    for _ in range(_TRIES):
        rows = session.all(statement, values)
        if not rows:
            return []
        keys = keys_for(session, list({row[_PUBLIC_ID] for row in rows}))
        stored = {row[0]: row[1:] for row in session.all(of_stored, {"keys": keys})}
        found = [FeedRow(*row, *stored.get(row[_PUBLIC_ID], (None, None, None))) for row in rows]
        # What was deleted between the two statements has left its UIDs in the log.
        if all(row.study is not None or row.uids is not None for row in found):
            return found
    raise IndexBusy("Instances are deleted all the time")


def page(
    session: Session,
    actions: tuple[str, ...],
    *,
    since: int,
    to: int,
    start: str,
    end: str,
    offset: int,
    limit: int,
) -> list[FeedRow]:
    """Up to `limit` rows with `since` < number <= `to` and `start` <= date < `end`, the oldest first."""
    values = {"since": since, "to": to, "start": start, "end": end, "offset": offset, "limit": limit}
    return _read(session, _rows(actions, newest=False), values)


def newest(session: Session, actions: tuple[str, ...]) -> FeedRow | None:
    """The newest row, None if there is none."""
    found = _read(session, _rows(actions, newest=True), {})
    return found[0] if found else None


_AT = Statement(sa.select(_c.seq, _c.date).where(_c.seq >= sa.bindparam("seq")).order_by(_c.seq).limit(1))
_ENDS = Statement(sa.select(sa.func.min(_c.seq), sa.func.max(_c.seq)))


def first_at(session: Session, date: str) -> int:
    """The number of the first entry of the log whose date is not before `date`; beyond the last if there is none.

    Found by halving, for the dates grow with the numbers, but for what processes and clocks differ.
    """
    ends = session.one(_ENDS)
    if ends is None or ends[0] is None:
        return 0
    low, high = ends[0], ends[1] + 1
    while low < high:
        middle = (low + high) // 2
        row = session.one(_AT, {"seq": middle})
        if row is None or row[1] >= date:
            high = middle
        else:
            low = row[0] + 1
    return int(low)


# Never the newest entry of the log: its number is the last one, as readers are told, and must not go back.
_LATER = t.changes.alias()
_OLD = (
    sa.select(_c.seq)
    .where(_c.gone < sa.bindparam("before"), sa.select(_LATER.c.seq).where(_LATER.c.seq > _c.seq).exists())
    .order_by(_c.gone, _c.seq)
    .limit(sa.bindparam("limit"))
)
_FORGET = Statement(sa.delete(t.changes).where(_c.seq.in_(_OLD)))
_OLDEST = Statement(sa.select(_c.gone).where(_c.gone.is_not(None)).order_by(_c.gone).limit(1))


def is_old(session: Session, before: str) -> bool:
    """Whether something that went before that time is still told of."""
    row = session.one(_OLDEST)
    return row is not None and row[0] < before


def forget(session: Session, before: str, limit: int) -> int:
    """Delete up to `limit` entries of what went before that time, arrivals and deletions alike; gives how many."""
    return session.run(_FORGET, {"before": before, "limit": limit})

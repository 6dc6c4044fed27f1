"""The rows of subscriptions to workitems, and of the events that subscribers have not read yet.

An event is one row however many are told of it, and each of them has a row with its number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement

_s, _g, _e, _t, _r, _w = (
    t.workitem_subscriptions.c,
    t.worklist_subscriptions.c,
    t.workitem_events.c,
    t.workitem_recipients.c,
    t.workitem_readers.c,
    t.workitems.c,
)

Insert = Callable[[Any], Any]


class WorklistSubscription(NamedTuple):
    """Who is subscribed to every new workitem, or to those that `filter` takes (JSON)."""

    aetitle: str
    filtered: bool
    locked: bool
    filter: str


class EventRow(NamedTuple):
    """One event; `content` is DICOM JSON."""

    seq: int
    uid: str
    kind: int
    content: str


def _both(make: Callable[[Insert], Any]) -> Statement:
    return Statement(make(sqlite_insert), postgresql=make(postgresql_insert))


def _upsert(table: sa.Table, keys: Sequence[str], values: Sequence[str]) -> Statement:
    def make(insert: Insert) -> Any:
        statement = insert(table).values({name: sa.bindparam(name) for name in (*keys, *values)})
        changed = {name: statement.excluded[name] for name in values}
        return statement.on_conflict_do_update(index_elements=list(keys), set_=changed)

    return _both(make)


def _everything(insert: Insert) -> Any:
    query = sa.select(
        _w.uid, sa.bindparam("aetitle", type_=sa.Text), sa.bindparam("locked", type_=sa.Boolean)
    )
    # SQLite takes ON CONFLICT for a join unless the query before it has a WHERE.
    statement = insert(t.workitem_subscriptions).from_select(
        ["uid", "aetitle", "locked"], query.where(_w.uid != "")
    )
    return statement.on_conflict_do_update(
        index_elements=["uid", "aetitle"], set_={"locked": statement.excluded.locked}
    )


_SUBSCRIBE = _upsert(t.workitem_subscriptions, ("uid", "aetitle"), ("locked",))
_SUBSCRIBE_TO_EVERYTHING = _both(_everything)
_one = sa.and_(_s.uid == sa.bindparam("key"), _s.aetitle == sa.bindparam("title"))
_UNSUBSCRIBE = Statement(sa.delete(t.workitem_subscriptions).where(_one))
_UNSUBSCRIBE_FROM_EVERYTHING = Statement(
    sa.delete(t.workitem_subscriptions).where(_s.aetitle == sa.bindparam("title"))
)
_SUBSCRIBERS = Statement(
    sa.select(_s.aetitle)
    .where(_s.uid == sa.bindparam("key"))
    .order_by(_s.aetitle)
    .limit(sa.bindparam("limit"))
)
_ADD_WORKLIST = _upsert(t.worklist_subscriptions, ("aetitle", "filtered"), ("locked", "filter"))
_worklist = sa.and_(
    _g.aetitle == sa.bindparam("title"), _g.filtered == sa.bindparam("is_filtered", type_=sa.Boolean)
)
_REMOVE_WORKLIST = Statement(sa.delete(t.worklist_subscriptions).where(_worklist))
_WORKLISTS = Statement(
    sa.select(_g.aetitle, _g.filtered, _g.locked, _g.filter)
    .order_by(_g.aetitle, _g.filtered)
    .limit(sa.bindparam("limit"))
)
_STATES = Statement(
    sa.select(_w.uid, _w.state, _w.readiness)
    .where(_w.uid > sa.bindparam("after"))
    .order_by(_w.uid)
    .limit(sa.bindparam("limit"))
)

_EVENT = Statement(
    sa.insert(t.workitem_events).values(
        {name: sa.bindparam(name) for name in ("uid", "kind", "content", "created_at")}
    )
)
_NEWEST = Statement(sa.select(sa.func.max(_e.seq)))
_added = _e.seq > sa.bindparam("before")
_FOR_SUBSCRIBERS = Statement(
    sa.insert(t.workitem_recipients).from_select(
        ["aetitle", "seq"],
        sa.select(_s.aetitle, _e.seq)
        .select_from(t.workitem_events.join(t.workitem_subscriptions, _s.uid == _e.uid))
        .where(_added),
    )
)
_FOR_ONE = Statement(
    sa.insert(t.workitem_recipients).from_select(
        ["aetitle", "seq"], sa.select(sa.bindparam("title", type_=sa.Text), _e.seq).where(_added)
    )
)
_FOLLOWING = Statement(
    sa.select(_e.seq, _e.uid, _e.kind, _e.content)
    .select_from(t.workitem_recipients.join(t.workitem_events, _t.seq == _e.seq))
    .where(_t.aetitle == sa.bindparam("title"), _t.seq > sa.bindparam("since"))
    .order_by(_t.seq)
    .limit(sa.bindparam("limit"))
)
_READ_UNTIL = Statement(sa.select(_r.seq).where(_r.aetitle == sa.bindparam("title")))
_FORGET_SURPLUS = Statement(
    sa.delete(t.workitem_recipients).where(
        _t.aetitle == sa.bindparam("title"), _t.seq <= sa.bindparam("until")
    )
)
_SURPLUS = Statement(
    sa.select(_t.seq)
    .where(_t.aetitle == sa.bindparam("title"))
    .order_by(_t.seq.desc())
    .offset(sa.bindparam("keep"))
    .limit(1)
)
_TITLES = Statement(sa.select(_t.aetitle).distinct())
_SPAN = Statement(sa.select(sa.func.max(_e.seq) - sa.func.min(_e.seq), sa.func.min(_e.created_at)))
_FORGET_OLD = Statement(sa.delete(t.workitem_events).where(_e.created_at < sa.bindparam("before")))
_FORGET_UNTOLD = Statement(sa.delete(t.workitem_events).where(~sa.exists().where(_t.seq == _e.seq)))
_FORGET_READERS = Statement(sa.delete(t.workitem_readers).where(~sa.exists().where(_t.aetitle == _r.aetitle)))


def _advance(insert: Insert) -> Any:
    statement = insert(t.workitem_readers).values(aetitle=sa.bindparam("aetitle"), seq=sa.bindparam("seq"))
    return statement.on_conflict_do_update(
        index_elements=["aetitle"],
        set_={"seq": statement.excluded.seq},
        where=_r.seq < statement.excluded.seq,
    )


_ADVANCE = _both(_advance)


def subscribe(session: Session, uid: str, aetitle: str, locked: bool) -> None:
    """Tell somebody about a workitem, or change whether he locks it."""
    session.run(_SUBSCRIBE, {"uid": uid, "aetitle": aetitle, "locked": locked})


def subscribe_to_everything(session: Session, aetitle: str, locked: bool) -> None:
    """The same for every workitem that is there."""
    session.run(_SUBSCRIBE_TO_EVERYTHING, {"aetitle": aetitle, "locked": locked})


def unsubscribe(session: Session, uid: str, aetitle: str) -> bool:
    """Tell somebody no more about a workitem; False if he was not told."""
    return session.run(_UNSUBSCRIBE, {"key": uid, "title": aetitle}) == 1


def unsubscribe_from_everything(session: Session, aetitle: str) -> None:
    """Tell somebody about no workitem any more that is there."""
    session.run(_UNSUBSCRIBE_FROM_EVERYTHING, {"title": aetitle})


def subscribers(session: Session, uid: str, limit: int) -> list[str]:
    """Who is told about a workitem."""
    return [row[0] for row in session.all(_SUBSCRIBERS, {"key": uid, "limit": limit})]


def add_worklist_subscription(session: Session, subscription: WorklistSubscription) -> None:
    """Subscribe somebody to what comes, in place of what he had before of that kind."""
    session.run(_ADD_WORKLIST, subscription._asdict())


def remove_worklist_subscription(session: Session, aetitle: str, filtered: bool) -> bool:
    """Subscribe somebody no more to what comes; False if he was not."""
    return session.run(_REMOVE_WORKLIST, {"title": aetitle, "is_filtered": filtered}) == 1


def worklist_subscriptions(session: Session, limit: int) -> list[WorklistSubscription]:
    """Who is subscribed to what comes."""
    rows = session.all(_WORKLISTS, {"limit": limit})
    return [WorklistSubscription(row[0], bool(row[1]), bool(row[2]), row[3]) for row in rows]


def states(session: Session, after: str, limit: int) -> list[tuple[str, str, str]]:
    """UID, state and readiness of workitems in the order of their UIDs, from the one after `after` on."""
    return [(row[0], row[1], row[2]) for row in session.all(_STATES, {"after": after, "limit": limit})]


def record(session: Session, events: Sequence[tuple[str, int, str]], now: float, aetitle: str = "") -> None:
    """Add events, each the UID of a workitem, a kind and the content, for `aetitle` or all who are subscribed.

    To be called last, in a transaction that has the lock of workitems: events with greater numbers than there
    were are its own.
    """
    before = newest(session)
    session.run_many(
        _EVENT,
        [{"uid": uid, "kind": kind, "content": content, "created_at": now} for uid, kind, content in events],
    )
    if aetitle:
        session.run(_FOR_ONE, {"title": aetitle, "before": before})
    else:
        session.run(_FOR_SUBSCRIBERS, {"before": before})


def newest(session: Session) -> int:
    """The number of the last event, 0 if there is none."""
    row = session.one(_NEWEST)
    return int(row[0] or 0) if row else 0


def following(session: Session, aetitle: str, since: int, limit: int) -> list[EventRow]:
    """The events for a subscriber after number `since`, the oldest first."""
    rows = session.all(_FOLLOWING, {"title": aetitle, "since": since, "limit": limit})
    return [EventRow(*row) for row in rows]


def read_until(session: Session, aetitle: str) -> int:
    """The number of the last event that a subscriber has got, 0 if he never got one."""
    row = session.one(_READ_UNTIL, {"title": aetitle})
    return int(row[0]) if row else 0


def advance(session: Session, aetitle: str, seq: int) -> None:
    """A subscriber has got all events up to number `seq`."""
    session.run(_ADVANCE, {"aetitle": aetitle, "seq": seq})


def is_any_to_forget(session: Session, before: float, keep: int) -> bool:
    """Whether `forget` may find something."""
    row = session.one(_SPAN)
    return row is not None and row[0] is not None and (row[0] >= keep or row[1] < before)


def forget(session: Session, before: float, keep: int) -> None:
    """Drop events from before `before`, and of each subscriber all but the last `keep`."""
    session.run(_FORGET_OLD, {"before": before})
    for row in session.all(_TITLES):
        surplus = session.one(_SURPLUS, {"title": row[0], "keep": keep})
        if surplus is not None:
            session.run(_FORGET_SURPLUS, {"title": row[0], "until": surplus[0]})
    session.run(_FORGET_UNTOLD)
    session.run(_FORGET_READERS)

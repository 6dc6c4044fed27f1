"""The change feed: what happened to instances, in order, for programs that follow the archive.

Each arrival, replacement and deletion of an instance is an entry with a sequence number. The numbers are those of the
change log (`index/changelog.py`): they only grow, and none becomes visible after a greater one, whichever process
has drawn it. So a reader that goes on behind the last number it has seen misses nothing.

Entries of instances that are stored stay as long as they are. Those of instances that are gone are kept for
`HISTORY_DAYS`, with their UIDs; then a sweep forgets them. Clearing Orthanc's log (`DELETE /changes`) does not
touch the feed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import orjson

from ithil.archive.archive import Archive
from ithil.archive.index import change_feed as rows
from ithil.archive.index.change_feed import ACTIONS, FeedRow
from ithil.archive.index.changelog import DELETED

__all__ = ["ACTIONS", "Entry", "State", "latest", "page", "prune"]

HISTORY_DAYS = 365
"""How long the feed tells of instances that are gone."""

PRUNE_BATCH = 1000
_SLACK = timedelta(minutes=10)
"""How far the order of dates may differ from that of the numbers: clocks of hosts, transactions that waited."""

_FIRST, _LAST = "00000000T000000", "99999999T999999"
_END = 2**62


class State(StrEnum):
    """What is left of the instance as an entry tells of it."""

    CURRENT = "current"
    REPLACED = "replaced"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; `instance_id` is the public id."""

    sequence: int
    action: str  # one of ACTIONS
    state: State
    study: str
    series: str
    instance: str
    timestamp: str  # 2026-11-22T08:44:00Z
    instance_id: str


def page(
    archive: Archive,
    *,
    since: int = 0,
    offset: int = 0,
    limit: int = 100,
    start: datetime | None = None,
    end: datetime | None = None,
    actions: Sequence[str] = ACTIONS,
) -> list[Entry]:
    """Up to `limit` entries with a number greater than `since`, the oldest first, the first `offset` left out.

    `start` and `end` (excluded) bound their times. Raises IndexUnavailable.
    """
    wanted = tuple(action for action in ACTIONS if action in actions)
    if not wanted:
        return []
    to = _END
    with archive.index.read() as session:
        if start is not None:
            since = max(since, rows.first_at(session, _date(start, -_SLACK)) - 1)
        if end is not None:
            to = rows.first_at(session, _date(end, _SLACK)) - 1
        found = rows.page(
            session,
            wanted,
            since=min(since, _END),
            to=to,
            start=_FIRST if start is None else _date(start),
            end=_LAST if end is None else _date(end),
            offset=min(offset, _END),
            limit=limit,
        )
    archive.index.sync()  # a number that was told must not be another's after a crash
    return [_entry(row) for row in found]


def latest(archive: Archive, actions: Sequence[str] = ACTIONS) -> Entry | None:
    """The newest entry, None if there is none. Raises IndexUnavailable."""
    wanted = tuple(action for action in ACTIONS if action in actions)
    if not wanted:
        return None
    with archive.index.read() as session:
        row = rows.newest(session, wanted)
    archive.index.sync()
    return None if row is None else _entry(row)


def prune(archive: Archive, now: float) -> int:
    """Forget a batch of the entries of instances that are gone for longer than `HISTORY_DAYS`; gives how many.

    `now` is in seconds since 1970.
    """
    before = _date(datetime.fromtimestamp(now, UTC), timedelta(days=-HISTORY_DAYS))
    with archive.index.read() as session:
        if not rows.is_old(session, before):
            return 0
    return archive.index.write(lambda session: rows.forget(session, before, PRUNE_BATCH))


def _date(moment: datetime, by: timedelta = timedelta()) -> str:
    """The date of the log at that moment, or of the next whole second, since dates of the log have no fractions."""
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    try:
        moment = moment.astimezone(UTC) + by
        if moment.microsecond:
            moment = moment.replace(microsecond=0) + timedelta(seconds=1)
    except OverflowError:
        return _FIRST if moment.year < 2000 else _LAST
    return f"{moment.year:04}{moment.month:02}{moment.day:02}T{moment:%H%M%S}"


def _entry(row: FeedRow) -> Entry:
    if row.kind == DELETED:
        action = "delete"
    else:
        action = "create" if row.replaces is None else "update"
    if row.study is None:
        state = State.DELETED
        study, series, instance = orjson.loads(row.uids or '["", "", ""]')
    else:
        state = State.REPLACED if row.resource is None else State.CURRENT
        study, series, instance = row.study or "", row.series or "", row.instance or ""
    date = row.date
    timestamp = f"{date[:4]}-{date[4:6]}-{date[6:11]}:{date[11:13]}:{date[13:]}Z"
    return Entry(row.seq, action, state, study, series, instance, timestamp, row.public_id)

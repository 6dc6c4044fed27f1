"""What subscribers of workitems are told (PS3.4 CC.2.4): events as rows, and who is to get each.

An event is written in the transaction that makes it happen, so it comes if and only if that is committed, and
whichever process a subscriber is connected to finds it. Each subscriber has a mark up to which he has read;
who connects again gets what came meanwhile. Events are kept for `KEPT_SECONDS`, so a subscriber who stays away
longer looks at the worklist itself, as PS3.4 CC.2.4.3 allows.

An event is stored once however many subscribers it has, and is small: it says that something has changed, and
the workitem says the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson

from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.index import workitem_events as rows
from ithil.archive.index.statement import Session
from ithil.archive.workitems_model import Attributes, items, put, values
from ithil.archive.workitems_rules import (
    PERFORMERS,
    PROGRESS_INFORMATION,
    READINESS,
    REASON,
    REASON_CODES,
    STATE,
    STATION_NAME,
)

STATE_REPORT: Final = 1
CANCEL_REQUESTED: Final = 2
PROGRESS_REPORT: Final = 3
ASSIGNED: Final = 5

KEPT_SECONDS = 24 * 3600.0
MOST_KEPT = 10_000
"""Events of one subscriber; the oldest are dropped first."""

MOST_SUBSCRIBERS = 1000
"""Who can subscribe to one workitem; there may be more of those who are subscribed to all."""

LARGEST_EVENT = 16 * 1024
"""Bytes of an event; of one that would be larger the longest attributes are left out."""

UPS_EVENT = "1.2.840.10008.5.1.4.34.6.4"

Event = tuple[int, Attributes]
"""Kind and attributes."""

_REQUESTING_AE, _CONTACT_URI, _CONTACT_NAME = "00741236", "0074100A", "0074100C"
_PERFORMER_CODES, _ORGANIZATION = "00404009", "00404036"
_PROGRESS = ("00741004", "00741006", "00741008")


def state_report(state: str, readiness: str, attributes: Attributes | None = None) -> Event:
    """The state is that now; the reason why it was canceled comes along, if `attributes` tell."""
    event: Attributes = {}
    put(event, READINESS, readiness)
    put(event, STATE, state)
    for item in items(attributes, PROGRESS_INFORMATION)[-1:] if attributes else ():
        _copy(item, event, (REASON, REASON_CODES))
    return STATE_REPORT, event


def cancel_requested(request: Attributes, requester: str) -> Event:
    """Somebody wants the workitem canceled."""
    event: Attributes = {}
    _copy(request, event, (REASON, REASON_CODES, _CONTACT_URI, _CONTACT_NAME))
    put(event, _REQUESTING_AE, requester)
    return CANCEL_REQUESTED, event


def assigned(attributes: Attributes) -> Event:
    """Whose the workitem is now."""
    event: Attributes = {}
    _copy(attributes, event, (STATION_NAME,))
    for item in items(attributes, PERFORMERS)[:1]:
        _copy(item, event, (_PERFORMER_CODES, _ORGANIZATION))
    return ASSIGNED, event


def is_assigned(attributes: Attributes) -> bool:
    """Whether the workitem is anybody's."""
    return bool(items(attributes, STATION_NAME) or items(attributes, PERFORMERS))


def of_change(before: Attributes, after: Attributes) -> list[Event]:
    """What there is to tell of a change of attributes."""
    events: list[Event] = []
    if before.get(READINESS) != after.get(READINESS):
        events.append(state_report(_first(after, STATE), _first(after, READINESS), after))
    if any(_differs(before, after, tag) for tag in (STATION_NAME, PERFORMERS)):
        events.append(assigned(after))
    told, now = _progress(before), _progress(after)
    if told != now:
        event: Attributes = {}
        put(event, PROGRESS_INFORMATION, *([_within(now, LARGEST_EVENT // 2)] if now else []))
        events.append((PROGRESS_REPORT, event))
    return events


def tell(session: Session, uid: str, events: Iterable[Event]) -> None:
    """Write events of a workitem for all who are subscribed to it. To be called last in a transaction."""
    found = [_encoded(uid, event) for event in events]
    if found and rows.subscribers(session, uid, 1):
        rows.record(session, found, clock.now()[0])


def tell_one(session: Session, aetitle: str, events: Iterable[tuple[str, Event]]) -> None:
    """Write events, each with the UID of its workitem, for one subscriber."""
    found = [_encoded(uid, event) for uid, event in events]
    if found:
        rows.record(session, found, clock.now()[0], aetitle)


def _encoded(uid: str, event: Event) -> tuple[str, int, str]:
    kind, attributes = event
    return uid, kind, orjson.dumps(_within(attributes, LARGEST_EVENT)).decode()


def _within(attributes: Attributes, room: int) -> Attributes:
    """The attributes that `room` bytes hold, the shortest before the others."""
    kept: set[str] = set()
    for length, tag in sorted((len(orjson.dumps(one)), tag) for tag, one in attributes.items()):
        room -= length + len(tag) + 4  # quotes, colon and comma
        if room < 0:
            break
        kept.add(tag)
    return {tag: one for tag, one in attributes.items() if tag in kept}


# -- reading -------------------------------------------------------------------------------------------------


def newest(archive: Archive) -> int:
    """The number of the last event of all; it grows when there is something to read."""
    with archive.index.read() as session:
        return rows.newest(session)


def read_until(archive: Archive, aetitle: str) -> int:
    """The number of the last event that a subscriber has got."""
    with archive.index.read() as session:
        return rows.read_until(session, aetitle)


def following(archive: Archive, aetitle: str, since: int, limit: int) -> list[tuple[int, bytes]]:
    """Events of a subscriber after number `since`: their numbers and their messages (PS3.18 11.13)."""
    with archive.index.read() as session:
        found = rows.following(session, aetitle, since, limit)
    return [(event.seq, _message(event)) for event in found]


def mark_read(archive: Archive, aetitle: str, seq: int) -> None:
    """A subscriber has got all up to number `seq`, so they are not sent to him again."""
    if not archive.settings.read_only:
        archive.index.write(lambda session: rows.advance(session, aetitle, seq))


def _message(event: rows.EventRow) -> bytes:
    message: Attributes = {}
    put(message, "00000002", UPS_EVENT)
    put(message, "00000110", event.seq % 0xFFFF + 1)  # 16 bits, never 0
    put(message, "00001000", event.uid)
    put(message, "00001002", event.kind)
    return orjson.dumps({**message, **orjson.loads(event.content)}, option=orjson.OPT_SORT_KEYS)


def _copy(source: Attributes, target: Attributes, tags: Iterable[str]) -> None:
    target.update({tag: source[tag] for tag in tags if tag in source})


def _first(attributes: Attributes, tag: str) -> str:
    return str((values(attributes, tag) or [""])[0])


def _differs(before: Attributes, after: Attributes, tag: str) -> bool:
    return values(before, tag) != values(after, tag)


def _progress(attributes: Attributes) -> Attributes:
    """How far the work is (PS3.4 table CC.2.4-1): that much of the last item."""
    found: Attributes = {}
    for item in items(attributes, PROGRESS_INFORMATION)[-1:]:
        _copy(item, found, _PROGRESS)
    return found

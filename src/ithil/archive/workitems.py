"""Unified procedure steps (PS3.4 annex CC): work that is scheduled, claimed, done and watched.

A workitem is one row, kept as the DICOM JSON it came as. Whoever claims one names a transaction UID, and only
who knows it can change the workitem from then on; it is kept beside the attributes, so no answer can have it.
What happens to a workitem is told to its subscribers by events (`workitems_events`), which are written in the
same transaction. All rows are shared by all processes; the transactions that write them take turns.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import orjson

from ithil.archive import clock
from ithil.archive import workitems_events as events
from ithil.archive.archive import Archive
from ithil.archive.index import workitem_events as subscriptions
from ithil.archive.index import workitems as rows
from ithil.archive.index.statement import Session
from ithil.archive.index.workitems import WorkitemRow
from ithil.archive.workitems_events import Event
from ithil.archive.workitems_match import matches, parse_keys
from ithil.archive.workitems_model import Attributes, in_order, items, put, text
from ithil.archive.workitems_rules import (
    AFFECTED_INSTANCE,
    CANCELED,
    CANCELLATION_TIME,
    COMPLETED,
    ENDED,
    IN_PROGRESS,
    MODIFIED,
    PATIENT_ID,
    PROGRESS_INFORMATION,
    READINESS,
    REASON,
    REASON_CODES,
    SCHEDULED,
    SOP_CLASS,
    SOP_INSTANCE,
    START,
    STATE,
    STUDY,
    TRANSACTION_UID,
    UPS_PUSH,
    Reason,
    WorkitemRefused,
    check_changes,
    check_final,
    check_new,
    check_writable,
    complete,
)
from ithil.dicom.main_tags import normalise
from ithil.dicom.uids import generate_uid

LARGEST = 1024 * 1024
"""Bytes of the largest workitem. One that lists a thousand images takes about half of that."""

LONGEST_LOCK = 90 * 86400.0
"""Seconds that a deletion lock keeps an ended workitem from being removed."""

_BATCH = 500
_DEFAULT_REASON = {
    "00080100": {"vr": "SH", "Value": ["110513"]},
    "00080102": {"vr": "SH", "Value": ["DCM"]},
    "00080104": {"vr": "LO", "Value": ["Discontinued for unspecified reason"]},
}


@dataclass(frozen=True, slots=True)
class Created:
    """A new workitem; `modified` says that it has attributes which its creator should have sent."""

    uid: str
    modified: bool


def create(archive: Archive, uid: str, attributes: Attributes) -> Created:
    """Schedule work; without `uid` the workitem gets that of its attributes, or one of its own.

    Raises CodedError (bad request) for attributes that cannot be a workitem, WorkitemRefused if there is one
    with this UID; ReadOnly.
    """
    check_writable(archive)
    stated = text(attributes, SOP_INSTANCE) or text(attributes, AFFECTED_INSTANCE)
    if uid and stated and uid != stated:
        raise WorkitemRefused(Reason.OTHER_UID)
    uid = uid or stated or generate_uid()
    content = {tag: value for tag, value in attributes.items() if tag >= "0008"}
    check_new(content)
    content.pop(TRANSACTION_UID, None)
    modified = complete(content, archive.settings.dicom_aet)
    put(content, SOP_CLASS, UPS_PUSH)
    put(content, SOP_INSTANCE, uid)
    now = clock.now()[0]
    row = _row(content, "", now, now, None)

    def work(session: Session) -> None:
        rows.lock(session)
        if rows.read(session, uid) is not None:
            raise WorkitemRefused(Reason.ALREADY_EXISTS)
        rows.insert(session, row)
        _subscribe_all(archive, session, uid, content)
        found: list[Event] = [events.state_report(SCHEDULED, row.readiness)]
        if events.is_assigned(content):
            found.append(events.assigned(content))
        events.tell(session, uid, found)

    archive.index.write(work)
    return Created(uid, modified)


def get(archive: Archive, uid: str) -> Attributes:
    """The attributes of a workitem. Raises WorkitemRefused."""
    with archive.index.read() as session:
        return _content(_read(session, uid))


def update(archive: Archive, uid: str, changes: Attributes, transaction_uid: str) -> None:
    """Set attributes of a workitem that is scheduled, or that the caller has claimed.

    Raises WorkitemRefused, CodedError (bad request), ReadOnly.
    """
    check_writable(archive)
    changes = dict(changes)
    transaction_uid = transaction_uid or text(changes, TRANSACTION_UID)
    ignored = (TRANSACTION_UID, AFFECTED_INSTANCE, MODIFIED)
    changes = {tag: one for tag, one in changes.items() if tag >= "0008" and tag not in ignored}

    def work(session: Session) -> None:
        rows.lock(session)
        row = _read(session, uid)
        if row.state in ENDED:
            raise WorkitemRefused(Reason.ENDED, "The workitem has ended and cannot be changed any more")
        if row.state == IN_PROGRESS:
            _check_transaction(row, transaction_uid)
        elif transaction_uid:
            raise WorkitemRefused(Reason.NOT_CLAIMED)
        before = _content(row)
        check_changes(before, changes)
        after = {**before, **changes}
        rows.update(session, _changed(row, after))
        events.tell(session, uid, events.of_change(before, after))

    archive.index.write(work)


def change_state(archive: Archive, uid: str, state: str, transaction_uid: str) -> bool:
    """Claim a workitem (IN PROGRESS), or end it; False if it had ended like that before.

    Raises WorkitemRefused if the workitem cannot go over to that state (PS3.4 table CC.1.1-2), ReadOnly.
    """
    check_writable(archive)
    if state not in (IN_PROGRESS, *ENDED):
        raise WorkitemRefused(
            Reason.WRONG_STATE if state == SCHEDULED else Reason.NO_SUCH_STATE,
            f"ProcedureStepState can become {IN_PROGRESS}, {COMPLETED} or {CANCELED}",
        )
    if not transaction_uid:
        raise WorkitemRefused(Reason.UID_MISSING)

    def work(session: Session) -> bool:
        rows.lock(session)
        row = _read(session, uid)
        if row.state == state and state in ENDED:
            return False
        if row.state == IN_PROGRESS and state != IN_PROGRESS:
            _check_transaction(row, transaction_uid)
            check_final(_content(row), state)
        elif row.state != SCHEDULED or state != IN_PROGRESS:
            raise WorkitemRefused(Reason.WRONG_STATE, f"The workitem is {row.state}")
        after = _content(row)
        _move(session, row, after, state, transaction_uid)
        events.tell(session, uid, [events.state_report(state, row.readiness, after)])
        return True

    return archive.index.write(work)


def request_cancel(archive: Archive, uid: str, request: Attributes, requester: str) -> bool:
    """Ask for a workitem to be canceled; False if it was before (PS3.4 CC.2.2.3).

    Nobody works on one that is scheduled, so it is canceled at once; who works on one is told of the wish.
    Raises WorkitemRefused for one that is completed, ReadOnly.
    """
    check_writable(archive)

    def work(session: Session) -> bool:
        rows.lock(session)
        row = _read(session, uid)
        if row.state == CANCELED:
            return False
        if row.state == COMPLETED:
            raise WorkitemRefused(Reason.ALREADY_COMPLETED)
        if row.state == IN_PROGRESS:
            events.tell(session, uid, [events.cancel_requested(request, requester)])
            return True
        after = _content(row)
        _note_cancellation(after, request)
        check_final(after, CANCELED)
        _move(session, row, after, CANCELED, "")
        told = [events.state_report(IN_PROGRESS, row.readiness)]
        events.tell(session, uid, [*told, events.state_report(CANCELED, row.readiness, after)])
        return True

    return archive.index.write(work)


def keep_house(archive: Archive) -> int:
    """Remove workitems that ended long ago, and events that nobody came for; gives how many workitems."""
    if archive.settings.read_only:
        return 0
    now = clock.now()[0]
    with archive.index.read() as session:
        surplus = subscriptions.is_any_to_forget(session, now - events.KEPT_SECONDS, events.MOST_KEPT)
    if surplus:
        archive.index.write(
            lambda session: subscriptions.forget(session, now - events.KEPT_SECONDS, events.MOST_KEPT)
        )
    days = archive.settings.ithil.workitem_retention_days
    if not days:
        return 0
    before = now - days * 86400.0
    locked_before = min(before, now - LONGEST_LOCK)
    with archive.index.read() as session:
        gone = rows.old(session, before, locked_before, _BATCH)
    if gone:
        archive.index.write(lambda session: rows.delete(session, gone))
    return len(gone)


# -- rows ----------------------------------------------------------------------------------------------------


def _read(session: Session, uid: str) -> WorkitemRow:
    row = rows.read(session, uid)
    if row is None:
        raise WorkitemRefused(Reason.NOT_FOUND)
    return row


def _content(row: WorkitemRow) -> Attributes:
    content: Attributes = orjson.loads(row.content)
    return content


def _row(
    content: Attributes, transaction_uid: str, created_at: float, now: float, ended_at: float | None
) -> WorkitemRow:
    put(content, MODIFIED, time.strftime("%Y%m%d%H%M%S.000000+0000", time.gmtime(now)))
    encoded = orjson.dumps(in_order(content))
    if len(encoded) > LARGEST:
        raise WorkitemRefused(Reason.TOO_LARGE, f"A workitem is limited to {LARGEST} bytes")
    return WorkitemRow(
        text(content, SOP_INSTANCE),
        text(content, STATE),
        text(content, READINESS),
        transaction_uid,
        text(content, START),
        normalise(text(content, PATIENT_ID)),
        text(content, STUDY),
        created_at,
        now,
        ended_at,
        encoded,
    )


def _changed(row: WorkitemRow, content: Attributes) -> WorkitemRow:
    return _row(content, row.transaction_uid, row.created_at, clock.now()[0], row.ended_at)


def _move(session: Session, row: WorkitemRow, content: Attributes, state: str, transaction_uid: str) -> None:
    """Give a workitem another state."""
    now = clock.now()[0]
    put(content, STATE, state)
    ended_at = now if state in ENDED else None
    rows.update(session, _row(content, transaction_uid, row.created_at, now, ended_at))


def _check_transaction(row: WorkitemRow, transaction_uid: str) -> None:
    if not transaction_uid:
        raise WorkitemRefused(Reason.UID_MISSING)
    if transaction_uid != row.transaction_uid:
        raise WorkitemRefused(Reason.UID_INCORRECT)


def _note_cancellation(content: Attributes, request: Attributes) -> None:
    """What a workitem must tell that was canceled, as far as who wished it has told."""
    item: Attributes = {}
    put(item, CANCELLATION_TIME, time.strftime("%Y%m%d%H%M%S+0000", time.gmtime(clock.now()[0])))
    if text(request, REASON):
        put(item, REASON, text(request, REASON))
    put(item, REASON_CODES, *(items(request, REASON_CODES) or [_DEFAULT_REASON]))
    for tag in ("0074100A", "0074100C"):
        if text(request, tag):
            contact: Attributes = item.setdefault("00741008", {"vr": "SQ", "Value": [{}]})["Value"][0]
            put(contact, tag, text(request, tag))
    put(content, PROGRESS_INFORMATION, in_order(item))


def _subscribe_all(archive: Archive, session: Session, uid: str, content: Attributes) -> None:
    """Subscribe those to a new workitem who want to be told of everything, or of such as this."""
    sensitive = bool(archive.settings.dicom_web.qido_case_sensitive)
    for one in subscriptions.worklist_subscriptions(session, events.MOST_SUBSCRIBERS):
        keys = parse_keys(orjson.loads(one.filter), case_sensitive=sensitive) if one.filtered else []
        if matches(keys, content):
            subscriptions.subscribe(session, uid, one.aetitle, one.locked)

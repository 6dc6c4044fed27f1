"""Who is told of what happens to workitems (PS3.4 CC.2.3).

A subscriber is an application entity title. He subscribes to one workitem, to all that are there and will
come (a worklist subscription), or to those of them that a filter takes. In each case there is one row for him
and each workitem, so that he can leave single ones, suspend what is to come, and lock each against removal.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import partial

import orjson

from ithil import error_codes as codes
from ithil.archive import workitems_events as events
from ithil.archive.archive import Archive
from ithil.archive.index import workitem_events as rows
from ithil.archive.index import workitems as workitem_rows
from ithil.archive.index.statement import Session
from ithil.archive.index.workitem_events import WorklistSubscription
from ithil.archive.index.workitems import WorkitemRow
from ithil.archive.workitems_match import Key, matches, parse_keys
from ithil.archive.workitems_rules import Reason, WorkitemRefused, check_writable
from ithil.error_codes import CodedError

MOST_WORKLIST_SUBSCRIPTIONS = 256

_BATCH = 500


class Worklist(Enum):
    """The well-known UIDs that stand for more than one workitem."""

    EVERYTHING = "1.2.840.10008.5.1.4.34.5"
    FILTERED = "1.2.840.10008.5.1.4.34.5.1"


WORKLISTS = {worklist.value: worklist for worklist in Worklist}


def check_title(aetitle: str) -> str:
    """An application entity title (PS3.5 6.2). Raises CodedError (bad request) for what is none."""
    title = aetitle.strip(" ")
    if not 0 < len(title) <= 16 or "\\" in title or not (title.isascii() and title.isprintable()):
        raise CodedError(
            codes.BAD_REQUEST, "An application entity title has 1 to 16 characters without a backslash"
        )
    return title


def subscribe(archive: Archive, uid: str, aetitle: str, *, locked: bool) -> None:
    """Tell a subscriber about a workitem, and how it is now. Raises WorkitemRefused, ReadOnly."""
    aetitle = _prepare(archive, aetitle)

    def work(session: Session) -> None:
        workitem_rows.lock(session)
        row = workitem_rows.read(session, uid)
        if row is None:
            raise WorkitemRefused(Reason.NOT_FOUND)
        told = rows.subscribers(session, uid, events.MOST_SUBSCRIBERS)
        if aetitle not in told and len(told) >= events.MOST_SUBSCRIBERS:
            raise WorkitemRefused(Reason.TOO_MANY_SUBSCRIBERS)
        rows.subscribe(session, uid, aetitle, locked)
        report = events.state_report(row.state, row.readiness, orjson.loads(row.content))
        events.tell_one(session, aetitle, [(uid, report)])

    archive.index.write(work)


def subscribe_to_worklist(
    archive: Archive, worklist: Worklist, aetitle: str, filters: Sequence[tuple[str, str]], *, locked: bool
) -> None:
    """Tell a subscriber about all workitems that are there and that will come, or those that `filters` take.

    With a lock he is told how all of them are now (PS3.4 CC.2.4.3). Raises CodedError (bad request) for
    filters that cannot be understood, WorkitemRefused if there are too many subscribers, ReadOnly.

    The subscription itself is committed first, so no workitem that comes meanwhile is missed. Those that are
    there follow in small transactions, since there may be many; who asks again after a failure gets the rest.
    """
    aetitle = _prepare(archive, aetitle)
    filtered = worklist is Worklist.FILTERED
    if not filtered:
        filters = []
    elif not filters:
        raise CodedError(codes.BAD_REQUEST, "A filtered subscription needs a filter")
    keys = parse_keys(filters, case_sensitive=bool(archive.settings.dicom_web.qido_case_sensitive))
    wanted = WorklistSubscription(aetitle, filtered, locked, orjson.dumps(filters).decode())

    def work(session: Session) -> None:
        workitem_rows.lock(session)
        present = rows.worklist_subscriptions(session, MOST_WORKLIST_SUBSCRIPTIONS)
        if len(present) >= MOST_WORKLIST_SUBSCRIPTIONS and not any(
            one.aetitle == aetitle and one.filtered == filtered for one in present
        ):
            raise WorkitemRefused(Reason.TOO_MANY_WORKLIST_SUBSCRIBERS)
        rows.add_worklist_subscription(session, wanted)
        if not filtered:
            rows.subscribe_to_everything(session, aetitle, locked)

    archive.index.write(work)
    if filtered:
        _add_present(archive, wanted, keys)
    elif locked:
        _report_present(archive, wanted)


def _add_present(archive: Archive, wanted: WorklistSubscription, keys: Sequence[Key]) -> None:
    """Subscribe to the workitems that are there and that the keys take; they are looked at outside transactions."""
    after = ""
    while True:
        with archive.index.read() as session:
            page = workitem_rows.page_by_uid(session, after, _BATCH)
        if not page:
            return
        found = [row for row in page if matches(keys, orjson.loads(row.content))]
        if found and not archive.index.write(partial(_add, wanted, found)):
            return
        after = page[-1].uid


def _add(wanted: WorklistSubscription, found: Sequence[WorkitemRow], session: Session) -> bool:
    """Subscribe to some workitems; False if the subscription has been taken back or changed meanwhile."""
    workitem_rows.lock(session)
    if wanted not in rows.worklist_subscriptions(session, 2 * MOST_WORKLIST_SUBSCRIPTIONS):
        return False
    reports = []
    for read in found:
        row = workitem_rows.read(session, read.uid)
        if row is not None:
            rows.subscribe(session, row.uid, wanted.aetitle, wanted.locked)
            if wanted.locked:
                content = orjson.loads(row.content)
                reports.append((row.uid, events.state_report(row.state, row.readiness, content)))
    events.tell_one(session, wanted.aetitle, reports)
    return True


def _report_present(archive: Archive, wanted: WorklistSubscription) -> None:
    """Tell a subscriber how all workitems are that are there, as many as he can have events."""
    after, left = "", events.MOST_KEPT

    def work(session: Session) -> list[str]:
        workitem_rows.lock(session)
        if wanted not in rows.worklist_subscriptions(session, 2 * MOST_WORKLIST_SUBSCRIPTIONS):
            return []
        states = rows.states(session, after, min(_BATCH, left))
        reports = [(uid, events.state_report(state, ready)) for uid, state, ready in states]
        events.tell_one(session, wanted.aetitle, reports)
        return [uid for uid, _, _ in states]

    while left > 0 and (told := archive.index.write(work)):
        after, left = told[-1], left - len(told)


def unsubscribe(archive: Archive, uid: str, aetitle: str) -> None:
    """Tell a subscriber no more about a workitem. Raises WorkitemRefused, ReadOnly."""
    aetitle = _prepare(archive, aetitle)
    if not archive.index.write(lambda session: rows.unsubscribe(session, uid, aetitle)):
        raise WorkitemRefused(Reason.SUBSCRIPTION_NOT_FOUND)


def unsubscribe_from_worklist(archive: Archive, worklist: Worklist, aetitle: str) -> None:
    """Tell a subscriber no more about anything, be it there or to come. Raises WorkitemRefused, ReadOnly."""
    aetitle = _prepare(archive, aetitle)

    def work(session: Session) -> None:
        workitem_rows.lock(session)
        _remove(session, worklist, aetitle)
        others = rows.worklist_subscriptions(session, MOST_WORKLIST_SUBSCRIPTIONS)
        if not any(one.aetitle == aetitle for one in others):
            rows.unsubscribe_from_everything(session, aetitle)

    archive.index.write(work)


def suspend(archive: Archive, worklist: Worklist, aetitle: str) -> None:
    """Subscribe somebody to no workitem that is still to come. Raises WorkitemRefused, ReadOnly."""
    aetitle = _prepare(archive, aetitle)

    def work(session: Session) -> None:
        workitem_rows.lock(session)
        _remove(session, worklist, aetitle)

    archive.index.write(work)


def _remove(session: Session, worklist: Worklist, aetitle: str) -> None:
    if not rows.remove_worklist_subscription(session, aetitle, worklist is Worklist.FILTERED):
        raise WorkitemRefused(Reason.SUBSCRIPTION_NOT_FOUND)


def _prepare(archive: Archive, aetitle: str) -> str:
    check_writable(archive)
    return check_title(aetitle)

"""Who is told of what happens to workitems (PS3.4 CC.2.3).

A subscriber is an application entity title. He subscribes to one workitem, to all that are there and will
come (a worklist subscription), or to those of them that a filter takes. In each case there is one row for him
and each workitem, so that he can leave single ones, suspend what is to come, and lock each against removal.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import orjson

from ithil import error_codes as codes
from ithil.archive import workitems_events as events
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import workitem_events as rows
from ithil.archive.index import workitems as workitem_rows
from ithil.archive.index.statement import Session
from ithil.archive.index.workitem_events import WorklistSubscription
from ithil.archive.workitems_match import matches, parse_keys
from ithil.archive.workitems_rules import WorkitemRefused
from ithil.error_codes import CodedError

MOST_WORKLIST_SUBSCRIPTIONS = 256

_BATCH = 500
_NOT_FOUND = "The target Subscription was not found."


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
    """Tell a subscriber about a workitem, and how it is now. Raises WorkitemRefused (404, 409), ReadOnly."""
    aetitle = _prepare(archive, aetitle)

    def work(session: Session) -> None:
        workitem_rows.lock(session)
        row = workitem_rows.read(session, uid)
        if row is None:
            raise WorkitemRefused(404, "The Target Workitem was not found.")
        told = rows.subscribers(session, uid, events.MOST_SUBSCRIBERS)
        if aetitle not in told and len(told) >= events.MOST_SUBSCRIBERS:
            raise WorkitemRefused(409, "The Workitem has too many subscribers.")
        rows.subscribe(session, uid, aetitle, locked)
        report = events.state_report(row.state, row.readiness, orjson.loads(row.content))
        events.tell_one(session, aetitle, [(uid, report)])

    archive.index.write(work)


def subscribe_to_worklist(
    archive: Archive, worklist: Worklist, aetitle: str, filters: Sequence[tuple[str, str]], *, locked: bool
) -> None:
    """Tell a subscriber about all workitems that are there and that will come, or those that `filters` take.

    With a lock he is told how all of them are now (PS3.4 CC.2.4.3). Raises CodedError (bad request) for
    filters that cannot be understood, WorkitemRefused (409) if there are too many subscribers, ReadOnly.
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
            raise WorkitemRefused(409, "The Worklist has too many subscribers.")
        rows.add_worklist_subscription(session, wanted)
        if not filtered:
            rows.subscribe_to_everything(session, aetitle, locked)
            if locked:
                states = rows.states(session, events.MOST_KEPT)
                reports = [(uid, events.state_report(state, ready)) for uid, state, ready in states]
                events.tell_one(session, aetitle, reports)
            return
        reports = []
        after = ("", "")
        while page := workitem_rows.page(session, {}, after, _BATCH):
            for row in page:
                content = orjson.loads(row.content)
                if matches(keys, content):
                    rows.subscribe(session, row.uid, aetitle, locked)
                    if locked and len(reports) < events.MOST_KEPT:
                        reports.append((row.uid, events.state_report(row.state, row.readiness, content)))
            after = (page[-1].start, page[-1].uid)
        events.tell_one(session, aetitle, reports)

    archive.index.write(work)


def unsubscribe(archive: Archive, uid: str, aetitle: str) -> None:
    """Tell a subscriber no more about a workitem. Raises WorkitemRefused (404), ReadOnly."""
    aetitle = _prepare(archive, aetitle)
    if not archive.index.write(lambda session: rows.unsubscribe(session, uid, aetitle)):
        raise WorkitemRefused(404, _NOT_FOUND)


def unsubscribe_from_worklist(archive: Archive, worklist: Worklist, aetitle: str) -> None:
    """Tell a subscriber no more about anything, be it there or to come. Raises WorkitemRefused (404), ReadOnly."""
    aetitle = _prepare(archive, aetitle)

    def work(session: Session) -> None:
        workitem_rows.lock(session)
        _remove(session, worklist, aetitle)
        others = rows.worklist_subscriptions(session, MOST_WORKLIST_SUBSCRIPTIONS)
        if not any(one.aetitle == aetitle for one in others):
            rows.unsubscribe_from_everything(session, aetitle)

    archive.index.write(work)


def suspend(archive: Archive, worklist: Worklist, aetitle: str) -> None:
    """Subscribe somebody to no workitem that is still to come. Raises WorkitemRefused (404), ReadOnly."""
    aetitle = _prepare(archive, aetitle)

    def work(session: Session) -> None:
        workitem_rows.lock(session)
        _remove(session, worklist, aetitle)

    archive.index.write(work)


def _remove(session: Session, worklist: Worklist, aetitle: str) -> None:
    if not rows.remove_worklist_subscription(session, aetitle, worklist is Worklist.FILTERED):
        raise WorkitemRefused(404, _NOT_FOUND)


def _prepare(archive: Archive, aetitle: str) -> str:
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    return check_title(aetitle)

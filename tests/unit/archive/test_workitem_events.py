"""Who is told what about workitems, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from tests.data.workitems import canceled, code, element, workitem
from tests.unit.archive.places import Place

from ithil.archive import clock, workitems
from ithil.archive import workitems_events as events
from ithil.archive import workitems_subscribers as subscribers
from ithil.archive.archive import Archive
from ithil.archive.workitems_model import read_attributes, text
from ithil.archive.workitems_rules import CANCELED, IN_PROGRESS, Reason, WorkitemRefused
from ithil.archive.workitems_subscribers import Worklist
from ithil.error_codes import CodedError

MINE = "1.9.1"
STATE_REPORT, CANCEL_REQUESTED, PROGRESS_REPORT, ASSIGNED = 1, 2, 3, 5


def create(archive: Archive, uid: str, **changes: Any) -> None:
    workitems.create(archive, uid, read_attributes(workitem(**changes)))


def messages(archive: Archive, aetitle: str = "A", since: int = 0) -> list[dict[str, Any]]:
    return [orjson.loads(message) for _, message in events.following(archive, aetitle, since, 1000)]


def told(archive: Archive, aetitle: str = "A", since: int = 0) -> list[tuple[str, int, str]]:
    """UID, kind and state of each event."""
    return [
        (text(one, "00001000"), int(text(one, "00001002")), text(one, "00741000"))
        for one in messages(archive, aetitle, since)
    ]


def test_a_subscriber_is_told_what_happens(archive: Archive) -> None:
    create(archive, "1.1")
    create(archive, "1.2")
    subscribers.subscribe(archive, "1.1", "A", locked=False)
    workitems.change_state(archive, "1.1", IN_PROGRESS, MINE)
    progress = {"00741002": element("SQ", {"00741004": element("DS", 40)})}
    workitems.update(archive, "1.1", read_attributes(progress), MINE)
    station = {"00404025": element("SQ", code("WS1")), "00404041": element("CS", "UNAVAILABLE")}
    workitems.update(archive, "1.1", read_attributes(station), MINE)
    workitems.request_cancel(archive, "1.1", read_attributes({"00741238": element("LT", "Stop")}), "DOCTOR")
    workitems.update(archive, "1.1", read_attributes(canceled()), MINE)
    workitems.change_state(archive, "1.1", CANCELED, MINE)
    workitems.request_cancel(archive, "1.2", {}, "DOCTOR")  # nobody is subscribed to this one
    assert told(archive) == [
        ("1.1", STATE_REPORT, "SCHEDULED"),
        ("1.1", STATE_REPORT, "IN PROGRESS"),
        ("1.1", PROGRESS_REPORT, ""),
        ("1.1", STATE_REPORT, "IN PROGRESS"),
        ("1.1", ASSIGNED, ""),
        ("1.1", CANCEL_REQUESTED, ""),
        ("1.1", PROGRESS_REPORT, ""),
        ("1.1", STATE_REPORT, "CANCELED"),
    ]
    found = messages(archive)
    assert text(found[0], "00000002") == "1.2.840.10008.5.1.4.34.6.4"
    assert text(found[2]["00741002"]["Value"][0], "00741004") == "40"
    assert text(found[3], "00404041") == "UNAVAILABLE"
    assert text(found[4]["00404025"]["Value"][0], "00080100") == "WS1"
    assert (text(found[5], "00741236"), text(found[5], "00741238")) == ("DOCTOR", "Stop")
    assert text(found[7]["0074100E"]["Value"][0], "00080100") == "110513"
    assert len({text(one, "00000110") for one in found}) == len(found)


def test_changes_that_concern_nobody(sqlite: Place) -> None:
    archive = sqlite.open()
    create(archive, "1.1")
    subscribers.subscribe(archive, "1.1", "A", locked=False)
    workitems.update(archive, "1.1", read_attributes({"00741204": element("LO", "New")}), "")
    assert len(told(archive)) == 1


def test_the_whole_worklist(archive: Archive) -> None:
    create(archive, "1.1")
    subscribers.subscribe_to_worklist(archive, Worklist.EVERYTHING, "A", [], locked=False)
    assert told(archive) == []
    create(archive, "1.2", _00404025=element("SQ", code("WS1")))
    assert told(archive) == [("1.2", STATE_REPORT, "SCHEDULED"), ("1.2", ASSIGNED, "")]
    last = events.newest(archive)
    workitems.change_state(archive, "1.1", IN_PROGRESS, MINE)
    assert told(archive, since=last) == [("1.1", STATE_REPORT, "IN PROGRESS")]


def test_with_a_lock_all_that_is_there_is_told(archive: Archive) -> None:
    create(archive, "1.1")
    create(archive, "1.2")
    workitems.request_cancel(archive, "1.2", {}, "DOCTOR")
    subscribers.subscribe_to_worklist(archive, Worklist.EVERYTHING, "A", [], locked=True)
    assert sorted(told(archive)) == [("1.1", STATE_REPORT, "SCHEDULED"), ("1.2", STATE_REPORT, "CANCELED")]


def test_who_leaves_one_workitem_hears_of_the_others(archive: Archive) -> None:
    create(archive, "1.1")
    create(archive, "1.2")
    subscribers.subscribe_to_worklist(archive, Worklist.EVERYTHING, "A", [], locked=False)
    subscribers.unsubscribe(archive, "1.1", "A")
    for uid in ("1.1", "1.2"):
        workitems.change_state(archive, uid, IN_PROGRESS, MINE)
    assert told(archive) == [("1.2", STATE_REPORT, "IN PROGRESS")]


def test_suspending_keeps_what_is_there(archive: Archive) -> None:
    subscribers.subscribe_to_worklist(archive, Worklist.EVERYTHING, "A", [], locked=False)
    create(archive, "1.1")
    subscribers.suspend(archive, Worklist.EVERYTHING, "A")
    create(archive, "1.2")
    for uid in ("1.1", "1.2"):
        workitems.change_state(archive, uid, IN_PROGRESS, MINE)
    assert told(archive) == [("1.1", STATE_REPORT, "SCHEDULED"), ("1.1", STATE_REPORT, "IN PROGRESS")]
    with pytest.raises(WorkitemRefused):
        subscribers.suspend(archive, Worklist.EVERYTHING, "A")


def test_leaving_the_worklist_leaves_all(archive: Archive) -> None:
    create(archive, "1.1")
    subscribers.subscribe_to_worklist(archive, Worklist.EVERYTHING, "A", [], locked=False)
    subscribers.unsubscribe_from_worklist(archive, Worklist.EVERYTHING, "A")
    create(archive, "1.2")
    workitems.change_state(archive, "1.1", IN_PROGRESS, MINE)
    assert told(archive) == []
    for worklist in Worklist:
        with pytest.raises(WorkitemRefused):
            subscribers.unsubscribe_from_worklist(archive, worklist, "A")
    with pytest.raises(WorkitemRefused):
        subscribers.unsubscribe(archive, "1.1", "A")


def test_a_filter(archive: Archive) -> None:
    create(archive, "1.1", _00100020=element("LO", "P1"))
    create(archive, "1.2", _00100020=element("LO", "P2"))
    subscribers.subscribe_to_worklist(archive, Worklist.FILTERED, "A", [("PatientID", "P1")], locked=True)
    create(archive, "1.3", _00100020=element("LO", "P1"))
    create(archive, "1.4", _00100020=element("LO", "P2"))
    assert [uid for uid, _, _ in told(archive)] == ["1.1", "1.3"]
    for filters in ([], [("NoSuchAttribute", "1")]):
        with pytest.raises(CodedError):
            subscribers.subscribe_to_worklist(archive, Worklist.FILTERED, "A", filters, locked=False)


def test_subscribers_are_told_each_for_himself(sqlite: Place) -> None:
    archive = sqlite.open()
    for title in ("A", "B"):
        subscribers.subscribe_to_worklist(archive, Worklist.EVERYTHING, title, [], locked=False)
    create(archive, "1.1")
    assert len(told(archive, "A")) == len(told(archive, "B")) == 1
    assert told(archive, "C") == []
    subscribers.subscribe(archive, "1.1", "A", locked=True)  # changes a subscription that there is
    assert len(told(archive, "A")) == 2


@pytest.mark.parametrize("title", ["", "  ", "SEVENTEEN_LETTERS", "A\\B", "Ä", "A\n"])
def test_what_is_no_title(sqlite: Place, title: str) -> None:
    archive = sqlite.open()
    with pytest.raises(CodedError):
        subscribers.subscribe(archive, "1.1", title, locked=False)


def test_nobody_subscribes_to_what_is_not_there(sqlite: Place) -> None:
    with pytest.raises(WorkitemRefused) as refused:
        subscribers.subscribe(sqlite.open(), "1.1", "A", locked=False)
    assert refused.value.reason is Reason.NOT_FOUND


def test_a_mark_only_moves_on(archive: Archive) -> None:
    assert events.read_until(archive, "A") == 0
    for seq, mark in ((5, 5), (3, 5), (8, 8)):
        events.mark_read(archive, "A", seq)
        assert events.read_until(archive, "A") == mark


def test_events_are_not_kept_for_ever(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    subscribers.subscribe_to_worklist(archive, Worklist.EVERYTHING, "A", [], locked=False)
    create(archive, "1.1")
    events.mark_read(archive, "A", 1)
    now = clock.now()[0]
    monkeypatch.setattr(clock, "now", lambda: (now + events.KEPT_SECONDS + 10, ""))
    create(archive, "1.2")
    last = events.newest(archive)
    workitems.keep_house(archive)
    assert [uid for uid, _, _ in told(archive)] == ["1.2"]
    create(archive, "1.3")
    assert events.newest(archive) > last
    create(archive, "1.4")
    monkeypatch.setattr(events, "MOST_KEPT", 2)
    workitems.keep_house(archive)
    assert [uid for uid, _, _ in told(archive)] == ["1.3", "1.4"]


def test_who_subscribes_to_everything_misses_nothing(place: Place) -> None:
    """Workitems that are created while somebody subscribes are either there for him, or told to him."""
    archives = [place.open() for _ in range(3)]

    def act(number: int) -> None:
        if number == 10:
            subscribers.subscribe_to_worklist(archives[0], Worklist.EVERYTHING, "A", [], locked=True)
        else:
            create(archives[number % 3], f"1.2.{number}")

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(act, range(20)))
    assert {uid for uid, _, _ in told(archives[1])} == {
        f"1.2.{number}" for number in range(20) if number != 10
    }

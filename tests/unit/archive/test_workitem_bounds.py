"""What many subscribers, many workitems and large ones cost, on both databases: as little as few and small ones."""

from __future__ import annotations

import threading
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from tests.data.workitems import code, element, workitem
from tests.unit.archive.places import Place, image, put

from ithil.archive import clock, workitems, workitems_search
from ithil.archive import workitems_events as events
from ithil.archive import workitems_subscribers as subscribers
from ithil.archive.archive import Archive
from ithil.archive.index import tables as t
from ithil.archive.index import workitems as workitem_rows
from ithil.archive.index.statement import Statement
from ithil.archive.workitems_match import parse_keys
from ithil.archive.workitems_model import read_attributes, text
from ithil.archive.workitems_search import search
from ithil.archive.workitems_subscribers import Worklist
from ithil.error_codes import CodedError

_EVENTS = Statement(sa.select(sa.func.count(), sa.func.sum(sa.func.length(t.workitem_events.c.content))))
_RECIPIENTS = Statement(sa.select(sa.func.count()).select_from(t.workitem_recipients))


def create(archive: Archive, uid: str, **changes: Any) -> None:
    workitems.create(archive, uid, read_attributes(workitem(**changes)))


def kept(archive: Archive) -> tuple[int, int, int]:
    """How many events there are, their bytes, and for how many subscribers they are."""
    with archive.index.read() as session:
        count, size = session.one(_EVENTS) or (0, 0)
        (recipients,) = session.one(_RECIPIENTS) or (0,)
    return count, size or 0, recipients


def told(archive: Archive, aetitle: str) -> list[dict[str, Any]]:
    return [orjson.loads(message) for _, message in events.following(archive, aetitle, 0, 1000)]


def test_an_event_is_kept_once_and_small(archive: Archive) -> None:
    create(archive, "1.1")
    for number in range(20):
        subscribers.subscribe(archive, "1.1", f"AE{number}", locked=False)
    count, size, recipients = kept(archive)
    text_of_progress = element("ST", "x" * 60_000)
    steps = [{"00741004": element("DS", number), "00741006": text_of_progress} for number in range(10)]
    workitems.update(archive, "1.1", read_attributes({"00741002": element("SQ", *steps)}), "")
    after = kept(archive)
    assert (after[0] - count, after[2] - recipients) == (1, 20)
    assert after[1] - size < events.LARGEST_EVENT
    for aetitle in ("AE0", "AE19"):
        (progress,) = told(archive, aetitle)[-1]["00741002"]["Value"]
        assert text(progress, "00741004") == "9"  # the last is how it is now
        assert "00741006" not in progress  # too long; the workitem has it


def test_what_is_too_long_for_an_event_is_left_out(sqlite: Place) -> None:
    archive = sqlite.open()
    create(archive, "1.1")
    subscribers.subscribe(archive, "1.1", "A", locked=False)
    request = {"00741238": element("LT", "x" * 60_000), "0074100C": element("PN", {"Alphabetic": "Who^"})}
    workitems.change_state(archive, "1.1", "IN PROGRESS", "1.9.1")
    workitems.request_cancel(archive, "1.1", read_attributes(request), "DOCTOR")
    event = told(archive, "A")[-1]
    assert text(event, "00741236") == "DOCTOR"
    assert "0074100C" in event
    assert "00741238" not in event


def test_events_go_with_their_last_recipient(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    for title in ("A", "B"):
        subscribers.subscribe_to_worklist(archive, Worklist.EVERYTHING, title, [], locked=False)
    for uid in ("1.1", "1.2", "1.3"):
        create(archive, uid)
    assert kept(archive)[::2] == (3, 6)
    subscribers.unsubscribe_from_worklist(archive, Worklist.EVERYTHING, "B")
    create(archive, "1.4")
    monkeypatch.setattr(events, "MOST_KEPT", 2)
    workitems.keep_house(archive)
    assert kept(archive)[::2] == (3, 4)  # A has the last two, B two of the first three
    now = clock.now()[0]
    monkeypatch.setattr(clock, "now", lambda: (now + events.KEPT_SECONDS + 10, ""))
    workitems.keep_house(archive)
    assert kept(archive) == (0, 0, 0)


def test_what_nobody_is_told_is_not_kept(sqlite: Place) -> None:
    archive = sqlite.open()
    create(archive, "1.1")
    assert kept(archive) == (0, 0, 0)


def test_others_write_while_somebody_subscribes_to_many(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matching takes as long as there are workitems, and holds up nobody."""
    for number in range(6):
        create(archive, f"1.{number}", _00100020=element("LO", f"P{number % 2}"))
    monkeypatch.setattr(subscribers, "_BATCH", 2)
    started, go_on = threading.Event(), threading.Event()
    matches = subscribers.matches

    def slow(*arguments: Any) -> bool:
        started.set()
        assert go_on.wait(60)
        return matches(*arguments)

    monkeypatch.setattr(subscribers, "matches", slow)

    def subscribe() -> None:
        subscribers.subscribe_to_worklist(archive, Worklist.FILTERED, "A", [("PatientID", "P1")], locked=True)

    thread = threading.Thread(target=subscribe)
    thread.start()
    try:
        assert started.wait(60)
        put(archive, image())
        create(archive, "1.00", _00100020=element("LO", "P1"))  # sorts before those that are looked at
        workitems.request_cancel(archive, "1.5", {}, "DOCTOR")
    finally:
        go_on.set()
        thread.join(60)
    last = {text(one, "00001000"): text(one, "00741000") for one in told(archive, "A")}
    assert last == {"1.00": "SCHEDULED", "1.1": "SCHEDULED", "1.3": "SCHEDULED", "1.5": "CANCELED"}


@pytest.mark.parametrize("worklist", Worklist)
def test_who_leaves_while_he_is_subscribed_is_gone(
    sqlite: Place, monkeypatch: pytest.MonkeyPatch, worklist: Worklist
) -> None:
    archive = sqlite.open()
    for number in range(6):
        create(archive, f"1.{number}")
    monkeypatch.setattr(subscribers, "_BATCH", 2)
    tell_one, tells = events.tell_one, 0

    def count_and_tell(*arguments: Any) -> None:
        nonlocal tells
        tells += 1
        tell_one(*arguments)

    write, writes = archive.index.write, 0

    def write_and_leave(work: Any) -> Any:
        nonlocal writes
        result = write(work)
        writes += 1
        if writes == 2:  # the subscription and the first batch
            subscribers.unsubscribe_from_worklist(archive, worklist, "A")
        return result

    monkeypatch.setattr(events, "tell_one", count_and_tell)
    monkeypatch.setattr(archive.index, "write", write_and_leave)
    filters = [("PatientID", "P1")] if worklist is Worklist.FILTERED else []
    subscribers.subscribe_to_worklist(archive, worklist, "A", filters, locked=True)
    assert tells == 1
    assert len(told(archive, "A")) == 2
    workitems.request_cancel(archive, "1.5", {}, "DOCTOR")
    workitems.request_cancel(archive, "1.0", {}, "DOCTOR")
    assert len(told(archive, "A")) == 2


def test_all_workitems_are_told_in_batches(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        create(archive, f"1.{number}")
    monkeypatch.setattr(subscribers, "_BATCH", 2)
    monkeypatch.setattr(events, "MOST_KEPT", 5)
    subscribers.subscribe_to_worklist(archive, Worklist.EVERYTHING, "A", [], locked=True)
    assert [text(one, "00001000") for one in told(archive, "A")] == ["1.0", "1.1", "1.2", "1.3", "1.4"]


def test_pages_are_bounded_in_bytes(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    large = element("SQ", *[code(str(number), "x" * 500) for number in range(50)])
    for number in range(5):
        create(archive, f"1.{number}", _00404025=large if number % 2 else element("SQ"))
    monkeypatch.setattr(workitem_rows, "PAGE_BYTES", 40_000)
    with archive.index.read() as session:
        pages = [workitem_rows.page_by_uid(session, after, 10) for after in ("", "1.1", "1.4")]
    assert [[row.uid for row in page] for page in pages] == [["1.0", "1.1", "1.2"], ["1.2", "1.3", "1.4"], []]
    monkeypatch.setattr(workitem_rows, "PAGE_BYTES", 1)
    assert len(search(archive, [], 0, 10).workitems) == 5
    monkeypatch.setattr(workitems_search, "MOST_BYTES", 40_000)
    assert search(archive, parse_keys([("PatientID", "X*")]), 0, 10).cut


def test_an_answer_is_bounded_in_bytes(sqlite: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = sqlite.open()
    for number in range(4):
        create(archive, f"1.{number}")
    size = len(search(archive, [], 0, 1).workitems[0])
    monkeypatch.setattr(workitems_search, "LARGEST_ANSWER", 2 * size)
    result = search(archive, [], 0, 10)
    assert (len(result.workitems), result.more, result.cut) == (2, True, False)
    monkeypatch.setattr(workitems_search, "LARGEST_ANSWER", 1)
    assert len(search(archive, [], 0, 10).workitems) == 1  # or nobody would ever get on


def test_what_no_index_of_a_database_can_hold(archive: Archive) -> None:
    for value in ("P" * 65, "".join(chr(0x4E00 + number * 7 % 20_000) for number in range(12_000))):
        with pytest.raises(CodedError):
            create(archive, "1.1", _00100020=element("LO", value))
    create(archive, "1.1", _00100020=element("LO", "\u4e00" * 64))
    assert len(search(archive, parse_keys([("PatientID", "\u4e00" * 64)]), 0, 10).workitems) == 1

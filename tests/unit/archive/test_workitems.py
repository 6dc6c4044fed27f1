"""Workitems: their states, who may change them, and who can find them, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from tests.data.workitems import canceled, code, element, performed, workitem
from tests.unit.archive.places import Place

from ithil.archive import clock, workitems, workitems_search
from ithil.archive import workitems_subscribers as subscribers
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.workitems_match import parse_keys
from ithil.archive.workitems_model import read_attributes, text
from ithil.archive.workitems_rules import (
    CANCELED,
    COMPLETED,
    IN_PROGRESS,
    SCHEDULED,
    STATE,
    Reason,
    WorkitemRefused,
)
from ithil.archive.workitems_search import Found, search
from ithil.error_codes import CodedError

MINE, OTHERS = "1.9.1", "1.9.2"


def create(archive: Archive, uid: str = "1.2.3", **changes: Any) -> str:
    return workitems.create(archive, uid, read_attributes(workitem(**changes))).uid


def state(archive: Archive, uid: str = "1.2.3") -> str:
    return text(workitems.get(archive, uid), STATE)


def found(archive: Archive, *pairs: tuple[str, str], **keys: str) -> list[str]:
    return uids(search(archive, parse_keys([*pairs, *keys.items()]), 0, 100))


def uids(result: Found) -> list[str]:
    return [text(orjson.loads(one), "00080018") for one in result.workitems]


def refusal(work: Any, *arguments: Any) -> Reason:
    with pytest.raises(WorkitemRefused) as refused:
        work(*arguments)
    return refused.value.reason


def test_the_life_of_a_workitem(archive: Archive) -> None:
    create(archive)
    assert state(archive) == SCHEDULED
    assert workitems.change_state(archive, "1.2.3", IN_PROGRESS, MINE)
    assert state(archive) == IN_PROGRESS
    workitems.update(archive, "1.2.3", read_attributes(performed()), MINE)
    assert workitems.change_state(archive, "1.2.3", COMPLETED, MINE)
    assert state(archive) == COMPLETED
    assert not workitems.change_state(archive, "1.2.3", COMPLETED, MINE)


def test_only_who_claimed_it_may_change_it(archive: Archive) -> None:
    create(archive)
    workitems.change_state(archive, "1.2.3", IN_PROGRESS, MINE)
    change = read_attributes({"00741204": element("LO", "Another label")})
    assert refusal(workitems.update, archive, "1.2.3", change, OTHERS) is Reason.UID_INCORRECT
    assert refusal(workitems.update, archive, "1.2.3", change, "") is Reason.UID_MISSING
    assert refusal(workitems.change_state, archive, "1.2.3", CANCELED, OTHERS) is Reason.UID_INCORRECT
    assert refusal(workitems.change_state, archive, "1.2.3", IN_PROGRESS, OTHERS) is Reason.WRONG_STATE
    workitems.update(archive, "1.2.3", change, MINE)
    content = workitems.get(archive, "1.2.3")
    assert text(content, "00741204") == "Another label"
    assert MINE not in str(content)


def test_of_many_who_claim_one_gets_it(place: Place) -> None:
    archives = [place.open() for _ in range(3)]
    create(archives[0])

    def claim(number: int) -> bool:
        try:
            workitems.change_state(archives[number % 3], "1.2.3", IN_PROGRESS, f"1.9.{number}")
        except WorkitemRefused:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(claim, range(12))) == 1


@pytest.mark.parametrize("target", [SCHEDULED, COMPLETED, CANCELED])
def test_what_nobody_claimed_cannot_end(sqlite: Place, target: str) -> None:
    archive = sqlite.open()
    create(archive)
    assert refusal(workitems.change_state, archive, "1.2.3", target, MINE) is Reason.WRONG_STATE
    assert state(archive) == SCHEDULED


@pytest.mark.parametrize(("target", "needed"), [(COMPLETED, performed()), (CANCELED, canceled())])
def test_what_must_be_known_at_the_end(sqlite: Place, target: str, needed: dict[str, Any]) -> None:
    archive = sqlite.open()
    create(archive)
    workitems.change_state(archive, "1.2.3", IN_PROGRESS, MINE)
    assert refusal(workitems.change_state, archive, "1.2.3", target, MINE) is Reason.INCOMPLETE
    (sequence,) = needed
    for left_out in needed[sequence]["Value"][0]:
        kept = {tag: one for tag, one in needed[sequence]["Value"][0].items() if tag != left_out}
        workitems.update(archive, "1.2.3", read_attributes({sequence: element("SQ", kept)}), MINE)
        assert refusal(workitems.change_state, archive, "1.2.3", target, MINE) is Reason.INCOMPLETE, left_out
    workitems.update(archive, "1.2.3", read_attributes(needed), MINE)
    workitems.change_state(archive, "1.2.3", target, MINE)
    other = CANCELED if target == COMPLETED else COMPLETED
    assert refusal(workitems.change_state, archive, "1.2.3", other, MINE) is Reason.WRONG_STATE
    assert refusal(workitems.update, archive, "1.2.3", {}, MINE) is Reason.ENDED


@pytest.mark.parametrize(
    "changes",
    [
        {"_00741204": None},
        {"_00741200": element("CS", "URGENT")},
        {"_00404041": element("CS")},
        {"_00404005": element("DT", "tomorrow")},
        {"_00741000": element("CS", "IN PROGRESS")},
        {"_00081195": element("UI", MINE)},
        {"_00741002": element("SQ", {"00741004": element("DS", 5)})},
        {"_00741216": performed()["00741216"]},
        {"_00404025": element("SQ", {"00080104": element("LO", "no code")})},
        {"_0040A370": element("SQ", {"00080050": element("SH", "A1")})},
    ],
)
def test_what_cannot_be_created(sqlite: Place, changes: dict[str, Any]) -> None:
    archive = sqlite.open()
    with pytest.raises((CodedError, WorkitemRefused)):
        create(archive, **changes)
    assert found(archive) == []


def test_what_a_creator_leaves_out_is_filled_in(sqlite: Place) -> None:
    archive = sqlite.open()
    assert not workitems.create(archive, "1.2.3", read_attributes(workitem())).modified
    assert workitems.create(archive, "1.2.4", read_attributes(workitem(_00741202=None))).modified
    assert text(workitems.get(archive, "1.2.4"), "00741202") == "ORTHANC"
    without_uid = workitems.create(archive, "", read_attributes(workitem())).uid
    assert without_uid in found(archive)
    named = workitems.create(archive, "", read_attributes(workitem(_00001000=element("UI", "1.2.5"))))
    assert named.uid == "1.2.5"
    assert refusal(create, archive, "1.2.3") is Reason.ALREADY_EXISTS


def test_what_cannot_be_changed(sqlite: Place) -> None:
    archive = sqlite.open()
    create(archive)
    for change in (
        {"00100020": element("LO", "P2")},
        {"00741000": element("CS", "COMPLETED")},
        {"00080018": element("UI", "1.2.4")},
        {"00741200": element("CS")},
    ):
        with pytest.raises(CodedError):
            workitems.update(archive, "1.2.3", read_attributes(change), "")
    assert refusal(workitems.update, archive, "1.2.3", {}, MINE) is Reason.NOT_CLAIMED
    assert refusal(workitems.update, archive, "1.2.9", {}, "") is Reason.NOT_FOUND
    # What is sent back as it was read is no change.
    workitems.update(archive, "1.2.3", workitems.get(archive, "1.2.3"), "")


def test_a_scheduled_workitem_is_canceled_on_request(archive: Archive) -> None:
    create(archive)
    request = read_attributes({"00741238": element("LT", "Patient went home")})
    assert workitems.request_cancel(archive, "1.2.3", request, "DOCTOR")
    assert state(archive) == CANCELED
    (progress,) = workitems.get(archive, "1.2.3")["00741002"]["Value"]
    assert text(progress, "00741238") == "Patient went home"
    assert not workitems.request_cancel(archive, "1.2.3", {}, "DOCTOR")


def test_a_claimed_workitem_is_its_performers(sqlite: Place) -> None:
    archive = sqlite.open()
    create(archive)
    workitems.change_state(archive, "1.2.3", IN_PROGRESS, MINE)
    assert workitems.request_cancel(archive, "1.2.3", {}, "DOCTOR")
    assert state(archive) == IN_PROGRESS
    workitems.update(archive, "1.2.3", read_attributes(performed()), MINE)
    workitems.change_state(archive, "1.2.3", COMPLETED, MINE)
    assert refusal(workitems.request_cancel, archive, "1.2.3", {}, "DOCTOR") is Reason.ALREADY_COMPLETED


def test_searching(archive: Archive) -> None:
    create(archive, "1.1", _00404005=element("DT", "20260101080000"))
    stations = element("SQ", code("WS1", "Left"), code("WS2", "Right"))
    create(archive, "1.2", _00404005=element("DT", "20260102235959"), _00404025=stations)
    create(archive, "1.3", _00404005=element("DT", "20260103"), _00100020=element("LO", "P2"))
    workitems.change_state(archive, "1.3", IN_PROGRESS, MINE)
    assert found(archive) == ["1.1", "1.2", "1.3"]
    assert found(archive, ProcedureStepState="IN PROGRESS") == ["1.3"]
    assert found(archive, ProcedureStepState="scheduled", PatientID="p1") == ["1.1", "1.2"]
    assert found(archive, ProcedureStepState="SCHEDULED", PatientID="P1") == ["1.1", "1.2"]
    assert found(archive, PatientID="P*") == ["1.1", "1.2", "1.3"]
    assert found(archive, ScheduledProcedureStepStartDateTime="20260102-") == ["1.2", "1.3"]
    assert found(archive, ScheduledProcedureStepStartDateTime="-20260102") == ["1.1", "1.2"]
    assert found(archive, ScheduledProcedureStepStartDateTime="20260101") == ["1.1"]
    assert found(archive, PatientName="muller*") == ["1.1", "1.2", "1.3"]
    assert found(archive, SOPInstanceUID="1.1,1.3") == ["1.1", "1.3"]
    station = "ScheduledStationNameCodeSequence"
    right = (f"{station}.CodeValue", "WS2")
    assert found(archive, right) == ["1.2"]
    assert found(archive, right, (f"{station}.CodeMeaning", "Right")) == ["1.2"]
    assert found(archive, right, (f"{station}.CodeMeaning", "Left")) == []  # not in the same item


def test_similar_names(sqlite: Place) -> None:
    archive = sqlite.open()
    create(archive)
    for fuzzy, expected in ((True, 1), (False, 0)):
        keys = parse_keys([("PatientName", "Mueler Ann")], fuzzy=fuzzy)
        assert len(search(archive, keys, 0, 10).workitems) == expected


@pytest.mark.parametrize(
    "pairs",
    [[("Nothing", "1")], [("PatientID.", "1")], [("StudyInstanceUID", "1*")], [("00404025", "x")]]
    + [[("PatientID", "1")] * 101, [(".".join(["00404025"] * 9), "1")]],
)
def test_searches_that_cannot_be_asked(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(CodedError):
        parse_keys(pairs)


def test_more_than_one_page(sqlite: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = sqlite.open()
    expected = [f"1.2.{number}" for number in range(100, 107)]
    for uid in expected:
        create(archive, uid)
    monkeypatch.setattr(workitems_search, "_BATCH", 2)
    assert found(archive) == expected
    result = search(archive, [], 2, 3)
    assert uids(result) == expected[2:5]
    assert result.more
    monkeypatch.setattr(workitems_search, "MOST_LOOKED_AT", 4)
    assert search(archive, parse_keys([("PatientID", "X*")]), 0, 10).cut


def test_ended_workitems_go_after_a_while(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    for uid in ("1.1", "1.2", "1.3"):
        create(archive, uid)
    subscribers.subscribe(archive, "1.2", "WATCHER", locked=True)
    for uid in ("1.1", "1.2"):
        workitems.request_cancel(archive, uid, {}, "DOCTOR")
    assert workitems.keep_house(archive) == 0
    now = clock.now()[0]
    monkeypatch.setattr(clock, "now", lambda: (now + 31 * 86400, ""))
    assert workitems.keep_house(archive) == 1
    assert found(archive) == ["1.2", "1.3"]  # one is locked, the other goes on
    subscribers.unsubscribe(archive, "1.2", "WATCHER")
    assert workitems.keep_house(archive) == 1
    assert refusal(workitems.get, archive, "1.2") is Reason.NOT_FOUND


def test_a_lock_does_not_hold_for_ever(sqlite: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = sqlite.open()
    create(archive)
    subscribers.subscribe(archive, "1.2.3", "WATCHER", locked=True)
    workitems.request_cancel(archive, "1.2.3", {}, "DOCTOR")
    now = clock.now()[0]
    monkeypatch.setattr(clock, "now", lambda: (now + workitems.LONGEST_LOCK + 10, ""))
    assert workitems.keep_house(archive) == 1


def test_a_workitem_that_is_too_large(sqlite: Place) -> None:
    archive = sqlite.open()
    texts = [{"00404005": element("DT", "2026"), "00080104": element("LO", "x" * 60_000)}] * 20
    with pytest.raises(WorkitemRefused) as refused:
        create(archive, _00404021=element("SQ", *texts))
    assert refused.value.reason is Reason.TOO_LARGE


def test_a_read_only_archive(sqlite: Place) -> None:
    create(sqlite.open())
    archive = sqlite.open(read_only=True)
    assert found(archive) == ["1.2.3"]
    with pytest.raises(ReadOnly):
        create(archive, "1.2.4")
    with pytest.raises(ReadOnly):
        subscribers.subscribe(archive, "1.2.3", "WATCHER", locked=False)
    assert workitems.keep_house(archive) == 0

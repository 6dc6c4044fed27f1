"""Which scheduled steps a worklist query finds, and what of them is answered."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from ithil.archive import worklist_match
from ithil.archive.worklist_match import BadWorklistQuery, Rules
from ithil.dicom import dataset
from ithil.dicom.dataset import Element
from ithil.dicom.uids import EXPLICIT_LITTLE


def parsed(found: Dataset) -> dataset.Dataset:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, found)
    return dataset.parse(buffer.getvalue(), stop_at_pixel_data=False, transfer_syntax=EXPLICIT_LITTLE)


def made(values: dict[str, Any]) -> Dataset:
    found = Dataset()
    for keyword, value in values.items():
        setattr(found, keyword, [made(one) for one in value] if keyword.endswith("Sequence") else value)
    return found


def step(number: str, **more: Any) -> dict[str, Any]:
    return {
        "ScheduledProcedureStepID": number,
        "Modality": "CT",
        "ScheduledProcedureStepStartDate": "20261122",
    } | more


def ask(
    keys: dict[str, Any], item: dict[str, Any], rules: Rules | None = None, state: str = ""
) -> list[list[Element]]:
    question = worklist_match.read(parsed(made(keys)), rules or Rules())
    return list(worklist_match.answers(question, parsed(made(item)), lambda _: state))


def steps(answers: list[list[Element]]) -> list[str]:
    """The ids of the steps in the answers."""
    found = []
    for answer in answers:
        (sequence,) = (one for one in answer if one.tag == 0x00400100)
        (one,) = sequence.items or []
        found.append(next(bytes(each.value).decode().strip() for each in one if each.tag == 0x00400009))
    return found


def of_step(**keys: Any) -> dict[str, Any]:
    return {"ScheduledProcedureStepSequence": [{"ScheduledProcedureStepID": "", **keys}]}


ITEM = {
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientName": "M\u00fcller^\u00c4nne=\u5f35",
    "PatientID": "P1",
    "ScheduledProcedureStepSequence": [
        step("S1", ScheduledProcedureStepStartTime="0830", ScheduledStationAETitle=["CT1", "CT2"]),
        step("S2", ScheduledProcedureStepStartTime="120000.5", ScheduledStationAETitle="MR1", Modality="MR"),
        step("S3", ScheduledProcedureStepStartDate="20261123", ScheduledProcedureStepStartTime="07"),
    ],
    "RequestedProcedureCodeSequence": [{"CodeValue": "A", "CodingSchemeDesignator": "X"}],
}


def test_each_step_that_matches_is_an_answer_of_its_own() -> None:
    assert steps(ask(of_step(), ITEM)) == ["S1", "S2", "S3"]
    assert steps(ask(of_step(Modality="CT"), ITEM)) == ["S1", "S3"]
    assert steps(ask(of_step(Modality="CT", ScheduledStationAETitle="CT2"), ITEM)) == ["S1"]
    assert ask(of_step(Modality="US"), ITEM) == []


@pytest.mark.parametrize(
    ("date", "time", "found"),
    [
        ("20261122", "", ["S1", "S2"]),
        ("2026.11.22", "", ["S1", "S2"]),
        ("-20261122", "", ["S1", "S2"]),
        ("20261123-", "", ["S3"]),
        ("20261122", "0830-1159", ["S1"]),
        ("20261122", "08:30-12:00", ["S1", "S2"]),
        ("", "083000", ["S1"]),
        ("", "07", ["S3"]),
        ("20261122-20261123", "0900-0600", ["S2"]),
        ("20261122-20261123", "0900-0700", ["S2", "S3"]),
        ("20261122-20261123", "1300-", ["S3"]),
        ("*", "-", ["S1", "S2", "S3"]),
    ],
)
def test_dates_and_times(date: str, time: str, found: list[str]) -> None:
    keys: dict[str, Any] = {"ScheduledProcedureStepStartDate": date, "ScheduledProcedureStepStartTime": time}
    question = made(of_step())
    inner = question.ScheduledProcedureStepSequence[0]
    for keyword, vr in (("ScheduledProcedureStepStartDate", "DA"), ("ScheduledProcedureStepStartTime", "TM")):
        inner.add_new(keyword, vr, "")
        inner[keyword]._value = keys[keyword]
    read = worklist_match.read(parsed(question), Rules())
    assert steps(list(worklist_match.answers(read, parsed(made(ITEM)), lambda _: ""))) == found


@pytest.mark.parametrize(
    "name", ["muller^anne", "M\u00dcLLER*", "M?ller^*", "\u5f35", "*", "M\u00fcller^\u00c4nne"]
)
def test_names_match_without_case_and_accents_in_any_representation(name: str) -> None:
    assert ask({"SpecificCharacterSet": "ISO_IR 192", "PatientName": name}, ITEM)


def test_names_match_exactly_if_that_is_set() -> None:
    assert not ask({"PatientName": "MULLER*"}, ITEM, Rules(case_sensitive_names=True))


def test_titles_of_stations() -> None:
    assert steps(ask(of_step(ScheduledStationAETitle="mr1"), ITEM)) == ["S2"]
    assert not ask(of_step(ScheduledStationAETitle="mr1"), ITEM, Rules(case_sensitive_titles=True))
    assert steps(ask(of_step(), ITEM, Rules(station="CT1"))) == ["S1"]
    assert ask({"PatientID": ""}, ITEM, Rules(station="NOBODY")) == []


def test_what_has_begun_is_told_and_what_has_ended_is_hidden() -> None:
    keys = of_step(ScheduledProcedureStepStatus="")
    (first, *_) = ask(keys, ITEM, state="STARTED")
    (sequence,) = (one for one in first if one.tag == 0x00400100)
    assert bytes((sequence.items or [])[0][-1].value).strip() == b"STARTED"
    assert ask(keys, ITEM, state="COMPLETED") == []
    assert len(ask(of_step(ScheduledProcedureStepStatus="COMPLETED"), ITEM, state="COMPLETED")) == 3
    assert ask(of_step(ScheduledProcedureStepStatus="SCHEDULED"), ITEM, state="STARTED") == []
    assert len(ask(of_step(ScheduledProcedureStepStatus="SCHEDULED"), ITEM)) == 3


def test_only_what_is_asked_for_is_answered_and_all_of_it() -> None:
    keys = {
        "AccessionNumber": "",
        "PatientID": "",
        "RequestedProcedureCodeSequence": [{"CodeValue": ""}],
        "ReferencedStudySequence": [],
    }
    (answer,) = ask(keys, ITEM)
    assert [one.tag for one in answer] == [0x00080005, 0x00080050, 0x00081110, 0x00100020, 0x00321064]
    assert bytes(answer[1].value) == b""
    assert [[each.tag for each in one] for one in answer[4].items or []] == [[0x00080100]]


def test_sequences_are_matched() -> None:
    assert ask({"RequestedProcedureCodeSequence": [{"CodeValue": "A", "CodingSchemeDesignator": "X"}]}, ITEM)
    assert not ask(
        {"RequestedProcedureCodeSequence": [{"CodeValue": "A", "CodingSchemeDesignator": "Y"}]}, ITEM
    )


def test_an_item_without_steps_answers_who_does_not_ask_for_one() -> None:
    bare = {"PatientID": "P1"}
    assert ask({"PatientID": "P1"}, bare)
    assert ask(of_step(), bare)
    assert not ask(of_step(Modality="CT"), bare)


@pytest.mark.parametrize(
    "keys",
    [
        {"StudyInstanceUID": "1.2.*"},
        {"RequestedProcedureCodeSequence": [{"CodeValue": "A"}, {"CodeValue": "B"}]},
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value")
def test_what_cannot_be_asked(keys: dict[str, Any]) -> None:
    with pytest.raises(BadWorklistQuery):
        ask(keys, ITEM)

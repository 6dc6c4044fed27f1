"""The worklist and performed procedure steps with real peers: findscu, pynetdicom, Orthanc over the same files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from tests.conftest import StartIthil
from tests.data.real import content_of
from tests.integration.sending import eventually
from tests.servers.ithil import Ithil
from tests.servers.orthanc import Orthanc
from tests.servers.process import DicomServer

WORKLIST = "1.2.840.10008.5.1.4.31"
STEP = "1.2.840.10008.3.1.2.3.3"
PLUGIN = Path("/usr/share/orthanc/plugins/libModalityWorklists.so")
DUMPS = Path("/usr/share/doc/dcmtk/examples/wlistdb/OFFIS")
ALLOW = {"DicomAlwaysAllowFindWorklist": True}

# (patient, station, date, time, modality, physician): a small day of a department
SCHEDULE = (
    ("Vivaldi^Antonio", "AA32\\AA33", "20261122", "085607", "MR", "Johnson"),
    ("Vivaldi^Antonio", "AA34", "20261123", "100000", "CT", "Young"),
    ("Haydn^Franz^Joseph", "AA32", "20261124", "1005", "MR", "Johnson^Jim"),
    ("M\u00fcller^\u00c4nne", "CT1", "20261201", "235959.5", "CT", ""),
    ("Mozart^Wolfgang^Amadeus", "", "20261122", "", "", "Dirsch\u00f6n"),
)


def item(number: int) -> Dataset:
    """One item of the schedule as pydicom writes it."""
    patient, station, date, time, modality, physician = SCHEDULE[number]
    step = Dataset()
    step.Modality = modality
    step.ScheduledStationAETitle = station.split("\\")
    step.ScheduledProcedureStepStartDate = date
    step.ScheduledProcedureStepStartTime = time
    step.ScheduledPerformingPhysicianName = physician
    step.ScheduledProcedureStepID = f"S{number}"
    found = Dataset()
    found.SpecificCharacterSet = "ISO_IR 100"
    found.PatientName = patient
    found.PatientID = f"P{number}"
    found.AccessionNumber = f"A{number}"
    found.StudyInstanceUID = f"1.2.826.0.1.3680043.10.{number}"
    found.RequestedProcedureID = f"R{number}"
    found.ScheduledProcedureStepSequence = [step]
    block = found.private_block(0x0009, "ITHIL TEST", create=True)
    block.add_new(1, "LO", f"private {number}")
    return found


def write_folder(folder: Path) -> Path:
    """A folder with all items of the schedule."""
    folder.mkdir()
    for number in range(len(SCHEDULE)):
        found = item(number)
        path = folder / f"item-{number}.wl"
        found.save_as(path, implicit_vr=number % 2 == 1, little_endian=True)
    return folder


def query(**keys: Any) -> Dataset:
    """An identifier that asks for the patient and for the usual attributes of the step."""
    found, step = Dataset(), Dataset()
    for keyword in ("Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate"):
        setattr(step, keyword, "")
    found.PatientName = found.PatientID = ""
    for keyword, value in keys.items():
        target = step if "Scheduled" in keyword or keyword == "Modality" else found
        setattr(target, keyword, value)
    found.ScheduledProcedureStepSequence = [step]
    return found


def associate(server: DicomServer, calling: str = "CT1") -> Association:
    entity = AE(ae_title=calling)
    entity.add_requested_context(WORKLIST)
    entity.add_requested_context(STEP)
    association = entity.associate("127.0.0.1", server.dicom_port)
    assert association.is_established
    return association


def ask(server: DicomServer, asked: Dataset, calling: str = "CT1") -> list[Dataset]:
    """All answers; the final status must be success."""
    association = associate(server, calling)
    try:
        responses = list(association.send_c_find(asked, WORKLIST))
    finally:
        association.release()
    assert responses[-1][0].Status == 0
    return [answer for status, answer in responses if status.Status == 0xFF00 and answer is not None]


def patients(answers: list[Dataset]) -> list[str]:
    return sorted(answer.PatientID for answer in answers)


QUERIES: dict[str, dict[str, Any]] = {
    "everything": {},
    "one patient": {"PatientID": "P1"},
    "a name in another case": {"PatientName": "vivaldi^antonio"},
    "a name with a wildcard": {"PatientName": "V*"},
    "a name with an umlaut": {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "M\u00fcll*"},
    "a name in UTF-8": {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "M\u00fcller^*"},
    "a question mark": {"PatientName": "Haydn^Franz?Joseph"},
    "a modality": {"Modality": "MR"},
    "the title of a station": {"ScheduledStationAETitle": "AA34"},
    "a day": {"ScheduledProcedureStepStartDate": "20261122"},
    "days": {"ScheduledProcedureStepStartDate": "20261122-20261123"},
    "days to come": {"ScheduledProcedureStepStartDate": "20261124-"},
    "days past": {"ScheduledProcedureStepStartDate": "-20261123"},
    "times": {"ScheduledProcedureStepStartTime": "0800-0900"},
    "a physician": {"ScheduledPerformingPhysicianName": "Johnson*"},
    "modality and day": {"Modality": "CT", "ScheduledProcedureStepStartDate": "20261201"},
    "an accession number": {"AccessionNumber": "A3"},
    "a procedure": {"RequestedProcedureID": "R2"},
    "a study": {"StudyInstanceUID": "1.2.826.0.1.3680043.10.0"},
    "nobody": {"PatientID": "P"},
    "a wildcard for all": {"PatientID": "*", "ScheduledStationAETitle": "*"},
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orthanc, Ithil]]:
    """Orthanc with its worklist plugin and Ithil, both with the same folder."""
    folder = tmp_path_factory.mktemp("worklist")
    section = {"Enable": True, "Database": str(write_folder(folder / "items"))}
    assert PLUGIN.exists(), "it comes with Debian's package orthanc"
    configuration = {**ALLOW, "Worklists": section}
    with (
        Orthanc(folder / "orthanc", {**configuration, "Plugins": [str(PLUGIN)]}) as theirs,
        Ithil(folder / "ithil", configuration) as ours,
    ):
        yield theirs, ours


@pytest.mark.parametrize("name", QUERIES)
def test_a_folder_answers_as_with_orthanc(pair: tuple[Orthanc, Ithil], name: str) -> None:
    theirs, ours = (
        sorted(ask(server, query(**QUERIES[name])), key=lambda answer: str(answer.PatientID))
        for server in pair
    )
    assert [answer.to_json_dict() for answer in ours] == [answer.to_json_dict() for answer in theirs]


def test_findscu_reads_the_answers(pair: tuple[Orthanc, Ithil]) -> None:
    keys = ["PatientName=Haydn*", "ScheduledProcedureStepSequence[0].Modality"]
    arguments = [part for key in keys for part in ("-k", key)]
    port = str(pair[1].dicom_port)
    found = subprocess.run(
        ["findscu", "-W", "-aec", "ORTHANC", "127.0.0.1", port, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "HAYDN" in found.stderr.upper() + found.stdout.upper()


def test_ranges_of_date_and_time_are_one_range_of_moments(pair: tuple[Orthanc, Ithil]) -> None:
    asked = query(
        ScheduledProcedureStepStartDate="20261122-20261123", ScheduledProcedureStepStartTime="0900-0930"
    )
    # From 22 November, 9:00, to 23 November, 9:30: neither 8:56 of the first day nor 10:00 of the second.
    assert patients(ask(pair[1], asked)) == []
    asked = query(
        ScheduledProcedureStepStartDate="20261122-20261123", ScheduledProcedureStepStartTime="0800-1000"
    )
    assert patients(ask(pair[1], asked)) == ["P0", "P1"]


def test_one_of_several_values_is_enough(pair: tuple[Orthanc, Ithil]) -> None:
    """PS3.4 C.2.2.3; Orthanc 1.10 compares the values as a whole."""
    assert patients(ask(pair[1], query(ScheduledStationAETitle="AA33"))) == ["P0"]


def test_private_attributes_are_matched_and_returned(pair: tuple[Orthanc, Ithil]) -> None:
    asked = query()
    asked.private_block(0x0009, "ITHIL TEST", create=True).add_new(1, "LO", "private 2")
    (answer,) = ask(pair[1], asked)
    assert answer.PatientID == "P2"
    assert answer.private_block(0x0009, "ITHIL TEST")[1].value == "private 2"


def test_a_damaged_file_hides_no_other(pair: tuple[Orthanc, Ithil]) -> None:
    folder = Path(pair[1].configuration["Worklists"]["Database"])
    (folder / "broken.wl").write_bytes(b"\x08\x00\x05\x00CS\xff\xff broken")
    try:
        assert patients(ask(pair[1], query())) == ["P0", "P1", "P2", "P3", "P4"]
    finally:
        (folder / "broken.wl").unlink()


def test_only_the_items_of_the_caller_and_not_too_many(start_ithil: StartIthil, tmp_path: Path) -> None:
    folder = str(write_folder(tmp_path / "items"))
    server = start_ithil(
        {**ALLOW, "Worklists": {"Enable": True, "Directory": folder, "FilterIssuerAet": True}}
    )
    assert patients(ask(server, query(), "AA32")) == ["P0", "P2"]
    assert patients(ask(server, query(ScheduledStationAETitle="CT1"), "AA32")) == []
    server = start_ithil({**ALLOW, "Worklists": {"Enable": True, "Directory": folder, "LimitAnswers": 2}})
    association = associate(server)
    statuses = [status.Status for status, _ in association.send_c_find(query(), WORKLIST)]
    association.release()
    assert statuses == [0xFF00, 0xFF00, 0xFE00]


def test_without_a_worklist_there_is_no_service(start_ithil: StartIthil) -> None:
    server = start_ithil(ALLOW)
    entity = AE()
    entity.add_requested_context(WORKLIST)
    association = entity.associate("127.0.0.1", server.dicom_port)
    assert not association.accepted_contexts
    assert server.get("/worklists").status == 404


# -- what is performed ---------------------------------------------------------------------------------------

IN_DATABASE: dict[str, Any] = {**ALLOW, "Worklists": {"Enable": True, "SaveInOrthancDatabase": True}}


def create(server: DicomServer, **tags: Any) -> dict[str, Any]:
    step = {
        "Modality": "CT",
        "ScheduledStationAETitle": "CT1",
        "ScheduledProcedureStepStartDate": "20261122",
        "ScheduledProcedureStepID": "S1",
    }
    body = {"Tags": {"PatientID": "P1", "ScheduledProcedureStepSequence": [step], **tags}}
    answer = server.ask("POST", "/worklists/create", json.dumps(body))
    assert answer.status == 200, answer.body
    key: dict[str, Any] = server.get(answer.json()["Path"]).json()
    return key


def performed(study: str, status: str = "IN PROGRESS") -> Dataset:
    """The data set of an N-CREATE."""
    scheduled = Dataset()
    scheduled.StudyInstanceUID = study
    scheduled.ScheduledProcedureStepID = "S1"
    found = Dataset()
    found.ScheduledStepAttributesSequence = [scheduled]
    found.PatientID = "P1"
    found.PerformedProcedureStepID = "PPS1"
    found.PerformedStationAETitle = "CT1"
    found.PerformedProcedureStepStartDate = "20261122"
    found.PerformedProcedureStepStartTime = "0900"
    found.PerformedProcedureStepStatus = status
    found.Modality = "CT"
    return found


def change(status: str, **more: Any) -> Dataset:
    found = Dataset()
    found.PerformedProcedureStepStatus = status
    for keyword, value in more.items():
        setattr(found, keyword, value)
    return found


def state(server: DicomServer, key: str) -> list[str]:
    found: list[str] = server.get(f"/worklists/{key}").json()["States"]
    return found


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_is_performed_moves_the_item_and_survives_a_restart(
    start_ithil: StartIthil, database: str, request: pytest.FixtureRequest
) -> None:
    configuration = dict(IN_DATABASE)
    if database == "postgresql":
        configuration["PostgreSQL"] = request.getfixturevalue("postgresql").configuration
    server = start_ithil(configuration)
    made = create(server)
    key, study = made["ID"], made["Tags"]["StudyInstanceUID"]
    assert made["States"] == ["SCHEDULED"]
    asked = query(ScheduledProcedureStepStatus="")
    association = associate(server)
    assert association.send_n_create(performed(study), STEP, "1.2.3.1")[0].Status == 0
    assert state(server, key) == ["STARTED"]
    assert association.send_n_create(performed(study), STEP, "1.2.3.1")[0].Status == 0x0111
    (answer,) = ask(server, asked)
    assert answer.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStatus == "STARTED"
    done = change("COMPLETED", PerformedProcedureStepEndDate="20261122")
    assert association.send_n_set(done, STEP, "1.2.3.1")[0].Status == 0
    late = association.send_n_set(change("IN PROGRESS"), STEP, "1.2.3.1")[0]
    assert (late.Status, late.ErrorID) == (0x0110, 0xA710)
    association.release()
    assert ask(server, asked) == []
    (answer,) = ask(server, query(ScheduledProcedureStepStatus="COMPLETED"))
    server.stop()
    server.start()
    assert state(server, key) == ["COMPLETED"]
    (step,) = server.get(f"/worklists/{key}").json()["PerformedProcedureSteps"]
    assert step["SOPInstanceUID"] == "1.2.3.1"
    assert step["RemoteAET"] == "CT1"
    assert step["Tags"]["PerformedProcedureStepEndDate"] == "20261122"
    assert step["Tags"]["PerformedProcedureStepStartTime"] == "0900"


def test_wrong_transitions_are_refused(start_ithil: StartIthil) -> None:
    server = start_ithil(IN_DATABASE)
    key = create(server)["ID"]
    study = server.get(f"/worklists/{key}").json()["Tags"]["StudyInstanceUID"]
    association = associate(server)
    assert association.send_n_create(performed(study, "COMPLETED"), STEP, "1.2.3.1")[0].Status == 0x0106
    without = performed(study)
    del without.ScheduledStepAttributesSequence
    assert association.send_n_create(without, STEP, "1.2.3.1")[0].Status == 0x0120
    assert association.send_n_set(change("COMPLETED"), STEP, "1.2.3.1")[0].Status == 0x0112
    assert state(server, key) == ["SCHEDULED"]
    status, _ = association.send_n_create(performed(study), STEP, None)
    assert status.Status == 0
    (step,) = server.get(f"/worklists/{key}").json()["PerformedProcedureSteps"]
    uid = step["SOPInstanceUID"]
    assert association.send_n_set(change("FINISHED"), STEP, uid)[0].Status == 0x0106
    assert association.send_n_set(change("IN PROGRESS", PatientID="other"), STEP, uid)[0].Status == 0x0107
    (step,) = server.get(f"/worklists/{key}").json()["PerformedProcedureSteps"]
    assert step["Tags"]["PatientID"] == "P1"
    assert association.send_n_set(change("DISCONTINUED"), STEP, uid)[0].Status == 0
    association.release()
    assert state(server, key) == ["DISCONTINUED"]


def test_a_step_of_the_wrong_item_leaves_it_to_be_done(start_ithil: StartIthil) -> None:
    server = start_ithil(IN_DATABASE)
    made = create(server)
    association = associate(server)
    study = made["Tags"]["StudyInstanceUID"]
    assert association.send_n_create(performed(study), STEP, "1.2.3.1")[0].Status == 0
    reason = Dataset()
    reason.CodeValue, reason.CodingSchemeDesignator = "110514", "DCM"
    mistake = change("DISCONTINUED", PerformedProcedureStepDiscontinuationReasonCodeSequence=[reason])
    assert association.send_n_set(mistake, STEP, "1.2.3.1")[0].Status == 0
    association.release()
    assert state(server, made["ID"]) == ["SCHEDULED"]
    assert len(ask(server, query())) == 1


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_an_item_goes_when_its_study_has_arrived(
    start_ithil: StartIthil, database: str, request: pytest.FixtureRequest
) -> None:
    worklists = {"Enable": True, "SaveInOrthancDatabase": True, "HousekeepingInterval": 1}
    configuration: dict[str, Any] = {**ALLOW, "StableAge": 1, "Worklists": worklists}
    if database == "postgresql":
        configuration["PostgreSQL"] = request.getfixturevalue("postgresql").configuration
    server = start_ithil(configuration)
    study = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
    key = create(server, PatientID="1CT1", StudyInstanceUID=study)["ID"]
    other = create(server)["ID"]
    server.upload(content_of("pydicom/CT_small.dcm"))
    eventually(lambda: server.get(f"/worklists/{key}").status == 404, "the item is gone")
    assert server.get(f"/worklists/{other}").status == 200
    assert patients(ask(server, query())) == ["P1"]


def test_items_of_a_folder_move_too_and_are_not_removed(start_ithil: StartIthil, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "items")
    worklists = {"Enable": True, "Directory": str(folder)}
    server = start_ithil({**ALLOW, "StableAge": 1, "Worklists": worklists})
    found = performed("1.2.826.0.1.3680043.10.0")
    found.ScheduledStepAttributesSequence[0].ScheduledProcedureStepID = "S0"
    association = associate(server)
    assert association.send_n_create(found, STEP, "1.2.3.1")[0].Status == 0
    assert association.send_n_set(change("COMPLETED"), STEP, "1.2.3.1")[0].Status == 0
    association.release()
    assert patients(ask(server, query())) == ["P1", "P2", "P3", "P4"]
    assert state(server, "item-0") == ["COMPLETED"]
    assert len(list(folder.glob("*.wl"))) == len(SCHEDULE)

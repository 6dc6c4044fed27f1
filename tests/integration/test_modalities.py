"""Real peers on the other side: Orthanc, dcmtk's worklist server, and a pynetdicom that takes its time."""

from __future__ import annotations

import io
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelMove
from tests.data.real import content_of
from tests.servers.ithil import Ithil
from tests.servers.orthanc import Orthanc
from tests.servers.ports import free_ports
from tests.servers.process import DicomServer

CT, MR = "pydicom/CT_small.dcm", "pydicom/MR_small_RLE.dcm"
SERIES = tuple(f"pydicom/dicomdirtests/77654033/CT2/{number}" for number in (17106, 17136, 17166, 17196))
DEADLINE = 30.0

OPEN = {f"DicomAlwaysAllow{what}": True for what in ("Echo", "Store", "Find", "Get", "Move")}


def ask(server: DicomServer, method: str, path: str, body: Any = None) -> Any:
    """The JSON of a successful answer."""
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    answer = server.ask(method, path, text)
    assert answer.status == 200, answer.body
    return answer.json()


def wait_for_job(server: DicomServer, job: str, *states: str) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE
    while (found := server.get(f"/jobs/{job}").json())["State"] not in states:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return dict(found)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Ithil, Orthanc]]:
    """Each is a modality of the other: `ithil` and `orthanc`."""
    ithil = Ithil(tmp_path / "ithil", {"DicomAet": "ITHIL", "Ithil": {"Workers": 2}, **OPEN})
    orthanc = Orthanc(tmp_path / "orthanc", {"DicomAet": "ORTHANC", **OPEN})
    ithil.configuration["DicomModalities"] = {"orthanc": ["ORTHANC", "127.0.0.1", orthanc.dicom_port]}
    orthanc.configuration["DicomModalities"] = {"ithil": ["ITHIL", "127.0.0.1", ithil.dicom_port]}
    try:
        orthanc.start()
        with ithil:
            yield ithil, orthanc
    finally:
        orthanc.kill()


@pytest.mark.parametrize("method", ["C-MOVE", "C-GET"])
def test_a_study_of_orthanc_is_found_and_retrieved(pair: tuple[Ithil, Orthanc], method: str) -> None:
    ithil, orthanc = pair
    for name in (CT, MR, *SERIES):
        assert orthanc.upload(content_of(name)).status == 200
    query = ask(ithil, "POST", "/modalities/orthanc/query", {"Level": "Study", "Query": {"PatientID": "77*"}})
    for _ in range(4):  # whichever process is asked
        assert ask(ithil, "GET", f"{query['Path']}/answers") == ["0"]
    shown = ask(ithil, "POST", f"{query['Path']}/retrieve", {"RetrieveMethod": method})
    assert shown["RemoteAet"] == "ORTHANC"
    assert ask(ithil, "GET", "/statistics")["CountInstances"] == len(SERIES)
    ours, theirs = (
        {one["MainDicomTags"]["SOPInstanceUID"] for one in ask(server, "GET", "/instances?expand")}
        for server in pair
    )
    assert ours < theirs


def test_what_was_sent_to_orthanc_is_there(pair: tuple[Ithil, Orthanc]) -> None:
    ithil, orthanc = pair
    for name in (CT, MR, *SERIES):
        assert ithil.upload(content_of(name)).status == 200
    patients = ask(ithil, "GET", "/patients")
    shown = ask(ithil, "POST", "/modalities/orthanc/store", {"Resources": patients})
    assert (shown["InstancesCount"], shown["FailedInstancesCount"]) == (6, 0)
    assert sorted(ask(orthanc, "GET", "/instances")) == sorted(ask(ithil, "GET", "/instances"))


def test_orthanc_asks_ithil_the_same(pair: tuple[Ithil, Orthanc]) -> None:
    ithil, orthanc = pair
    for name in SERIES:
        assert ithil.upload(content_of(name)).status == 200
    query = ask(orthanc, "POST", "/modalities/ithil/query", {"Level": "Study", "Query": {"PatientID": "77*"}})
    put = ithil.ask("PUT", "/modalities/orthanc", json.dumps(["ORTHANC", "127.0.0.1", orthanc.dicom_port]))
    assert put.status == 200
    ask(orthanc, "POST", f"{query['Path']}/answers/0/retrieve", "ORTHANC")
    assert ask(orthanc, "GET", "/statistics")["CountInstances"] == len(SERIES)


def test_a_modality_that_is_added_counts_in_every_process_and_is_kept_in_the_database(tmp_path: Path) -> None:
    configuration = {
        "DicomModalitiesInDatabase": True,
        "DicomModalities": {"ignored": ["A", "b", 1]},
        "Ithil": {"Workers": 2},
    }
    ithil = Ithil(tmp_path, configuration)
    with ithil:
        assert ask(ithil, "GET", "/modalities") == []
        assert ithil.ask("PUT", "/modalities/new", '["NEW", "localhost", 104]').status == 200
        for _ in range(10):
            assert ask(ithil, "GET", "/modalities") == ["new"]
    with ithil:
        assert ask(ithil, "GET", "/modalities") == ["new"]


@contextmanager
def slow_mover(port: int, going: Event) -> Iterator[None]:
    """A modality whose C-MOVE sends pending responses until `going` is set."""

    image = pydicom.dcmread(io.BytesIO(content_of(CT)))

    def on_move(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", port
        yield 1000
        while not going.is_set() and not event.is_cancelled:
            yield 0xFF00, image
            time.sleep(0.05)
        yield 0xFE00, None

    entity = AE("SLOW")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
    for add in (entity.add_supported_context, entity.add_requested_context):  # it sends to itself
        add(CTImageStorage)
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_MOVE, on_move)])
    try:
        yield
    finally:
        going.set()
        server.shutdown()


def test_a_worklist_of_dcmtk_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "worklists" / "WORKLIST"
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    step = Dataset()
    step.Modality, step.ScheduledStationAETitle = "CT", "SCANNER"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20261122", "0900"
    step.ScheduledPerformingPhysicianName, step.ScheduledProcedureStepID = "X^Y", "1"
    step.ScheduledProcedureStepDescription = "Head"
    item = Dataset()
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    item.file_meta.MediaStorageSOPClassUID = "1.2.276.0.7230010.3.1.0.1"
    item.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    item.SpecificCharacterSet, item.PatientName, item.PatientID = "ISO_IR 100", "Doe^Jane", "42"
    item.PatientBirthDate, item.PatientSex, item.AccessionNumber = "", "F", "A1"
    item.StudyInstanceUID, item.RequestedProcedureID = "1.2.3", "R1"
    item.RequestedProcedureDescription = "CT of the head"
    item.ScheduledProcedureStepSequence = [step]
    pydicom.dcmwrite(folder / "item.wl", item, enforce_file_format=True)
    (port,) = free_ports(1)
    scp = subprocess.Popen(
        ["wlmscpfs", "-dfp", str(tmp_path / "worklists"), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with Ithil(
            tmp_path / "ithil", {"DicomModalities": {"ris": ["WORKLIST", "127.0.0.1", port]}}
        ) as ithil:
            asked = {"PatientName": "", "ScheduledProcedureStepSequence": [{"Modality": "CT"}]}
            deadline = time.monotonic() + DEADLINE
            while ithil.ask("POST", "/modalities/ris/find-worklist", json.dumps(asked)).status != 200:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            found = ask(ithil, "POST", "/modalities/ris/find-worklist", asked)
            assert [one["PatientName"] for one in found] == ["Doe^Jane"]
            assert found[0]["ScheduledProcedureStepSequence"][0]["Modality"] == "CT"
            none = {"ScheduledProcedureStepSequence": [{"Modality": "MR"}]}
            assert ask(ithil, "POST", "/modalities/ris/find-worklist", {"Query": none, "Short": True}) == []
    finally:
        scp.kill()
        scp.wait()


def test_a_job_that_waits_for_a_modality_can_be_cancelled(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    body = {
        "Level": "Study",
        "Resources": [{"StudyInstanceUID": "1.2"}],
        "TargetAet": "X",
        "Asynchronous": True,
    }
    modalities = {"slow": ["SLOW", "127.0.0.1", port]}
    with slow_mover(port, Event()), Ithil(tmp_path, {"DicomModalities": modalities}) as ithil:
        job = ask(ithil, "POST", "/modalities/slow/move", body)["ID"]
        wait_for_job(ithil, job, "Running")
        ask(ithil, "POST", f"/jobs/{job}/cancel", "")
        ended = wait_for_job(ithil, job, "Failure", "Success")
        assert (ended["State"], ended["ErrorCode"]) == ("Failure", 37), ended

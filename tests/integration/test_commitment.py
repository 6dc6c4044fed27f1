"""Storage commitment with real peers, in both roles: Orthanc, and pynetdicom with a listener or without one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.events import Event
from tests.conftest import StartIthil, StartOrthanc
from tests.data.real import content_of
from tests.integration.sending import eventually, stored_files
from tests.servers.ithil import Ithil
from tests.servers.ports import free_ports

PUSH = "1.2.840.10008.1.20.1"
INSTANCE = "1.2.840.10008.1.20.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
CT_SMALL = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
STUDY = "8a8cf898-ca27c490-d0c7058c-929d0581-2bbf104d"
STORED, OTHER_CLASS, UNKNOWN = (CT, CT_SMALL), ("1.2.840.10008.5.1.4.1.1.4", CT_SMALL), (CT, "1.2.9")
FILE = "pydicom/CT_small.dcm"


class Modality:
    """An application entity that asks for commitment, or commits to what it is asked for."""

    def __init__(self) -> None:
        self.port: int = free_ports(1)[0]
        self.reports: list[tuple[str, int, Dataset]] = []  # where it came, event type, event information
        self.requests: list[Dataset] = []
        self.arrived = threading.Event()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take requests and reports."""
        entity = AE(ae_title="MODALITY")
        entity.add_supported_context(PUSH, scu_role=True, scp_role=True)
        handlers: list[Any] = [
            (evt.EVT_N_EVENT_REPORT, self.take_report, ["new association"]),
            (evt.EVT_N_ACTION, self.take_request),
        ]
        server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        assert server is not None
        try:
            yield
        finally:
            server.shutdown()

    def take_report(self, event: Event, where: str) -> tuple[int, None]:
        self.reports.append((where, event.event_type or 0, event.event_information))
        self.arrived.set()
        return 0x0000, None

    def take_request(self, event: Event) -> tuple[int, None]:
        self.requests.append(event.action_information)
        self.arrived.set()
        return 0x0000, None

    def ask(self, server: Ithil, references: list[tuple[str, str]], *, stay: bool = False) -> int:
        """Send N-ACTION; with `stay` the association is kept until the report has come. Gives the status."""
        entity = AE(ae_title="MODALITY")
        entity.add_requested_context(PUSH)
        association = entity.associate(
            "127.0.0.1",
            server.dicom_port,
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.take_report, ["same association"])],
        )
        if not association.is_established:
            return -1
        status, _ = association.send_n_action(information(references), 1, PUSH, INSTANCE)
        if stay:
            assert self.arrived.wait(30)
        association.release()
        return int(status.Status)

    def answer(self, server: Ithil, failed: int | None = None) -> int:
        """Report on the last request: all is committed, or the first instance has failed for a reason."""
        request = self.requests[-1]
        entity = AE(ae_title="MODALITY")
        entity.add_requested_context(PUSH)
        role = build_role(PUSH, scp_role=True)
        association = entity.associate("127.0.0.1", server.dicom_port, ext_neg=[role])
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        items = list(request.ReferencedSOPSequence)
        if failed is not None:
            items[0].FailureReason = failed
            report.FailedSOPSequence = [items.pop(0)]
        report.ReferencedSOPSequence = items
        event_type = 1 if failed is None else 2
        status, _ = association.send_n_event_report(report, event_type, PUSH, INSTANCE)
        association.release()
        return int(status.Status)


def information(references: list[tuple[str, str]]) -> Dataset:
    found = Dataset()
    found.TransactionUID = "1.2.3.4.5"
    found.ReferencedSOPSequence = []
    for sop_class, sop_instance in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
        found.ReferencedSOPSequence.append(item)
    return found


def configuration(modality: Modality, **more: Any) -> dict[str, Any]:
    return {"DicomModalities": {"it": ["MODALITY", "127.0.0.1", modality.port]}, **more}


def post(server: Ithil, path: str, body: Any) -> Any:
    answer = server.ask("POST", path, json.dumps(body))
    assert answer.status == 200, answer.body
    return answer.json()


@pytest.fixture
def modality() -> Modality:
    return Modality()


@pytest.mark.parametrize("stay", [False, True], ids=["new association", "same association"])
def test_it_commits_to_what_it_has(start_ithil: StartIthil, modality: Modality, stay: bool) -> None:
    server = start_ithil(configuration(modality))
    server.upload(content_of(FILE))
    with modality.listening():
        assert modality.ask(server, [STORED, OTHER_CLASS, UNKNOWN], stay=stay) == 0
        assert modality.arrived.wait(30)
    ((where, event_type, report),) = modality.reports
    assert where == ("same association" if stay else "new association")
    assert event_type == 2
    assert report.TransactionUID == "1.2.3.4.5"
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [CT_SMALL]
    assert [item.FailureReason for item in report.FailedSOPSequence] == [0x0119, 0x0112]
    eventually(
        lambda: [job["State"] for job in server.get("/jobs?expand").json()] == ["Success"], "the job is done"
    )


def test_a_peer_without_a_listener_gets_its_report_where_it_asked(
    start_ithil: StartIthil, modality: Modality
) -> None:
    server = start_ithil(configuration(modality))
    server.upload(content_of(FILE))
    assert modality.ask(server, [STORED], stay=True) == 0
    ((where, event_type, _),) = modality.reports
    assert (where, event_type) == ("same association", 1)


def test_it_does_not_commit_to_a_damaged_file(start_ithil: StartIthil, modality: Modality) -> None:
    server = start_ithil(configuration(modality))
    server.upload(content_of(FILE))
    (file,) = stored_files(server)
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    with modality.listening():
        modality.ask(server, [STORED])
        assert modality.arrived.wait(30)
    assert [item.FailureReason for item in modality.reports[0][2].FailedSOPSequence] == [0x0110]


def test_an_unreachable_peer_is_told_when_the_report_is_tried_again(
    start_ithil: StartIthil, modality: Modality
) -> None:
    server = start_ithil(configuration(modality))
    assert modality.ask(server, [UNKNOWN]) == 0
    eventually(
        lambda: [job["State"] for job in server.get("/jobs?expand").json()] == ["Retry"], "it has to wait"
    )
    (job,) = server.get("/jobs?expand").json()
    assert (job["ErrorCode"], job["Content"]["RemoteAet"]) == (9, "MODALITY")
    server.kill()
    server.start()
    with modality.listening():
        server.ask("POST", f"/jobs/{job['ID']}/resume", "")
        assert modality.arrived.wait(30)
    assert modality.reports[0][1] == 2


def test_strangers_cannot_ask(start_ithil: StartIthil, modality: Modality) -> None:
    assert modality.ask(start_ithil(), [UNKNOWN]) == -1
    denied = {"AET": "MODALITY", "Host": "127.0.0.1", "Port": 104, "AllowStorageCommitment": False}
    assert modality.ask(start_ithil({"DicomModalities": {"it": denied}}), [UNKNOWN]) == -1


def test_a_modality_commits_and_then_what_it_has_can_go(start_ithil: StartIthil, modality: Modality) -> None:
    server = start_ithil(configuration(modality, StorageCommitmentReportsSize=2))
    server.upload(content_of(FILE))
    with modality.listening():
        made = post(server, "/modalities/it/storage-commitment", {"Resources": [STUDY]})
    path = made["Path"]
    (request,) = modality.requests
    assert request.TransactionUID == made["ID"]
    assert [item.ReferencedSOPInstanceUID for item in request.ReferencedSOPSequence] == [CT_SMALL]
    assert server.get(path).json() == {"RemoteAET": "MODALITY", "Status": "Pending"}
    assert server.ask("POST", f"{path}/remove", "").status == 500
    server.kill()
    server.start()
    assert modality.answer(server) == 0
    instance = {"SOPClassUID": CT, "SOPInstanceUID": CT_SMALL}
    success = {"RemoteAET": "MODALITY", "Status": "Success", "Success": [instance], "Failures": []}
    assert server.get(path).json() == success
    assert server.ask("POST", f"{path}/remove", "").status == 200
    assert server.get("/instances").json() == []


def test_a_report_on_the_association_of_the_request_is_taken(
    start_ithil: StartIthil, modality: Modality
) -> None:
    server = start_ithil(configuration(modality))
    answered: list[int] = []

    def report(event: Event) -> None:
        found = Dataset()
        found.TransactionUID = event.action_information.TransactionUID
        found.ReferencedSOPSequence = event.action_information.ReferencedSOPSequence
        status, _ = event.assoc.send_n_event_report(found, 1, PUSH, INSTANCE)
        answered.append(status.Status)

    def take(event: Event) -> tuple[int, None]:
        threading.Timer(0.3, report, (event,)).start()  # after the response
        return 0x0000, None

    entity = AE(ae_title="MODALITY")
    entity.add_supported_context(PUSH)
    listener = entity.start_server(
        ("127.0.0.1", modality.port), block=False, evt_handlers=[(evt.EVT_N_ACTION, take)]
    )
    assert listener is not None
    try:
        body = {"DicomInstances": [[CT, "1.2.1"]]}
        path = post(server, "/modalities/it/storage-commitment", body)["Path"]
        eventually(lambda: server.get(path).json()["Status"] == "Success", "the report has come")
        eventually(lambda: answered == [0], "it was answered")
    finally:
        listener.shutdown()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_failures_are_told_and_old_reports_go(
    start_ithil: StartIthil, modality: Modality, database: str, request: pytest.FixtureRequest
) -> None:
    more: dict[str, Any] = {"StorageCommitmentReportsSize": 2}
    if database == "postgresql":
        more["PostgreSQL"] = request.getfixturevalue("postgresql").configuration
    server = start_ithil(configuration(modality, **more))
    assert modality.ask(server, [UNKNOWN]) == 0
    body = {"DicomInstances": [{"SOPClassUID": CT, "SOPInstanceUID": "1.2.1"}, [CT, "1.2.2"]]}
    paths = []
    with modality.listening():
        for _ in range(3):
            paths.append(post(server, "/modalities/it/storage-commitment", body)["Path"])
            assert modality.answer(server, failed=0x0213) == 0
    assert [server.get(path).status for path in paths] == [404, 200, 200]
    found = server.get(paths[-1]).json()
    assert found["Status"] == "Failure"
    assert found["Success"] == [{"SOPClassUID": CT, "SOPInstanceUID": "1.2.2"}]
    (failure,) = found["Failures"]
    assert (failure["SOPInstanceUID"], failure["FailureReason"]) == ("1.2.1", 0x0213)
    assert failure["Description"]
    assert server.ask("POST", f"{paths[-1]}/remove", "").status == 500


def test_orthanc_commits_for_ithil_and_the_other_way_round(
    start_ithil: StartIthil, start_orthanc: StartOrthanc, tmp_path: Path
) -> None:
    first = start_ithil({"DicomAet": "ITHIL"})
    orthanc = start_orthanc(
        {"DicomAet": "ORACLE", "DicomModalities": {"ithil": ["ITHIL", "127.0.0.1", first.dicom_port]}}
    )
    entry = ["ORACLE", "127.0.0.1", orthanc.dicom_port]
    assert first.ask("PUT", "/modalities/orthanc", json.dumps(entry)).status == 200
    body = {"Resources": [STUDY], "DicomInstances": [["1.2.3", "1.2.4"]]}
    for asking, asked, name in ((first, orthanc, "orthanc"), (orthanc, first, "ithil")):
        for server in (first, orthanc):
            server.upload(content_of(FILE))
        path = post(asking, f"/modalities/{name}/storage-commitment", body)["Path"]  # type: ignore[arg-type]
        eventually(lambda: asking.get(path).json()["Status"] == "Failure", "the report has come")  # noqa: B023
        found = asking.get(path).json()
        assert found["RemoteAET"] == asked.configuration["DicomAet"]
        assert found["Success"] == [{"SOPClassUID": CT, "SOPInstanceUID": CT_SMALL}]
        assert [failure["FailureReason"] for failure in found["Failures"]] == [0x0112]

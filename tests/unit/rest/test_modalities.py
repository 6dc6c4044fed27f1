"""What clients ask of modalities: a second Ithil on the loopback interface is the modality `pacs`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.application import CT_INSTANCE, CT_STUDY, Client, MakeClient
from tests.unit.services.receiver import receiving

from ithil.archive import ingest
from ithil.archive.archive import Archive
from ithil.archive.model import Origin
from ithil.network import status
from ithil.network.acceptor import Acceptor, AcceptorConfig, listen
from ithil.services.association import ServiceAssociation
from ithil.services.association_pool import pool
from ithil.services.presentation import Presentation
from ithil.settings import Modality, Settings

CT_STUDY_UID = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
CT_SOP_UID = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
JOB_DEADLINE = 30.0


@dataclass
class Pacs:
    """A DICOM server with an archive of its own."""

    archive: Archive
    port: int

    @property
    def instances(self) -> int:
        from ithil.archive import resources

        found = resources.statistics(self.archive)
        return 0 if found is None else found.instances


@contextmanager
def serving(folder: Path, **options: Any) -> Iterator[Pacs]:
    settings = Settings(
        storage_directory=folder,
        dicom_aet="PACS",
        dicom_always_allow_find=True,
        dicom_always_allow_get=True,
        dicom_always_allow_move=True,
        **options,
    )
    archive = Archive.open(settings)
    presentation = Presentation(settings)
    acceptor = Acceptor(
        [listen("127.0.0.1", 0)], AcceptorConfig(), lambda: ServiceAssociation(archive, presentation)
    )
    acceptor.start()
    try:
        yield Pacs(archive, acceptor.addresses[0][1])
    finally:
        pool.release_all()
        acceptor.stop(5)
        archive.close()


@pytest.fixture
def pacs(tmp_path: Path, ct: bytes, mr: bytes) -> Iterator[Pacs]:
    """One with a CT and an MR image; it can move to itself, as STORE."""
    with serving(tmp_path / "pacs") as found:
        for content in (ct, mr):
            ingest.store(found.archive, content, Origin())
        yield found


@pytest.fixture
def client(make_client: MakeClient, pacs: Pacs) -> Client:
    return make_client(
        dicom_modalities={
            "pacs": Modality("PACS", "127.0.0.1", pacs.port),
            "dead": Modality("DEAD", "127.0.0.1", 1),
        },
        dicom_association_close_delay=0,
        log_exported_resources=True,
    )


def ended(client: Client, job: str) -> dict[str, Any]:
    """A job once it has ended."""
    deadline = time.monotonic() + JOB_DEADLINE
    while (found := client.get(f"/jobs/{job}").json())["State"] not in ("Success", "Failure"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return dict(found)


def query(client: Client, level: str = "Study", **keys: str) -> str:
    answer = client.post("/modalities/pacs/query", json={"Level": level, "Query": keys})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["Path"])


def test_modalities_can_be_added_changed_and_removed(client: Client) -> None:
    assert client.put("/modalities/new", json=["NEW", "new.example", 104]).status_code == 200
    assert client.get("/modalities").json() == ["dead", "new", "pacs"]
    assert client.get("/modalities/new/configuration").json()["Host"] == "new.example"
    assert "echo" in client.get("/modalities/new").json()
    assert client.delete("/modalities/new").status_code == 200
    assert client.delete("/modalities/new").status_code == 404
    assert client.get("/modalities/new").status_code == 404


def test_an_echo_is_answered(client: Client) -> None:
    for body in (None, {}, {"CheckFind": True, "Timeout": 5}):
        answer = client.post("/modalities/pacs/echo", json=body) if body is not None else None
        answer = answer or client.post("/modalities/pacs/echo")
        assert (answer.status_code, answer.content) == (200, b"{}"), answer.text
    failed = client.post("/modalities/dead/echo").json()
    assert (failed["OrthancStatus"], failed["HttpStatus"]) == (9, 500)


def test_answers_of_a_query_are_kept(client: Client) -> None:
    path = query(client, PatientID="1*", StudyDescription="")
    assert client.get(f"{path}/answers").json() == ["0"]
    shown = client.get(f"{path}/answers/0/content?simplify").json()
    assert (shown["StudyInstanceUID"], shown["StudyDescription"]) == (CT_STUDY_UID, "e+1")
    assert client.get(f"{path}/answers?expand&simplify").json() == [shown]
    assert client.get(f"{path}/query?simplify").json() == {"PatientID": "1*", "StudyDescription": ""}


def test_queries_lead_from_patients_to_instances(client: Client) -> None:
    path = query(client, "Patient", PatientID="1CT1")
    for level in ("studies", "series", "instances"):
        answer = client.post(f"{path}/answers/0/query-{level}", json={"Query": {}})
        assert answer.status_code == 200, answer.text
        path = answer.json()["Path"]
    found = client.get(f"{path}/answers?expand&simplify").json()
    assert [one["SOPInstanceUID"] for one in found] == [CT_SOP_UID]
    assert client.post(f"{path}/answers/0/query-series", json={"Query": {}}).status_code == 404


def test_a_query_for_a_level_that_the_modality_refuses_is_told(client: Client, pacs: Pacs) -> None:
    client.put("/modalities/pacs", json=["NOBODY", "127.0.0.1", pacs.port])
    with serving(
        pacs.archive.settings.storage_directory.parent / "strict", dicom_check_called_aet=True
    ) as strict:
        client.put("/modalities/pacs", json=["NOBODY", "127.0.0.1", strict.port])
        answer = client.post("/modalities/pacs/query", json={"Level": "Study", "Query": {}})
    assert answer.json()["OrthancStatus"] == 9
    assert client.get("/queries").json() == []


def test_an_answer_is_fetched_by_c_get(client: Client) -> None:
    path = query(client, PatientID="1CT1")
    answer = client.post(f"{path}/answers/0/retrieve", json={"RetrieveMethod": "C-GET", "Simplify": True})
    assert answer.status_code == 200, answer.text
    details = answer.json()["Details"]
    assert details[0]["ReceivedInstancesIds"] == [CT_INSTANCE]
    assert details[0]["DimseErrorStatus"] == 0
    assert details[0]["Query"]["StudyInstanceUID"] == CT_STUDY_UID
    assert client.get("/instances").json() == [CT_INSTANCE]
    metadata = client.get(f"/instances/{CT_INSTANCE}/metadata?expand").json()
    assert (metadata["Origin"], metadata["RemoteAET"], metadata["CalledAET"]) == (
        "DicomProtocol",
        "PACS",
        "ORTHANC",
    )


def test_what_is_fetched_has_the_bytes_of_the_modality(client: Client, pacs: Pacs, ct: bytes) -> None:
    body = {"Level": "Study", "Resources": [{"StudyInstanceUID": CT_STUDY_UID}]}
    answer = client.post("/modalities/pacs/get", json=body)
    assert answer.status_code == 200, answer.text
    theirs, ours = ct, client.get(f"/instances/{CT_INSTANCE}/file").content
    assert ours[-30_000:] == theirs[-30_000:]


def test_the_modality_can_be_told_how_it_is_retrieved_from(client: Client, pacs: Pacs) -> None:
    entry = {"AET": "PACS", "Host": "127.0.0.1", "Port": pacs.port, "RetrieveMethod": "C-GET"}
    client.put("/modalities/pacs", json=entry)
    path = query(client, PatientID="1CT1")
    answer = client.post(f"{path}/retrieve", json={"Asynchronous": True}).json()
    job = ended(client, answer["ID"])
    assert (job["Type"], job["State"]) == ("DicomGetScu", "Success")


def test_a_move_goes_to_whom_it_names(client: Client, pacs: Pacs) -> None:
    with receiving() as receiver:
        pacs.archive.settings.dicom_modalities["there"] = Modality("RECEIVER", "127.0.0.1", receiver.port)
        body = {
            "Level": "Study",
            "Resources": [{"StudyInstanceUID": CT_STUDY_UID}],
            "TargetAet": "RECEIVER",
            "LocalAet": "ME",
        }
        answer = client.post("/modalities/pacs/move", json=body)
        assert answer.status_code == 200, answer.text
        assert receiver.order == [CT_SOP_UID]
        command = receiver.commands[0]
    assert command["MoveOriginatorApplicationEntityTitle"] == "ME"
    shown = answer.json()
    assert (shown["TargetAet"], shown["LocalAet"], shown["RemoteAet"]) == ("RECEIVER", "ME", "PACS")


def test_the_status_of_a_failed_move_is_told(client: Client) -> None:
    body = {
        "Level": "Study",
        "Resources": [{"StudyInstanceUID": CT_STUDY_UID}],
        "TargetAet": "NOWHERE",
    }
    failed = client.post("/modalities/pacs/move", json=body).json()
    assert (failed["OrthancStatus"], failed["HttpStatus"]) == (9, 500)
    assert failed["ErrorPayload"] == {"DimseErrorStatus": status.MOVE_DESTINATION_UNKNOWN}
    job = ended(
        client, client.post("/modalities/pacs/move", json={**body, "Asynchronous": True}).json()["ID"]
    )
    assert (job["State"], job["ErrorCode"]) == ("Failure", 9)
    assert job["ErrorPayload"] == {"DimseErrorStatus": status.MOVE_DESTINATION_UNKNOWN}


def test_a_permissive_job_tells_of_each_failure_and_goes_on(client: Client) -> None:
    resources = [{"StudyInstanceUID": "1.2.3"}, {"StudyInstanceUID": CT_STUDY_UID}]
    body = {"Level": "Study", "Resources": resources, "Permissive": True}
    answer = client.post("/modalities/pacs/get", json=body)
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["Details"]
    assert first["DimseErrorStatus"] != 0
    assert (second["DimseErrorStatus"], second["ReceivedInstancesIds"]) == (0, [CT_INSTANCE])


def test_what_is_stored_is_counted_and_logged(client: Client, ct: bytes) -> None:
    client.post("/instances", content=ct)
    with receiving() as receiver:
        client.put("/modalities/there", json=["RECEIVER", "127.0.0.1", receiver.port])
        body = {"Resources": [CT_STUDY, CT_INSTANCE], "LocalAet": "ME", "CalledAet": "YOU"}
        answer = client.post("/modalities/there/store", json=body)
        assert answer.status_code == 200, answer.text
        assert receiver.order == [CT_SOP_UID]
        request = receiver.requests[0]
    assert (request.calling_ae_title, request.called_ae_title) == ("ME", "YOU")
    shown = answer.json()
    assert (shown["InstancesCount"], shown["FailedInstancesCount"]) == (1, 0)
    assert shown["ParentResources"] == [CT_STUDY, CT_INSTANCE]
    exports = client.get("/exports").json()["Exports"]
    assert [(one["ID"], one["RemoteModality"]) for one in exports] == [
        (CT_STUDY, "there"),
        (CT_INSTANCE, "there"),
    ]


def test_an_instance_that_is_refused_fails_the_job_or_is_counted(
    client: Client, ct: bytes, mr: bytes
) -> None:
    ids = [client.post("/instances", content=content).json()["ID"] for content in (ct, mr)]
    with receiving(answer=lambda uid: status.OUT_OF_RESOURCES if uid == CT_SOP_UID else 0) as receiver:
        client.put("/modalities/there", json=["RECEIVER", "127.0.0.1", receiver.port])
        failed = client.post("/modalities/there/store", json=ids).json()
        assert failed["ErrorPayload"] == {"DimseErrorStatus": status.OUT_OF_RESOURCES}
        body = {"Resources": ids, "Permissive": True}
        shown = client.post("/modalities/there/store", json=body).json()
        assert len(receiver.received) == 2
    assert (shown["InstancesCount"], shown["FailedInstancesCount"]) == (2, 1)


def test_all_that_cannot_be_sent_to_nobody_is_counted(client: Client, ct: bytes, mr: bytes) -> None:
    ids = [client.post("/instances", content=content).json()["ID"] for content in (ct, mr)]
    shown = client.post("/modalities/dead/store", json={"Resources": ids, "Permissive": True}).json()
    assert (shown["InstancesCount"], shown["FailedInstancesCount"]) == (2, 2)


def test_a_failed_store_goes_on_where_it_failed(client: Client, ct: bytes, mr: bytes) -> None:
    ids = [client.post("/instances", content=content).json()["ID"] for content in (ct, mr)]
    refused = {CT_SOP_UID}
    with receiving(answer=lambda uid: status.OUT_OF_RESOURCES if uid in refused else 0) as receiver:
        client.put("/modalities/there", json=["RECEIVER", "127.0.0.1", receiver.port])
        body = {"Resources": ids[::-1], "Asynchronous": True}
        job = client.post("/modalities/there/store", json=body).json()["ID"]
        assert ended(client, job)["State"] == "Failure"
        refused.clear()
        assert client.post(f"/jobs/{job}/resubmit").status_code == 200
        assert ended(client, job)["State"] == "Success"
        assert receiver.order[1:] == [CT_SOP_UID, CT_SOP_UID]
        assert len(receiver.order) == 3


def test_a_file_is_sent_without_being_stored(client: Client, mr: bytes) -> None:
    with receiving() as receiver:
        client.put("/modalities/there", json=["RECEIVER", "127.0.0.1", receiver.port])
        answer = client.post("/modalities/there/store-straight", content=mr)
        assert answer.status_code == 200, answer.text
        assert receiver.order == [answer.json()["SOPInstanceUID"]]
    assert client.get("/instances").json() == []


def test_storage_commitment_follows_a_store_if_wished(client: Client, pacs: Pacs, ct: bytes) -> None:
    client.post("/instances", content=ct)
    body = {"Resources": [CT_STUDY], "StorageCommitment": True}
    pacs.archive.settings.dicom_modalities["us"] = Modality("ORTHANC", "127.0.0.1", 1)
    answer = client.post("/modalities/pacs/store", json=body)
    assert answer.status_code == 200, answer.text
    transaction = answer.json()["StorageCommitmentTransactionUID"]
    assert client.get(f"/storage-commitment/{transaction}").status_code == 200


def test_the_old_find_goes_down_to_the_series(client: Client) -> None:
    found = client.post("/modalities/pacs/find", json={"PatientID": "1CT1"}).json()
    assert found[0]["Studies"][0]["Series"][0]["Modality"] == "CT"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("query", {"Level": "Study", "Query": {"PatientID": "a"}, "LocalAet": "x" * 17}),
        ("query", {"Level": "Study", "Query": {"PatientID": "a"}, "Timeout": -1}),
        ("query", {"Level": "Study", "Query": {f"0011,{number:04x}": "" for number in range(4096)}}),
        ("move", {"Level": "Study", "Resources": [{"StudyInstanceUID": ""}]}),
        ("get", {"Level": "Study", "Resources": {}}),
        ("store", {"Resources": ["x"]}),
        ("store", {"Resources": [], "Port": 0}),
        ("store-straight", {}),
        ("find-worklist", {"Query": 5}),
    ],
)
def test_bad_requests_are_refused(client: Client, path: str, body: dict[str, Any]) -> None:
    answer = client.post(f"/modalities/pacs/{path}", json=body)
    assert answer.status_code == 400, answer.text

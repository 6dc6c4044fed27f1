"""C-FIND with the field's own tools: dcmtk's findscu, pynetdicom and Debian's Orthanc ask a running server."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)
from tests.conftest import StartIthil
from tests.data.real import content_of
from tests.servers.ithil import Ithil
from tests.servers.orthanc import Orthanc

FILES = ("pydicom/CT_small.dcm", "pydicom/MR_small.dcm", "charset/chrH31.dcm", "charset/chrArab.dcm")
CT_STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"


@pytest.fixture
def server(start_ithil: StartIthil) -> Ithil:
    """A server that answers queries of anybody and holds real files."""
    started = start_ithil({"DicomAlwaysAllowFind": True})
    for name in FILES:
        assert started.upload(content_of(name)).status == 200
    return started


def findscu(server: Ithil, *arguments: str) -> str:
    """What findscu says about the answers."""
    found = shutil.which("findscu")
    assert found is not None, "dcmtk is not installed: `make test` installs it"
    command = [found, "-v", "-aec", "ORTHANC", *arguments, "127.0.0.1", str(server.dicom_port)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


def test_findscu(server: Ithil) -> None:
    output = findscu(
        server, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=comp*", "-k", "PatientID=1CT1"
    )
    assert output.count("(Pending)") == 1
    assert "CompressedSamples^CT1" in output
    assert "Success" in output
    output = findscu(
        server, "-P", "-k", "QueryRetrieveLevel=SERIES", "-k", "Modality=CT\\MR", "-k", "StudyDate=2004-"
    )
    assert output.count("(Pending)") == 2


def test_findscu_is_told_what_is_wrong(server: Ithil) -> None:
    output = findscu(server, "-S", "-d", "-k", "PatientName=*")
    assert re.search(r"0xa900|A900", output, re.IGNORECASE)
    assert "QueryRetrieveLevel" in output


def test_pynetdicom(server: Ithil) -> None:
    entity = AE("WORKSTATION")
    for model in (PatientRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelFind):
        entity.add_requested_context(model)
    association = entity.associate("127.0.0.1", server.dicom_port, ae_title="ORTHANC")
    assert association.is_established
    query = Dataset()
    query.QueryRetrieveLevel = "PATIENT"
    query.PatientName = ""
    answers = association.send_c_find(query, PatientRootQueryRetrieveInformationModelFind)
    responses = [(reply.Status, found) for reply, found in answers]
    assert [code for code, _ in responses] == [0xFF00] * len(FILES) + [0]
    names = {str(found.PatientName) for _, found in responses[:-1]}
    assert "Yamada^Tarou=山田^太郎=やまだ^たろう" in names
    assert "قباني^لنزار" in names
    association.release()


def test_orthanc_asks(server: Ithil, tmp_path: Path) -> None:
    modality = ["ORTHANC", "127.0.0.1", server.dicom_port]
    with Orthanc(tmp_path / "orthanc", {"DicomModalities": {"ithil": modality}}) as orthanc:
        body = '{"Level": "Study", "Query": {"PatientID": "1CT1", "StudyInstanceUID": ""}}'
        answer = orthanc.ask("POST", "/modalities/ithil/query", body)
        assert answer.status == 200, answer.body
        query = answer.json()["ID"]
        assert orthanc.get(f"/queries/{query}/answers").json() == ["0"]
        content = orthanc.get(f"/queries/{query}/answers/0/content?simplify").json()
        assert content["StudyInstanceUID"] == CT_STUDY
        assert content["RetrieveAETitle"] == "ORTHANC"

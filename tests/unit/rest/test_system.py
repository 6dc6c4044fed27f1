"""What the server says of itself, and its small services."""

from __future__ import annotations

import re
import uuid
from html.parser import HTMLParser

import pytest
from tests.unit.application import CT_PATIENT, CT_STUDY, Client, MakeClient

from ithil import __version__

FIELDS = [
    "ApiVersion",
    "Capabilities",
    "CheckRevisions",
    "DatabaseBackendPlugin",
    "DatabaseServerIdentifier",
    "DatabaseVersion",
    "DicomAet",
    "DicomDefaultRetrieveMethod",
    "DicomPort",
    "HasLabels",
    "HttpPort",
    "IngestTranscoding",
    "IsHttpServerSecure",
    "IthilVersion",
    "MainDicomTags",
    "MaximumPatientCount",
    "MaximumStorageMode",
    "MaximumStorageSize",
    "Name",
    "OverwriteInstances",
    "OverwriteInstancesMode",
    "PatientLevelEnabled",
    "Performance",
    "PluginsEnabled",
    "ReadOnly",
    "StorageAreaPlugin",
    "StorageCompression",
    "StoreMD5ForAttachments",
    "ThirdPartyPatches",
    "ThirdPartyVersions",
    "UserMetadata",
    "Version",
]


def test_system(make_client: MakeClient) -> None:
    system = make_client(name="Here", dicom_aet="HERE", user_metadata={"mine": 1024}).get("/system").json()
    assert sorted(system) == FIELDS
    assert (system["Version"], system["ApiVersion"], system["IthilVersion"]) == ("1.13.0", 31, __version__)
    assert (system["Name"], system["DicomAet"]) == ("Here", "HERE")
    assert system["UserMetadata"] == {"mine": 1024}
    assert re.fullmatch(
        r"[0-9a-f]{4},[0-9a-f]{4}(;[0-9a-f]{4},[0-9a-f]{4})+", system["MainDicomTags"]["Study"]
    )
    assert set(system["MainDicomTags"]) == {"Patient", "Study", "Series", "Instance"}


def test_statistics(client: Client, ct: bytes) -> None:
    client.post("/instances", content=ct)
    assert client.get("/statistics").json() == {
        "CountInstances": 1,
        "CountPatients": 1,
        "CountSeries": 1,
        "CountStudies": 1,
        "TotalDiskSize": str(len(ct)),
        "TotalDiskSizeMB": 0,
        "TotalUncompressedSize": str(len(ct)),
        "TotalUncompressedSizeMB": 0,
    }


def test_the_time(client: Client) -> None:
    for path in ("/tools/now", "/tools/now-local"):
        answer = client.get(path)
        assert re.fullmatch(r"\d{8}T\d{6}", answer.text)
        assert answer.headers["content-type"] == "text/plain"


def test_identifiers(client: Client) -> None:
    assert uuid.UUID(client.get("/tools/generate-uid?level=patient").text)
    for level in ("study", "series", "instance"):
        first, second = (client.get(f"/tools/generate-uid?level={level}").text for _ in range(2))
        assert re.fullmatch(r"[0-9.]{1,64}", first)
        assert first != second
    for query in ("", "?level=", "?level=Study", "?level=nonsense"):
        answer = client.get(f"/tools/generate-uid{query}")
        assert (answer.status_code, answer.content) == (404, b"")


def test_lookup(client: Client, ct: bytes) -> None:
    client.post("/instances", content=ct)
    patient = {"ID": CT_PATIENT, "Path": f"/patients/{CT_PATIENT}", "Type": "Patient"}
    for text in ("1CT1", " 1ct1 \n"):
        assert client.post("/tools/lookup", content=text).json() == [patient]
    uid = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
    assert [one["ID"] for one in client.post("/tools/lookup", content=uid).json()] == [CT_STUDY]
    for text in (b"", b"nope", b"\xff\xfe", b"x" * 5000, b"*"):
        assert client.post("/tools/lookup", content=text).json() == []


class Page(HTMLParser):
    """Collects what matters of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") and value]


def test_the_page(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(name="<script>alert(1)</script>", dicom_aet="ITHIL", dicom_port=11112)
    client.post("/instances", content=ct)
    answer = client.get("/", headers={"Host": "pacs.example:8042"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "storescu -aec ITHIL pacs.example 11112" in answer.text
    assert "http://pacs.example:8042/instances" in answer.text
    page = Page(answer.text)
    assert "script" not in page.tags
    for link in page.links:
        assert client.get("/" + link).status_code == 200


def test_the_page_does_not_believe_the_host(client: Client) -> None:
    answer = client.get("/", headers={"Host": "<script>"})
    assert "<script>" not in answer.text
    assert "localhost" in answer.text


def test_the_icon(client: Client) -> None:
    answer = client.get("/favicon.ico")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("accept", "xml"),
    [
        ("application/xml", True),
        ("Application/XML; q=1, application/json", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/json, application/xml", False),
        ("", False),
    ],
)
def test_xml_is_for_those_who_ask_for_it_first(client: Client, accept: str, xml: bool) -> None:
    answer = client.get("/system", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("application/xml" if xml else "application/json")

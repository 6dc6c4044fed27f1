"""The forms of results: JSON, XML and CSV, and which of them a client gets."""

from __future__ import annotations

import csv
import io
from email import message_from_bytes
from xml.etree import ElementTree

import pytest
from tests.unit.application import Client
from tests.unit.dicomweb.searching import ROOT, little_hospital, store

JSON, CSV = "application/dicom+json", "text/csv; charset=utf-8"
XML = 'multipart/related; type="application/dicom+xml"; boundary='
NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/dicom+json", JSON),
        ("application/json", JSON),
        ("application/dicom+json, application/json", JSON),
        ("application/*", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        (
            'multipart/related; type="application/octet-stream"; transfer-syntax=*, application/dicom+json',
            JSON,
        ),
        ('multipart/related; type="application/dicom+xml"', XML),
        ("multipart/related;type=application/dicom+xml", XML),
        ("application/dicom+xml", XML),
        ("application/dicom+json;q=0.5, application/dicom+xml", XML),
        ("text/csv", CSV),
    ],
)
def test_media_types(client: Client, accept: str, form: str) -> None:
    little_hospital(client)
    for options in ({"headers": {"Accept": accept}}, {"params": {"accept": accept}}):
        answer = client.get(f"{ROOT}/studies", **options)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(form)
        assert "warning" not in answer.headers


def test_who_takes_nothing_of_this_gets_json_and_is_told(client: Client) -> None:
    answer = client.get(f"{ROOT}/studies", headers={"Accept": "image/png"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    assert "Accept" in answer.headers["warning"]


def test_xml(client: Client) -> None:
    little_hospital(client)
    store(client, PatientName="<&>\u0001^O'Neill=\u5c71", PatientID="x]]>", StudyDate="19990101")
    answer = client.get(
        f"{ROOT}/studies?includefield=PatientWeight", headers={"Accept": "application/dicom+xml"}
    )
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parts = list(message_from_bytes(head + answer.content).walk())[1:]
    assert len(parts) == 3
    roots = [ElementTree.fromstring(bytes(part.get_payload(decode=True))) for part in parts]
    assert {part["Content-Type"] for part in parts} == {"application/dicom+xml"}
    first = {one.get("keyword"): one for one in roots[1]}
    assert [value.text for value in first["ModalitiesInStudy"]] == ["CT", "SR"]
    person = first["PatientName"].find(f"{NAMESPACE}PersonName/{NAMESPACE}Alphabetic")
    assert person is not None
    assert [part.text for part in person] == ["Meyer", "Anna"]
    hostile = {one.get("keyword"): one for one in roots[2]}
    assert hostile["PatientID"][0].text == "x]]>"
    assert hostile["PatientName"].find(f".//{NAMESPACE}GivenName").text == "O'Neill"  # type: ignore[union-attr]


def test_xml_of_sequences(client: Client, plan: bytes) -> None:
    client.post("/instances", content=plan)
    answer = client.get(f"{ROOT}/instances?includefield=all", headers={"Accept": "application/dicom+xml"})
    document = answer.content.partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0]
    names = [one.text for one in ElementTree.fromstring(document).iter() if one.text == "Field 1"]
    assert names == ["Field 1"]


def test_csv(client: Client) -> None:
    little_hospital(client)
    store(
        client,
        PatientName="=cmd|' /C calc'!A0",
        PatientID='a"b,c',
        StudyDate="19990101",
        StudyDescription="-5",
    )
    text = client.get(f"{ROOT}/studies?includefield=InstitutionName", headers={"Accept": "text/csv"}).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["PatientID"] for row in rows] == ["b2", "A1", 'a"b,c']
    assert rows[1]["ModalitiesInStudy"] == "CT\\SR"
    assert rows[1]["NumberOfStudyRelatedInstances"] == "3"
    assert rows[2]["PatientName"] == "'=cmd|' /C calc'!A0"
    assert rows[2]["StudyDescription"] == "'-5"
    assert "InstitutionName" in rows[0]
    empty = client.get(f"{ROOT}/studies?PatientID=nobody", headers={"Accept": "text/csv"})
    assert empty.text.startswith("SpecificCharacterSet,")
    assert len(empty.text.splitlines()) == 1


def test_csv_of_sequences(client: Client, ct: bytes) -> None:
    client.post("/instances", content=ct)
    answer = client.get(f"{ROOT}/studies?includefield=00101002", headers={"Accept": "text/csv"})
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert "ABCD1234" in row["OtherPatientIDsSequence"]

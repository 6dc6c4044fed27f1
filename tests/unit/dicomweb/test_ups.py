"""UPS-RS as its clients see it: statuses, headers, and workitems in JSON and XML."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from tests.data.workitems import canceled, element, performed, workitem
from tests.unit.application import Client, MakeClient

WORKITEMS = "/dicom-web/workitems"
JSON = {"Content-Type": "application/dicom+json"}
MINE = "1.9.1"
_NATIVE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def create(client: Client, uid: str = "1.2.3", **changes: Any) -> httpx.Response:
    answer = client.post(f"{WORKITEMS}?{uid}", json=[workitem(**changes)], headers=JSON)
    assert answer.status_code == 201
    return answer


def move(client: Client, state: str, transaction: str = MINE, uid: str = "1.2.3") -> httpx.Response:
    body = {"00741000": element("CS", state), "00081195": element("UI", transaction)}
    return client.put(f"{WORKITEMS}/{uid}/state", json=[body], headers=JSON)


def test_the_life_of_a_workitem(client: Client) -> None:
    answer = create(client)
    assert answer.headers["location"] == f"http://server{WORKITEMS}/1.2.3"
    assert "warning" not in answer.headers
    (found,) = client.get(f"{WORKITEMS}/1.2.3").json()
    assert found["00741000"]["Value"] == ["SCHEDULED"]
    assert found["00080018"]["Value"] == ["1.2.3"]
    assert move(client, "IN PROGRESS").status_code == 200
    answer = client.post(f"{WORKITEMS}/1.2.3?{MINE}", json=[performed()], headers=JSON)
    assert (answer.status_code, answer.content) == (200, b"")
    assert move(client, "COMPLETED").status_code == 200
    again = move(client, "COMPLETED")
    assert again.headers["warning"] == (
        "299 http://server/dicom-web: The UPS is already in the requested state of COMPLETED."
    )
    (found,) = client.get(f"{WORKITEMS}/1.2.3").json()
    assert found["00741000"]["Value"] == ["COMPLETED"]
    assert "00081195" not in found


@pytest.mark.parametrize("query", ["1.2.3", "workitem=1.2.3", "AffectedSOPInstanceUID=1.2.3"])
def test_the_ways_to_name_a_new_workitem(client: Client, query: str) -> None:
    assert client.post(f"{WORKITEMS}?{query}", json=workitem(), headers=JSON).status_code == 201
    assert client.get(f"{WORKITEMS}/1.2.3").status_code == 200


def test_a_uid_in_the_payload(client: Client) -> None:
    body = workitem(_00080018=element("UI", "1.2.4"))
    assert client.post(WORKITEMS, json=[body], headers=JSON).headers["location"].endswith("/1.2.4")
    assert client.post(f"{WORKITEMS}?1.2.5", json=[body], headers=JSON).status_code == 400
    made = client.post(WORKITEMS, json=[workitem()], headers=JSON).headers["location"]
    assert client.get(made.removeprefix("http://server")).status_code == 200


@pytest.mark.parametrize("argument", [MINE, f"transaction={MINE}", f"transaction-uid={MINE}", ""])
def test_the_ways_to_name_the_transaction(client: Client, argument: str) -> None:
    create(client)
    move(client, "IN PROGRESS")
    body = {"00741204": element("LO", "New")} | ({} if argument else {"00081195": element("UI", MINE)})
    assert client.post(f"{WORKITEMS}/1.2.3?{argument}", json=[body], headers=JSON).status_code == 200


def test_refusals_have_the_words_of_the_standard(client: Client) -> None:
    started = client.post(WORKITEMS, json=[workitem(_00741000=element("CS", "COMPLETED"))], headers=JSON)
    assert started.status_code == 400
    assert started.headers["warning"].endswith(": The UPS was not in SCHEDULED state.")
    create(client)
    assert client.post(f"{WORKITEMS}?1.2.3", json=[workitem()], headers=JSON).status_code == 409
    assert move(client, "COMPLETED").status_code == 409
    assert move(client, "SCHEDULED").status_code == 409
    assert move(client, "CANCELLED").status_code == 400
    assert move(client, "IN PROGRESS", "").headers["warning"].endswith("The Transaction UID is missing.")
    move(client, "IN PROGRESS")
    answer = move(client, "CANCELED", "1.9.2")
    assert answer.status_code == 400
    assert answer.headers["warning"].endswith("The Transaction UID is incorrect.")
    answer = move(client, "CANCELED")
    assert answer.status_code == 409
    assert "ProcedureStepProgressInformationSequence" in answer.json()["Details"]
    client.post(f"{WORKITEMS}/1.2.3?{MINE}", json=[canceled()], headers=JSON)
    assert move(client, "CANCELED").status_code == 200
    assert client.post(f"{WORKITEMS}/1.2.3?{MINE}", json=[{}], headers=JSON).status_code == 400
    missing = client.get(f"{WORKITEMS}/1.2.4")
    assert missing.status_code == 404
    assert missing.json()["HttpStatus"] == 404


def test_what_was_left_out_is_remarked(client: Client) -> None:
    answer = create(client, _00400400=None)
    assert answer.headers["warning"].endswith(": The Workitem was created with modifications.")


def test_asking_for_a_cancellation(client: Client) -> None:
    create(client)
    reason = {"00741238": element("LT", "Not needed")}
    assert client.post(f"{WORKITEMS}/1.2.3/cancelrequest", json=[reason], headers=JSON).status_code == 202
    (found,) = client.get(f"{WORKITEMS}/1.2.3").json()
    assert found["00741000"]["Value"] == ["CANCELED"]
    answer = client.post(f"{WORKITEMS}/1.2.3/cancelrequest")
    assert answer.status_code == 202
    assert answer.headers["warning"].endswith("already in the requested state of CANCELED.")


def test_xml_both_ways(client: Client) -> None:
    create(client, _00404025=element("SQ", {"00080100": element("SH", "<&>"), "00080104": element("LO")}))
    document = client.get(f"{WORKITEMS}/1.2.3", headers={"Accept": "application/dicom+xml"})
    assert document.headers["content-type"] == "application/dicom+xml"
    ElementTree.fromstring(document.content)
    copy = document.content.replace(b"1.2.3<", b"1.2.4<")
    sent = client.post(WORKITEMS, content=copy, headers={"Content-Type": "application/dicom+xml"})
    assert sent.status_code == 201
    (first,), (second,) = (client.get(f"{WORKITEMS}/{uid}").json() for uid in ("1.2.3", "1.2.4"))
    for each in (first, second):
        del each["00404010"]
        del each["00080018"]
    assert first == second
    assert first["00404025"]["Value"][0]["00080100"]["Value"] == ["<&>"]


def test_xml_in_parts(client: Client) -> None:
    create(client, "1.2.3")
    create(client, "1.2.4")
    accept = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    answer = client.get(WORKITEMS, headers=accept)
    boundary = answer.headers["content-type"].rpartition("boundary=")[2]
    parts = answer.content.split(b"--" + boundary.encode())[1:-1]
    assert len(parts) == 2
    for part in parts:
        root = ElementTree.fromstring(part.partition(b"\r\n\r\n")[2])
        assert root.tag == _NATIVE + "NativeDicomModel"
    bare = client.get(WORKITEMS, headers={"Accept": "application/dicom+xml"})
    assert bare.headers["content-type"].startswith("multipart/related")
    body = parts[0].replace(b"1.2.3<", b"1.2.5<")
    whole = b"--x y" + body + b"--x y--\r\n"
    sent = {"Content-Type": 'multipart/related; type="application/dicom+xml"; boundary="x y"'}
    assert client.post(WORKITEMS, content=whole, headers=sent).status_code == 201
    assert client.get(f"{WORKITEMS}/1.2.5").status_code == 200


def test_xml_without_the_kinds_of_values(client: Client) -> None:
    create(client, _00404025=element("SQ", {"00080100": element("SH", "X"), "00720076": element("FL", 1.5)}))
    document = client.get(f"{WORKITEMS}/1.2.3", headers={"Accept": "application/dicom+xml"}).content
    copy = re.sub(rb' vr="\w\w"', b"", document.replace(b"1.2.3<", b"1.2.4<"))
    sent = client.post(WORKITEMS, content=copy, headers={"Content-Type": "application/xml"})
    assert sent.status_code == 201
    first, second = client.get(WORKITEMS).json()
    assert first["00404025"] == second["00404025"]
    assert first["00100010"] == second["00100010"]


def test_a_compressed_body(client: Client) -> None:
    body = gzip.compress(json.dumps([workitem()]).encode())
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert client.post(WORKITEMS, content=body, headers=headers).status_code == 201
    bomb = gzip.compress(b" " * 20_000_000)
    assert client.post(WORKITEMS, content=bomb, headers=headers).status_code == 413


_XML = "application/dicom+xml"
_HEAD = b'<NativeDicomModel><DicomAttribute tag="00741204" vr="LO">'


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[{}, {}]", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"1", "application/json", 400),
        (b"", "application/json", 400),
        (b'[{"0074120": {}}]', "application/json", 400),
        (b'[{"PatientID": {"vr": "LO"}}]', "application/json", 400),
        (b'[{"00741204": {"vr": "XX"}}]', "application/json", 400),
        (b'[{"00741204": {"vr": "US", "Value": [1]}}]', "application/json", 400),
        (b'[{"00741204": {"vr": "LO", "Value": [1]}}]', "application/json", 400),
        (b'[{"00741204": {"vr": "LO", "Value": "x"}}]', "application/json", 400),
        (b'[{"00741204": {"vr": "LO", "Value": ["\\u0000"]}}]', "application/json", 400),
        (b'[{"00741204": {"vr": "LO", "BulkDataURI": "http://x"}}]', "application/json", 400),
        (b'[{"00741204": {"vr": "LO", "InlineBinary": "AAAA"}}]', "application/json", 400),
        (b'[{"00404025": {"vr": "SQ", "Value": [5]}}]', "application/json", 400),
        (b'[{"00100010": {"vr": "PN", "Value": [{"Other": "x"}]}}]', "application/json", 400),
        (b'[{"0020000D": {"vr": "UI", "Value": ["x"]}}]', "application/json", 400),
        (b'[{"7FE00010": {"vr": "OW"}}]', "application/json", 400),
        (b"[" + b'{"00404025":{"vr":"SQ","Value":[' * 400 + b"]}}" * 400 + b"]", "application/json", 400),
        (b"<", _XML, 400),
        (b"<html/>", _XML, 400),
        (_HEAD + b"<Value number='1'>", _XML, 400),
        (_HEAD + b"<Item><Value/></Item></DicomAttribute></NativeDicomModel>", _XML, 400),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + _HEAD + b"</DicomAttribute></NativeDicomModel>", _XML, 400),
        (b'<?xml version="1.0" encoding="nonsense"?><NativeDicomModel/>', _XML, 400),
        (b"<NativeDicomModel>" + b'<DicomAttribute tag="00404025" vr="SQ"><Item>' * 300, _XML, 400),
        (b"x", "text/plain", 415),
        (b"x", "multipart/related", 400),
        (b"--b\r\n\r\n{}", "multipart/related; boundary=b", 400),
        (b"--b\r\n{}\r\n--b--", "multipart/related; boundary=b", 400),
        (b"--b\r\n\r\n{}\r\n--b\r\n\r\n{}\r\n--b--", "multipart/related; boundary=b", 400),
        (b" " * (4 * 1024 * 1024 + 1), "application/json", 413),
    ],
)
def test_bodies_that_are_no_workitem(client: Client, body: bytes, content_type: str, status: int) -> None:
    answer = client.post(WORKITEMS, content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert answer.json()["HttpStatus"] == status
    assert client.get(WORKITEMS).json() == []


def test_forms_that_there_are_not(client: Client) -> None:
    create(client)
    for accept in ("image/jpeg", 'multipart/related; type="application/dicom"'):
        assert client.get(f"{WORKITEMS}/1.2.3", headers={"Accept": accept}).status_code == 406
    for accept, media_type in (
        ("application/json", "application/json"),
        ("*/*", "application/dicom+json"),
        ("image/jpeg, application/dicom+json;q=0.1", "application/dicom+json"),
    ):
        answer = client.get(f"{WORKITEMS}/1.2.3", headers={"Accept": accept})
        assert answer.headers["content-type"] == media_type
    assert (
        client.get(f"{WORKITEMS}/1.2.3?accept=application/json").headers["content-type"] == "application/json"
    )


def test_what_a_search_returns(client: Client) -> None:
    create(client, _00404008=element("DT", "20270101"), _00321060=element("LO", "More"))
    (found,) = client.get(f"{WORKITEMS}?PatientID=P1&ProcedureStepState=SCHEDULED").json()
    assert found["00741204"]["Value"] == ["Contour the liver"]
    assert not {"00321060", "00741216"} & set(found)
    for query in ("includefield=RequestedProcedureDescription", "includefield=00321060", "includefield=all"):
        assert "00321060" in client.get(f"{WORKITEMS}?{query}").json()[0]
    assert "00321060" in client.get(f"{WORKITEMS}?00321060=more").json()[0]
    assert client.get(f"{WORKITEMS}?PatientID=P2").json() == []


def test_pages_of_a_search(client: Client) -> None:
    for number in range(5):
        create(client, f"1.2.{number}")
    page = client.get(f"{WORKITEMS}?limit=2&offset=1")
    assert [one["00080018"]["Value"] for one in page.json()] == [["1.2.1"], ["1.2.2"]]
    assert "additional results" in page.headers["warning"]
    last = client.get(f"{WORKITEMS}?limit=2&offset=3")
    assert len(last.json()) == 2
    assert "warning" not in last.headers


@pytest.mark.parametrize(
    "query", ["limit=x", "offset=-1", "NoSuchKey=1", "includefield=NoSuchKey", "00741204.=1"]
)
def test_searches_that_cannot_be_asked(client: Client, query: str) -> None:
    answer = client.get(f"{WORKITEMS}?{query}")
    assert answer.status_code == 400
    assert answer.json()["Details"]


def test_an_answer_is_never_of_yesterday(client: Client) -> None:
    create(client)
    assert client.get(f"{WORKITEMS}/1.2.3").json()[0]["00741000"]["Value"] == ["SCHEDULED"]
    move(client, "IN PROGRESS")
    assert client.get(f"{WORKITEMS}/1.2.3").json()[0]["00741000"]["Value"] == ["IN PROGRESS"]


def test_subscriptions(client: Client) -> None:
    create(client)
    one = f"{WORKITEMS}/1.2.3/subscribers/WATCHER"
    answer = client.post(f"{one}?deletionlock=true")
    assert answer.status_code == 201
    assert answer.headers["content-location"] == "ws://server/dicom-web/subscribers/WATCHER"
    secure = client.post(one, headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pacs.example"})
    assert secure.headers["content-location"] == "wss://pacs.example/dicom-web/subscribers/WATCHER"
    assert client.delete(one).status_code == 200
    assert client.delete(one).status_code == 404
    assert client.post(f"{one}/suspend").status_code == 400
    everything = f"{WORKITEMS}/1.2.840.10008.5.1.4.34.5/subscribers/MY%20TITLE"
    filtered = f"{WORKITEMS}/1.2.840.10008.5.1.4.34.5.1/subscribers/WATCHER"
    assert client.post(everything).headers["content-location"].endswith("/subscribers/MY%20TITLE")
    assert client.post(filtered).status_code == 400
    assert client.post(f"{filtered}?filter=PatientID=P1,00741000=SCHEDULED").status_code == 201
    assert client.post(f"{filtered}?PatientID=P1&deletionlock=true").status_code == 201
    for place in (everything, filtered):
        assert client.post(f"{place}/suspend").status_code == 200
        assert client.post(f"{place}/suspend").status_code == 404
        assert client.delete(place).status_code == 404
    assert client.post(f"{WORKITEMS}/1.2.9/subscribers/WATCHER").status_code == 404
    assert client.post(f"{WORKITEMS}/1.2.3/subscribers/{'X' * 17}").status_code == 400


def test_a_read_only_archive_has_no_such_routes(make_client: MakeClient) -> None:
    client = make_client(read_only=True)
    assert client.post(WORKITEMS, json=[workitem()]).status_code == 405
    assert client.get(WORKITEMS).json() == []


def test_no_patient_in_refusals(client: Client) -> None:
    body = workitem(_00100010=element("LO", "SECRET"), _00100020=element("LO", 5))
    answer = client.post(WORKITEMS, json=[body], headers=JSON)
    assert answer.status_code == 400
    assert b"SECRET" not in answer.content

"""STOW-RS with DICOM files: what is stored, what is answered, and what bad bodies get."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from tests.data import synthetic
from tests.data.real import content_of
from tests.unit.application import Client, MakeClient
from tests.unit.dicomweb.stow_requests import (
    BOUNDARY,
    CT_UIDS,
    DICOM,
    STUDIES,
    body_of,
    content_type,
    count,
    failed,
    items,
    other_failures,
    stored,
    stow,
)

from ithil.archive.errors import StorageFull
from ithil.settings.ithil_options import IthilSettings

NATIVE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
GARBAGE = b"this is no DICOM file at all" * 20


def files_of(client: Client) -> list[Path]:
    """All stored files, those being written too."""
    folder = client.app.context.settings.storage_directory
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix != ".db"
        and "ithil.db" not in path.name
        and "journal" not in path.parts
    ]


def test_instances_are_stored_and_the_answer_says_where(client: Client, ct: bytes, mr: bytes) -> None:
    answer = stow(client, ct, mr)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    first, second = items(answer, "00081199")
    study, series, instance = CT_UIDS
    assert first["00081150"] == {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]}
    assert first["00081155"] == {"vr": "UI", "Value": [instance]}
    link = f"http://server/dicom-web/studies/{study}"
    assert first["00081190"] == {"vr": "UR", "Value": [f"{link}/series/{series}/instances/{instance}"]}
    assert answer.json()["00081190"]["Value"] == [link]
    assert "00081198" not in answer.json()
    assert "0008119A" not in answer.json()
    assert second["00081155"]["Value"][0] != instance
    (found,) = [
        one for one in client.get("/instances").json() if client.get(f"/instances/{one}/file").content == ct
    ]
    assert client.get(f"/instances/{found}/metadata/Origin").text == "RestApi"


def test_links_are_right_behind_a_proxy(client: Client, ct: bytes) -> None:
    headers = {"Forwarded": "proto=https;host=pacs.example.org"}
    (item,) = items(stow(client, ct, headers=headers), "00081199")
    assert item["00081190"]["Value"][0].startswith("https://pacs.example.org/dicom-web/studies/")


def test_what_is_stored_already_counts_as_stored(client: Client, ct: bytes) -> None:
    for _ in range(2):
        answer = stow(client, ct, ct)
        assert (answer.status_code, stored(answer)) == (200, [CT_UIDS[2]] * 2)
    assert count(client) == 1


def test_a_bad_part_is_a_failure_of_its_own(client: Client, ct: bytes, mr: bytes) -> None:
    without_uid = ct.replace(b"\x08\x00\x18\x00UI", b"\x08\x00\x19\x00UI")
    answer = stow(client, GARBAGE, ct, without_uid, mr[:-300], b"", mr)
    assert answer.status_code == 202
    assert len(stored(answer)) == 2
    assert list(failed(answer).values()) == [0xC000]  # the one that is cut off has a name
    assert other_failures(answer) == [0xC000] * 3
    assert count(client) == 2


def test_if_all_fail_the_status_says_so(client: Client) -> None:
    answer = stow(client, GARBAGE, GARBAGE)
    assert (answer.status_code, stored(answer), other_failures(answer)) == (409, [], [0xC000, 0xC000])
    assert "00081190" not in answer.json()
    assert files_of(client) == []


def test_instances_of_another_study_are_refused(client: Client, ct: bytes, mr: bytes) -> None:
    answer = stow(client, ct, mr, url=f"{STUDIES}/{CT_UIDS[0]}")
    assert (answer.status_code, stored(answer)) == (202, [CT_UIDS[2]])
    assert list(failed(answer).values()) == [0x0110]
    assert stow(client, mr, url=f"{STUDIES}/{CT_UIDS[0]}").status_code == 409
    assert count(client) == 1


def test_weasis_gets_xml(client: Client, ct: bytes) -> None:
    answer = stow(client, ct, GARBAGE, headers={"Accept": "application/dicom+xml"})
    assert (answer.status_code, answer.headers["content-type"]) == (202, "application/dicom+xml")
    root = ElementTree.fromstring(answer.content)
    values = {
        attribute.get("keyword"): [value.text for value in attribute.iter(f"{NATIVE}Value")]
        for attribute in root.iter(f"{NATIVE}DicomAttribute")
    }
    assert values["ReferencedSOPInstanceUID"] == [CT_UIDS[2]]
    assert values["FailureReason"] == ["49152"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/dicom+json"),
        ("*/*", "application/dicom+json"),
        ("application/json", "application/dicom+json"),
        ("text/html, application/dicom+json;q=0.5", "application/dicom+json"),
        ("image/png", "application/dicom+json"),
        ("application/dicom+xml, application/dicom+json", "application/dicom+xml"),
    ],
)
def test_the_answer_is_of_a_type_that_the_client_takes(
    client: Client, ct: bytes, accept: str | None, media_type: str
) -> None:
    answer = stow(client, ct, headers={"Accept": accept} if accept else {"Accept": ""})
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, media_type)


@pytest.mark.parametrize(
    "header",
    [
        f"multipart/related; type=application/dicom; boundary={BOUNDARY}",
        f'multipart/related;boundary="{BOUNDARY}";type="application/dicom"',
        f"Multipart/Related; Boundary={BOUNDARY}; start=x; TYPE=Application/DICOM",
        f"multipart/related; boundary={BOUNDARY}",
    ],
)
def test_content_types_as_clients_write_them(client: Client, ct: bytes, header: str) -> None:
    answer = client.post(STUDIES, content=body_of([ct]), headers={"Content-Type": header})
    assert (answer.status_code, stored(answer)) == (200, [CT_UIDS[2]])


@pytest.mark.parametrize("boundary", ["-" * 70, "a'()+_,-./:=?b", "x" * 70, "----=_Part_1_23.45"])
def test_boundaries_as_clients_choose_them(client: Client, ct: bytes, boundary: str) -> None:
    header = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
    answer = client.post(STUDIES, content=body_of([ct], boundary), headers={"Content-Type": header})
    assert answer.status_code == 200


@pytest.mark.parametrize(("start", "end"), [(b"\r\n", b""), (b"hello\r\n", b"\r\nbye"), (b"", b"")])
def test_what_stands_around_the_parts_is_passed_over(
    client: Client, ct: bytes, start: bytes, end: bytes
) -> None:
    content = body_of([ct], start=start, end=end)
    answer = client.post(STUDIES, content=content, headers={"Content-Type": content_type()})
    assert (answer.status_code, count(client)) == (200, 1)


def test_headers_of_parts_mean_little(client: Client, ct: bytes, mr: bytes) -> None:
    lying = {"Content-Type": f'{DICOM}; transfer-syntax="1.2.3"', "Content-Length": "7", "X-Y": "z"}
    answer = stow(client, (lying, ct), ({}, mr), ({"Content-Type": "application/octet-stream"}, ct))
    assert (answer.status_code, len(stored(answer))) == (200, 3)


def test_parts_of_other_types_fail(client: Client, ct: bytes) -> None:
    answer = stow(client, ({"Content-Type": "text/plain"}, b"hello"), ct)
    assert (answer.status_code, len(stored(answer)), other_failures(answer)) == (202, 1, [0xC000])


def test_a_file_alone(client: Client, ct: bytes) -> None:
    answer = client.post(STUDIES, content=ct, headers={"Content-Type": DICOM})
    assert (answer.status_code, stored(answer)) == (200, [CT_UIDS[2]])
    assert client.post(STUDIES, content=GARBAGE, headers={"Content-Type": DICOM}).status_code == 409
    assert client.post(STUDIES, content=b"", headers={"Content-Type": DICOM}).status_code == 409


@pytest.mark.parametrize(
    "header",
    [
        None,
        "application/octet-stream",
        "text/plain",
        'multipart/related; type="text/plain"; boundary=b',
        "multipart/mixed; boundary=b",
    ],
)
def test_other_types_are_not_supported(client: Client, ct: bytes, header: str | None) -> None:
    headers = {"Content-Type": header} if header else {}
    answer = client.post(STUDIES, content=body_of([ct]), headers=headers)
    assert (answer.status_code, answer.json()["HttpStatus"]) == (415, 415)
    assert count(client) == 0


@pytest.mark.parametrize(
    ("header", "content"),
    [
        ("multipart/related; type=application/dicom", b"--x\r\n\r\n\r\n--x--"),
        (content_type(boundary="other"), body_of([b"x"])),
        (content_type(), b""),
        (content_type(), b"--" + BOUNDARY.encode() + b"--"),
        (content_type(), b"--" + BOUNDARY.encode() + b"\r\nA: " + b"x" * 100_000),
        (
            content_type(),
            b"--" + BOUNDARY.encode() + b"\r\nno colon\r\n\r\n\r\n--" + BOUNDARY.encode() + b"--",
        ),
        ("multipart/related; type=application/dicom; boundary=" + "x" * 500, b""),
    ],
)
def test_malformed_bodies_are_bad_requests(client: Client, header: str, content: bytes) -> None:
    answer = client.post(STUDIES, content=content, headers={"Content-Type": header})
    assert answer.status_code == 400
    assert answer.json()["Details"]


@pytest.mark.parametrize("cut", [1, 3, 10, 1000])
def test_nothing_of_a_truncated_part_is_stored(client: Client, ct: bytes, mr: bytes, cut: int) -> None:
    headers = {"Content-Type": content_type()}
    tail = len(f"\r\n--{BOUNDARY}--\r\n")
    alone = client.post(STUDIES, content=body_of([ct])[: -tail - cut], headers=headers)
    assert (alone.status_code, count(client), files_of(client)) == (400, 0, [])
    both = client.post(STUDIES, content=body_of([ct, mr])[: -tail - cut], headers=headers)
    assert (both.status_code, stored(both), other_failures(both)) == (202, [CT_UIDS[2]], [0xC000])
    assert count(client) == 1


def test_many_instances_in_pieces_of_any_size(client: Client) -> None:
    sent = [each.content for each in synthetic.series(40, size=64)]
    content = body_of([*sent[:20], GARBAGE, *sent[20:]])

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 10_007):
            yield content[start : start + 10_007]

    answer = client.post(STUDIES, content=pieces(), headers={"Content-Type": content_type()})
    assert (answer.status_code, len(stored(answer)), len(other_failures(answer))) == (202, 40, 1)
    assert count(client) == 40
    whole = {client.get(f"/instances/{one}/file").content for one in client.get("/instances").json()}
    assert whole == set(sent)


def test_large_instances(client: Client) -> None:
    sent = [each.content for each in synthetic.series(3, size=1200)]
    assert min(map(len, sent)) > 2_000_000
    answer = stow(client, *sent)
    assert len(stored(answer)) == 3
    assert [item["00081155"]["Value"][0] for item in items(answer, "00081199")] == stored(stow(client, *sent))
    whole = {client.get(f"/instances/{one}/file").content for one in client.get("/instances").json()}
    assert whole == set(sent)


def test_gzip(client: Client, ct: bytes) -> None:
    headers = {"Content-Type": content_type(), "Content-Encoding": "gzip"}
    packed = gzip.compress(body_of([ct]))
    assert client.post(STUDIES, content=packed, headers=headers).status_code == 200
    assert client.post(STUDIES, content=packed[:-100], headers=headers).status_code == 400
    assert client.post(STUDIES, content=b"no gzip", headers=headers).status_code == 400
    headers["Content-Encoding"] = "br"
    assert client.post(STUDIES, content=packed, headers=headers).status_code == 415


def test_bodies_are_bounded_compressed_ones_too(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(maximum_request_body_size_mb=1)
    headers = {"Content-Type": content_type()}
    content = body_of([ct, bytes(3_000_000)])
    assert client.post(STUDIES, content=content, headers=headers).status_code == 413
    packed = gzip.compress(content)
    headers["Content-Encoding"] = "gzip"
    assert client.post(STUDIES, content=packed, headers=headers).status_code == 413
    assert files_of(client) == [] or count(client) == 1


def test_a_part_that_is_too_large_fails_alone(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(ithil=IthilSettings(maximum_instance_size_mb=1))
    answer = stow(client, ct + bytes(3_000_000), ct)
    assert (answer.status_code, stored(answer), other_failures(answer)) == (202, [CT_UIDS[2]], [0xC000])


def test_a_client_that_leaves_in_the_middle(client: Client, ct: bytes) -> None:
    """What was complete is stored, what was not is gone, and nothing is answered."""
    large = next(synthetic.series(1, size=2000)).content
    content = body_of([ct, large])[:-100_000]
    messages = [
        {"type": "http.request", "body": content[start : start + 500_000], "more_body": True}
        for start in range(0, len(content), 500_000)
    ]
    messages.append({"type": "http.disconnect"})
    sent: list[object] = []

    async def receive() -> object:
        return messages.pop(0)

    async def send(message: object) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": STUDIES,
        "raw_path": STUDIES.encode(),
        "query_string": b"",
        "headers": [(b"content-type", content_type().encode())],
        "client": ("127.0.0.1", 5),
    }
    asyncio.run(client.app(scope, receive, send))
    assert sent == []
    assert count(client) == 1
    assert len(files_of(client)) == 1


def test_a_full_disk_is_told_for_each_instance(
    client: Client, ct: bytes, mr: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = client.app.context.archive

    def full() -> None:
        raise StorageFull("The storage area is full (ENOSPC)")

    monkeypatch.setattr(type(archive.storage), "writer", lambda self, uuid=None: full())
    answer = stow(client, ct, mr)
    assert answer.status_code == 409
    assert set(failed(answer).values()) == {0xA700}
    monkeypatch.undo()
    assert stow(client, ct).status_code == 200


def test_a_change_of_the_uid_by_lossy_transcoding_is_a_warning(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(ingest_transcoding="1.2.840.10008.1.2.4.91")
    answer = stow(client, ct)
    (item,) = items(answer, "00081199")
    assert answer.status_code == 202
    assert item["00081155"]["Value"] != [CT_UIDS[2]]
    assert item["00081196"]["Value"] == [0xB000]
    assert [each["00720026"]["Value"] for each in item["00741048"]["Value"]] == [["00080018"]]


def test_nothing_of_a_patient_is_logged(client: Client, ct: bytes, caplog: pytest.LogCaptureFixture) -> None:
    stow(client, ct[:-100], ct, GARBAGE)
    stow(client, ct, url=f"{STUDIES}/1.2.3")
    assert caplog.text
    assert "CompressedSamples" not in caplog.text
    assert "1CT1" not in caplog.text
    assert CT_UIDS[0] not in caplog.text


def test_a_server_that_has_its_hands_full_says_when_to_come_back(client: Client, ct: bytes) -> None:
    budget = client.app._budget
    taken = client.app.context.settings.ithil.maximum_in_flight_mb * 1024 * 1024
    assert budget.take(taken)
    answer = stow(client, ct)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    budget.give_back(taken)
    assert stow(client, ct).status_code == 200


def test_query_arguments_change_nothing(client: Client, ct: bytes) -> None:
    assert stow(client, ct, url=f"{STUDIES}?accept=application/dicom%2Bjson&x=1").status_code == 200


def test_a_read_only_archive_has_no_such_route(make_client: MakeClient, tmp_path: Path, ct: bytes) -> None:
    make_client(storage_directory=tmp_path / "a")
    client = make_client(storage_directory=tmp_path / "a", read_only=True)
    assert stow(client, ct).status_code in (404, 405)


def test_every_real_file_is_stored_as_by_the_rest_api(make_client: MakeClient) -> None:
    names = ("rtplan.dcm", "image_dfl.dcm", "ExplVR_BigEnd.dcm", "dicomdirtests/DICOMDIR")
    dicomweb, rest = make_client(), make_client()
    for name in names:
        content = content_of(f"pydicom/{name}")
        answer: httpx.Response = stow(dicomweb, content)
        assert (answer.status_code == 200) == (rest.post("/instances", content=content).status_code == 200)
    assert dicomweb.get("/instances").json() == rest.get("/instances").json()


def test_the_reasons_of_failures_are_told(client: Client, ct: bytes) -> None:
    answer = stow(client, ct, GARBAGE, GARBAGE[:100], ct[:-100])
    assert answer.status_code == 202
    assert answer.headers["warning"].startswith('299 ithil "')
    assert "(2 of 4)" in answer.headers["warning"]
    assert "passes the end of the data (1 of 4)" in answer.headers["warning"]
    assert "warning" not in stow(client, ct).headers

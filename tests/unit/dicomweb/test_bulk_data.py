"""Bulk data: every link of metadata leads to its value, whole, in ranges and in parts, and nowhere else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import MPEG4HP41, EncapsulatedPDFStorage, ExplicitVRLittleEndian
from tests.data.real import all_files, content_of
from tests.unit.application import Client
from tests.unit.dicomweb.parts import instance_path, parts_of

OCTETS = "application/octet-stream"
PARTS = {"Accept": f'multipart/related; type="{OCTETS}"'}


def store(client: Client, content: bytes) -> str:
    """Store a file and give the path of its instance."""
    assert client.post("/instances", content=content).status_code == 200
    return instance_path(content)


def links(found: Any) -> Iterator[str]:
    """All links in metadata, at any depth."""
    if isinstance(found, list):
        for one in found:
            yield from links(one)
    elif isinstance(found, dict):
        if "BulkDataURI" in found:
            yield found["BulkDataURI"]
        for one in found.values():
            yield from links(one)


def document(content: bytes, media_type: str = "application/pdf") -> bytes:
    data = Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = EncapsulatedPDFStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3.4"
    data.PatientID, data.StudyInstanceUID, data.SeriesInstanceUID = "P", "1.2", "1.2.3"
    data.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    data.MIMETypeOfEncapsulatedDocument = media_type
    data.EncapsulatedDocumentLength = len(content)
    file = io.BytesIO()
    pydicom.dcmwrite(file, data, enforce_file_format=True)
    return file.getvalue()


def test_every_link_of_real_files_leads_to_a_value(client: Client) -> None:
    followed = 0
    for name, path in all_files().items():
        if path.stat().st_size > 1_000_000 or not name.startswith("pydicom/"):
            continue
        content = content_of(name)
        if client.post("/instances", content=content).status_code != 200:
            continue
        instance = instance_path(content)
        for link in links(client.get(f"{instance}/metadata").json()):
            answer = client.get(link, headers=PARTS)
            assert answer.status_code == 200, (name, link)
            assert {part.headers["Content-Location"] for part in parts_of(answer)} == {link}
            followed += 1
    assert followed > 50


def test_native_pixel_data_is_the_value(client: Client, ct: bytes) -> None:
    instance = store(client, ct)
    pixels = pydicom.dcmread(io.BytesIO(ct)).PixelData
    for accept in ("*/*", OCTETS, f'{OCTETS}; transfer-syntax="*"'):
        answer = client.get(f"{instance}/bulk/7FE00010", headers={"Accept": accept})
        assert (answer.headers["content-type"], answer.content) == (OCTETS, pixels)
    (part,) = parts_of(client.get(f"{instance}/bulk/7fe00010", headers=PARTS))
    assert part.content == pixels


def test_ranges_and_conditions(client: Client, ct: bytes) -> None:
    url = store(client, ct) + "/bulk/7fe00010"
    pixels = pydicom.dcmread(io.BytesIO(ct)).PixelData
    tag = client.get(url).headers["etag"]
    answer = client.get(url, headers={"Range": "bytes=100-299", "If-Range": tag})
    assert (answer.status_code, answer.content) == (206, pixels[100:300])
    assert answer.headers["content-range"] == f"bytes 100-299/{len(pixels)}"
    assert client.get(url, headers={"Range": "bytes=-7"}).content == pixels[-7:]
    assert client.get(url, headers={"Range": "bytes=99999-"}).status_code == 416
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    head = client.request("HEAD", url)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(pixels)))


def test_encapsulated_pixel_data_comes_frame_by_frame(client: Client) -> None:
    content = content_of("pydicom/SC_rgb_rle_2frame.dcm")
    data = pydicom.dcmread(io.BytesIO(content))
    frames = list(generate_frames(data.PixelData, number_of_frames=2))
    url = store(client, content) + "/bulk/7fe00010"
    for accept in ("*/*", PARTS["Accept"], 'multipart/related; type="image/dicom-rle"'):
        parts = parts_of(client.get(url, headers={"Accept": accept}))
        assert [part.content for part in parts] == frames
        assert parts[0].headers["Content-Type"].endswith("; transfer-syntax=1.2.840.10008.1.2.5")
    refused = client.get(url, headers={"Accept": OCTETS})
    assert refused.status_code == 406
    assert PARTS["Accept"] in refused.json()["ErrorPayload"]["Available"]


def test_values_of_big_endian_files_are_little_endian(client: Client) -> None:
    content = content_of("pydicom/MR_small_bigendian.dcm")
    little = pydicom.dcmread(io.BytesIO(content_of("pydicom/MR_small.dcm")))
    instance = store(client, content)
    assert client.get(f"{instance}/bulk/7fe00010").content == little.PixelData
    assert client.get(f"{instance}/bulk/00280010").content == (64).to_bytes(2, "little")


@pytest.mark.parametrize("text", [b"%PDF-1.7 even!", b"%PDF-1.7 odd"])
def test_a_document_is_what_it_is(client: Client, text: bytes) -> None:
    text = text * 1000 if len(text) % 2 == 0 else text * 1001
    instance = store(client, document(text))
    (link,) = links(client.get(f"{instance}/metadata").json())
    for accept in ("*/*", "application/pdf", "application/pdf, */*"):
        answer = client.get(link, headers={"Accept": accept})
        assert (answer.headers["content-type"], answer.content) == ("application/pdf", text)
    plain = client.get(link, headers={"Accept": OCTETS})
    assert (plain.headers["content-type"], plain.content) == (OCTETS, text)
    for media_type in (OCTETS, "application/pdf"):
        answer = client.get(link, headers={"Accept": f'multipart/related; type="{media_type}"'})
        (part,) = parts_of(answer)
        assert (part.headers["Content-Type"], part.content) == (media_type, text)


def test_a_page_in_a_document_is_not_served_as_a_page(client: Client) -> None:
    page = b"<script>alert(1)</script>" * 100
    link = store(client, document(page, "text/html")) + "/bulk/00420011"
    answer = client.get(link, headers={"Accept": "text/html,*/*"})
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == (OCTETS, "nosniff")
    xml = store(client, document(page, "text/xml").replace(b"1.2.3.4\0", b"1.2.3.5\0")) + "/bulk/00420011"
    assert client.get(xml).headers["content-security-policy"] == "sandbox"


def test_a_video_is_one_stream(client: Client, ct: bytes) -> None:
    data = pydicom.dcmread(io.BytesIO(ct))
    video = bytes(range(256)) * 40
    data.PixelData = pydicom.encaps.encapsulate([video])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = MPEG4HP41
    data.NumberOfFrames = 25
    file = io.BytesIO()
    data.save_as(file)
    url = store(client, file.getvalue()) + "/bulk/7fe00010"
    answer = client.get(url, headers={"Accept": "video/mp4, */*", "Range": "bytes=256-511"})
    assert (answer.status_code, answer.content) == (206, bytes(range(256)))
    assert answer.headers["content-type"].startswith("video/mp4")


def test_values_inside_of_sequences(client: Client, plan: bytes) -> None:
    instance = store(client, plan)
    sequence = pydicom.dcmread(io.BytesIO(plan)).BeamSequence
    for number, item in enumerate(sequence, 1):
        answer = client.get(f"{instance}/bulk/300A00B0/{number}/300A00C2")
        assert answer.content.decode().strip() == item.BeamName
    for path in ("300A00B0", "300A00B0/99/300A00C2", "00100010/1/00100010", "99990010"):
        assert client.get(f"{instance}/bulk/{path}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        *("zz", "1", "7fe0001", "7fe000100", "7fe0,0010", "300A00B0/0/300A00C2", "300A00B0/-1/300A00C2"),
        *("300A00B0/1", "300A00B0/1/", "%2e%2e/%2e%2e/x", "7fe00010%00", "/".join(["300A00B0", "1"] * 5000)),
    ],
)
def test_a_path_that_is_none(client: Client, plan: bytes, path: str) -> None:
    answer = client.get(f"{store(client, plan)}/bulk/{path}")
    assert answer.status_code in (400, 404)
    assert answer.status_code == 404 or "tag" in answer.json()["Details"]


def test_all_bulk_data_of_a_resource(client: Client, ct: bytes) -> None:
    instance = store(client, ct)
    series = instance.rpartition("/instances/")[0]
    study = series.rpartition("/series/")[0]
    expected = list(links(client.get(f"{instance}/metadata").json()))
    for path in (study, series, instance):
        parts = parts_of(client.get(f"{path}/bulkdata", headers=PARTS))
        assert sorted(part.headers["Content-Location"] for part in parts) == sorted(expected)
        for part in parts:
            assert client.get(part.headers["Content-Location"]).content == part.content
        assert client.get(f"{path}/bulkdata", headers={"Accept": "image/png"}).status_code == 406
        assert client.get(f"{path}.9/bulkdata").status_code == 404


def test_nothing_to_leave_out(client: Client, plan: bytes) -> None:
    instance = store(client, plan)
    assert list(links(client.get(f"{instance}/metadata").json())) == []
    assert client.get(f"{instance}/bulkdata").status_code == 204

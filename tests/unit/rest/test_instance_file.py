"""`/instances/{id}/file`: transcoded, as JSON, as XML, in parts."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pydicom
import pytest
from tests.unit.application import Client, read

JPEG_LS, RLE, JPEG_2000_LOSSY = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.91"


@pytest.fixture
def file(client: Client, ct: bytes) -> str:
    return str(client.post("/instances", content=ct).json()["Path"]) + "/file"


@pytest.mark.parametrize("syntax", [JPEG_LS, RLE, "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.201"])
def test_a_transcoded_file(client: Client, file: str, ct: bytes, syntax: str) -> None:
    answer = client.get(f"{file}?transcode={syntax}")
    assert answer.headers["content-type"] == "application/dicom"
    assert answer.headers["content-disposition"].endswith('.dcm"')
    there = pydicom.dcmread(BytesIO(answer.content))
    assert there.file_meta.TransferSyntaxUID == syntax
    assert there.SOPInstanceUID == pydicom.dcmread(BytesIO(ct)).SOPInstanceUID
    if not syntax.endswith("201"):
        assert np.array_equal(there.pixel_array, pydicom.dcmread(BytesIO(ct)).pixel_array)
    assert client.get(f"{file}?transcode={syntax}").content == answer.content
    assert client.get(file).content == ct


def test_the_quality_decides_about_the_size(client: Client, file: str) -> None:
    path = f"{file}?transcode={JPEG_2000_LOSSY}"
    sizes = [len(client.get(f"{path}&lossy-quality={quality}").content) for quality in (10, 90, 100)]
    assert sizes == sorted(set(sizes))
    assert len(client.get(path).content) == sizes[1]  # DicomLossyTranscodingQuality


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("transcode=nope", 400, 3),
        ("transcode=", 400, 3),
        ("transcode=1.2.840.10008.1.2.4.50", 500, -1),  # 16 bits
        ("transcode=1.2.840.10008.1.2.4.100", 500, -1),  # a video
        (f"transcode={JPEG_LS}&lossy-quality=0", 400, 3),
        (f"transcode={JPEG_LS}&lossy-quality=101", 400, 3),
        (f"transcode={JPEG_LS}&lossy-quality=best", 400, 5),
    ],
)
def test_what_cannot_be_transcoded(client: Client, file: str, query: str, status: int, code: int) -> None:
    answer = client.get(f"{file}?{query}")
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (status, code)


def test_a_file_without_pixels_is_not_compressed(client: Client, plan: bytes) -> None:
    path = client.post("/instances", content=plan).json()["Path"]
    assert client.get(f"{path}/file?transcode={JPEG_LS}").content == plan
    explicit = client.get(f"{path}/file?transcode=1.2.840.10008.1.2.1").content
    assert pydicom.dcmread(BytesIO(explicit)).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


def test_a_part_of_a_transcoded_file(client: Client, file: str) -> None:
    whole = client.get(f"{file}?transcode={JPEG_LS}").content
    part = client.get(f"{file}?transcode={JPEG_LS}", headers={"Range": "bytes=128-131"})
    assert (part.status_code, part.content) == (206, b"DICM")
    assert part.headers["content-range"] == f"bytes 128-131/{len(whole)}"
    beyond = client.get(f"{file}?transcode={JPEG_LS}", headers={"Range": f"bytes={len(whole)}-"})
    assert beyond.status_code == 416


def test_the_name_that_is_proposed(client: Client, file: str) -> None:
    for query in ("filename=x.dcm", f"transcode={RLE}&filename=x.dcm"):
        assert client.get(f"{file}?{query}").headers["content-disposition"] == 'filename="x.dcm"'
    evil = client.get(f"{file}?transcode={RLE}&filename=a%0d%0aX-Evil:1%22.dcm")
    assert evil.headers["content-disposition"] == 'filename="aX-Evil:1.dcm"'
    assert "x-evil" not in evil.headers


def test_the_data_set_as_json(client: Client, file: str) -> None:
    answer = client.get(file, headers={"Accept": "application/dicom+json"})
    assert answer.headers["content-type"] == "application/dicom+json"
    ds = pydicom.Dataset.from_json(json.loads(answer.content))
    assert ds.PatientID == "1CT1"
    assert ds.PixelData == pydicom.dcmread(BytesIO(client.get(file).content)).PixelData
    compressed = client.get(f"{file}?transcode={RLE}", headers={"Accept": "application/dicom+json; q=1"})
    assert compressed.json()["00100020"] == answer.json()["00100020"]


def test_the_data_set_as_xml(client: Client, file: str) -> None:
    answer = client.get(file, headers={"Accept": "application/dicom+xml"})
    assert answer.headers["content-type"] == "application/dicom+xml"
    assert answer.text.startswith("<?xml")
    assert '<DicomAttribute tag="00100020"' in answer.text


def test_any_other_type_gets_the_file(client: Client, file: str, ct: bytes) -> None:
    for accept in ("text/html", "*/*", "text/html,application/dicom+json", ""):
        assert client.get(file, headers={"Accept": accept}).content == ct


def test_a_compressed_file_is_shown_too(client: Client, mr: bytes) -> None:
    path = client.post("/instances", content=mr).json()["Path"]
    document = client.get(f"{path}/file", headers={"Accept": "application/dicom+json"}).json()
    assert document["7FE00010"]["vr"] == "OB"
    assert read("MR_small_RLE.dcm") == mr

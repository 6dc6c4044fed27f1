"""`POST /tools/create-dicom`: tags, pictures, documents, parents, series, and what is refused."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from tests.unit.application import CT_PATIENT, CT_SERIES, CT_STUDY, Client, MakeClient

from ithil import error_codes as codes

GREY = np.arange(30, dtype=np.uint8).reshape(5, 6)
DEEP = (np.arange(30, dtype=np.uint16) * 1000).reshape(5, 6)
RGB = np.arange(90, dtype=np.uint8).reshape(5, 6, 3)
RGBA = np.arange(120, dtype=np.uint8).reshape(5, 6, 4)
PAM = "image/x-portable-arbitrarymap"
MODEL = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
PDF = b"%PDF-1.4 and so on"


def uri(mime_type: str, content: bytes) -> str:
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"


def coded(picture: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def png(pixels: Any) -> str:
    return uri("image/png", coded(Image.fromarray(pixels)))


def pam(pixels: Any, *, width: int | None = None, maximum: int = 255, depth: int | None = None) -> bytes:
    rows, columns = pixels.shape[:2]
    planes = pixels.shape[2] if pixels.ndim == 3 else 1
    head = f"P7\nWIDTH {width or columns}\nHEIGHT {rows}\nDEPTH {depth or planes}\nMAXVAL {maximum}\nENDHDR\n"
    data: bytes = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    return head.encode() + data


def forged_png(columns: int, rows: int, depth: int = 8, colour: int = 0) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def create(client: Client, body: Any) -> pydicom.Dataset:
    """The one instance that a body makes."""
    answer = client.post("/tools/create-dicom", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["Status"] == "Success"
    assert found["Path"] == f"/instances/{found['ID']}"
    assert client.get(found["Path"]).json()["ParentSeries"] == found["ParentSeries"]
    return pydicom.dcmread(io.BytesIO(client.get(f"{found['Path']}/file").content))


def refusal(client: Client, body: Any) -> tuple[int, int]:
    before = client.get("/statistics").json()["CountInstances"]
    answer = client.post("/tools/create-dicom", json=body)
    assert client.get("/statistics").json()["CountInstances"] == before
    return answer.status_code, answer.json()["OrthancStatus"]


def test_tags_alone(client: Client) -> None:
    ds = create(client, {"Tags": {"PatientName": "A^B", "0010,0020": "P1", "StudyDate": "19990101"}})
    assert (ds.PatientName, ds.PatientID, ds.StudyDate) == ("A^B", "P1", "19990101")
    for keyword in ("InstanceCreationDate", "SeriesDate", "AcquisitionDate", "ContentDate", "SeriesTime"):
        assert ds[keyword].value
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert ds[keyword].value.is_valid
    assert ds.SpecificCharacterSet == "ISO_IR 100"
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    other = create(client, {"Tags": {}})
    assert other.PatientID
    assert other.StudyInstanceUID != ds.StudyInstanceUID


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(GREY), GREY),
        (png(DEEP), DEEP),
        (png(RGB), RGB),
        (png(RGBA), RGBA[:, :, :3]),
        (uri("image/png", coded(Image.fromarray(np.dstack([GREY, GREY]), "LA"))), GREY),
        (uri("image/png", coded(Image.fromarray(GREY % 2 * 255).convert("1"))), GREY % 2 * 255),
        (uri("image/png", coded(Image.fromarray(RGB).quantize(16))), None),
        (uri(PAM, pam(GREY)), GREY),
        (uri(PAM, pam(DEEP, maximum=65535)), DEEP),
        (uri(PAM, pam(RGB)), RGB),
        (uri(PAM, pam(RGBA)), RGBA[:, :, :3]),
        (uri("image/jpeg", coded(Image.fromarray(GREY), "JPEG")), None),
        (uri("image/jpeg", coded(Image.fromarray(RGB), "JPEG")), None),
        (uri("IMAGE/PNG", coded(Image.fromarray(GREY))), GREY),
    ],
)
def test_pictures(client: Client, content: str, expected: Any) -> None:
    ds = create(client, {"Tags": {"PatientID": "P1"}, "Content": content})
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert (ds.Rows, ds.Columns) == (5, 6)
    assert ds.PhotometricInterpretation == ("RGB" if ds.SamplesPerPixel == 3 else "MONOCHROME2")
    assert ds.BitsStored == ds.BitsAllocated == ds.HighBit + 1
    pixels = ds.pixel_array
    if expected is not None:
        assert np.array_equal(pixels, expected)


def test_what_the_request_says_of_a_picture_stays(client: Client) -> None:
    tags = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "Modality": "CR", "Rows": "99"}
    tags["PhotometricInterpretation"] = "MONOCHROME1"
    ds = create(client, {"Tags": tags, "Content": png(GREY)})
    assert (ds.SOPClassUID, ds.Modality) == (tags["SOPClassUID"], "CR")
    assert (ds.PhotometricInterpretation, ds.Rows) == ("MONOCHROME1", 5)


def test_a_jpeg_that_stays_compressed(client: Client) -> None:
    for pixels, photometric in ((RGB, "YBR_FULL_422"), (GREY, "MONOCHROME2")):
        jpeg = coded(Image.fromarray(pixels), "JPEG")
        ds = create(client, {"Tags": {}, "Content": uri("image/jpeg", jpeg), "Encapsulate": True})
        assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
        assert next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1)).startswith(jpeg)
        assert ds.PhotometricInterpretation == photometric
        assert ds.LossyImageCompression == "01"
        assert ds.pixel_array.shape == pixels.shape
    progressive = io.BytesIO()
    Image.fromarray(RGB).save(progressive, "JPEG", progressive=True)
    body = {"Tags": {}, "Content": uri("image/jpeg", progressive.getvalue())}
    assert refusal(client, body | {"Encapsulate": True}) == (400, 15)
    assert create(client, body).SamplesPerPixel == 3


@pytest.mark.parametrize(
    ("mime_type", "content", "sop_class", "modality"),
    [
        ("application/pdf", PDF, "104.1", "OT"),
        ("application/pdf", PDF + b"!", "104.1", "OT"),
        ("model/stl", b"solid nothing\nendsolid\n", "104.3", "M3D"),
        ("model/stl", bytes(80) + struct.pack("<I", 2) + bytes(100), "104.3", "M3D"),
        ("model/obj", MODEL, "104.4", "M3D"),
        ("model/mtl", b"# colours\nnewmtl red\nKd 1 0 0\n", "104.5", "M3D"),
    ],
)
def test_documents(client: Client, mime_type: str, content: bytes, sop_class: str, modality: str) -> None:
    ds = create(client, {"Tags": {"DocumentTitle": "t"}, "Content": uri(mime_type, content)})
    assert ds.SOPClassUID == f"1.2.840.10008.5.1.4.1.1.{sop_class}"
    assert (ds.MIMETypeOfEncapsulatedDocument, ds.Modality) == (mime_type, modality)
    assert ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength] == content
    assert (ds.DocumentTitle, len(ds.EncapsulatedDocument) % 2) == ("t", 0)


@pytest.mark.parametrize(
    "content",
    [
        uri("image/png", forged_png(60_000, 60_000)),
        uri("image/png", forged_png(0, 5)),
        uri("image/png", forged_png(2**31 - 1, 2**31 - 1)),
        uri("image/png", forged_png(600, 600)),  # the data is not there
        uri("image/png", forged_png(10, 10, depth=3)),
        uri("image/png", coded(Image.fromarray(RGB))[:60]),
        uri("image/png", coded(Image.fromarray(RGB), "JPEG")),
        uri("image/png", b""),
        uri("image/jpeg", coded(Image.fromarray(RGB))),
        uri("image/jpeg", coded(Image.fromarray(RGBA, "CMYK"), "JPEG")),
        uri("image/jpeg", coded(Image.fromarray(RGB), "JPEG")[:200]),
        uri("image/jpeg", b"\xff\xd8\xff\xd9"),
        uri(PAM, pam(GREY, width=60_000)),
        uri(PAM, pam(GREY, width=70_000)),
        uri(PAM, pam(GREY, depth=5)),
        uri(PAM, pam(GREY, maximum=2**32)),
        uri(PAM, pam(RGB.astype(np.uint16), maximum=65_535)),
        uri(PAM, b"P7\nWIDTH 5\n" + b"#" * 10_000),
        uri(PAM, b"P7\nWIDTH -5\nHEIGHT 5\nDEPTH 1\nMAXVAL 255\nENDHDR\n"),
        uri("application/pdf", b"no pdf"),
        uri("model/stl", b"x" * 84),
        uri("model/obj", b"\0\0\0"),
        uri("model/mtl", b"something else"),
        "hello",
        "data:image/png,abc",
        "data:image/png;base64,@@@@",
        "data:;base64,AAAA",
        "",
    ],
)
def test_content_that_is_not_what_it_says(client: Client, content: str) -> None:
    assert refusal(client, {"Tags": {"PatientID": "P1"}, "Content": content}) == (400, 15)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"Tags": {}, "Content": uri("image/gif", b"GIF89a")}, 400, 3),
        ({"Tags": {}, "Content": uri("text/html", b"<html>")}, 400, 3),
        ({"Tags": {}, "Content": 5}, 400, 2023),
        ({"Tags": {}, "Content": None}, 400, 2023),
        ({"Tags": {}, "Content": [png(GREY), 5]}, 400, 2023),
        ({"Tags": {}, "Content": [png(GREY), {"Tags": {}}]}, 400, 2022),
        ({"Tags": {}, "Content": [png(GREY), {"Tags": [], "Content": png(GREY)}]}, 400, 8),
        ({"Tags": {}, "Content": [png(GREY), uri("application/pdf", b"junk")]}, 400, 15),
        ({"Tags": {"PixelData": "x"}}, 400, 2021),
        ({"Tags": {"Nope": "x"}}, 500, 27),
        ({"Tags": {"PatientName": 5}}, 400, 5),
        ({"Tags": {"PatientName": ["a"]}}, 400, 5),
        ({"Tags": {"Rows": "abc"}}, 400, 15),
        ({"Tags": {"ReferencedStudySequence": "x"}}, 400, 15),
        ({"Tags": {"StudyInstanceUID": "1.2.3"}}, 400, 2020),
        ({"Tags": {"SeriesInstanceUID": "1.2.3"}}, 400, 2020),
        ({"Tags": {"SOPInstanceUID": "1.2.3"}}, 400, 2020),
        ({"Tags": {}, "Parent": "nope"}, 400, 2024),
        ({"Tags": {}, "Parent": 5}, 400, 2024),
        ({"Tags": {}, "Force": "yes"}, 400, 8),
        ({"Tags": {}, "PrivateCreator": 5}, 400, 8),
        ({"Tags": []}, 400, 8),
        ([], 400, 8),
        ({"PatientName": 5}, 400, 2019),
        ({"Foo": "x"}, 500, 27),
    ],
)
def test_requests_that_are_refused(client: Client, body: Any, status: int, code: int) -> None:
    assert refusal(client, body) == (status, code)


def test_a_parent_passes_its_modules_on(client: Client, ct: bytes) -> None:
    instance = client.post("/instances", content=ct).json()["ID"]
    source = pydicom.dcmread(io.BytesIO(ct))
    for parent, keywords, absent in (
        (CT_PATIENT, ("PatientName", "PatientID", "PatientSex"), "StudyDescription"),
        (CT_STUDY, ("PatientName", "StudyInstanceUID", "StudyDate", "StudyDescription"), "SeriesNumber"),
        (CT_SERIES, ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesNumber"), "SliceLocation"),
    ):
        ds = create(client, {"Parent": parent, "Tags": {}, "Content": png(GREY)})
        assert all(ds[keyword].value == source[keyword].value for keyword in keywords)
        assert absent not in ds
        assert ds.SOPInstanceUID != source.SOPInstanceUID
    assert refusal(client, {"Parent": instance, "Tags": {}}) == (400, 2025)


def test_what_a_parent_says_needs_force(client: Client, ct: bytes) -> None:
    client.post("/instances", content=ct)
    for tags in ({"PatientName": "X"}, {"PatientID": "X"}, {"StudyDescription": "X"}):
        body = {"Parent": CT_STUDY, "Tags": tags}
        assert refusal(client, body) == (400, 2020)
        assert next(iter(create(client, body | {"Force": True}).items()))
    assert (
        create(client, {"Parent": CT_STUDY, "Tags": {"PatientID": "1CT1", "Modality": "XA"}}).Modality == "XA"
    )


def test_names_of_a_parent_in_another_character_set(client: Client) -> None:
    parent = create(client, {"Tags": {"PatientID": "J", "PatientName": "Jürgen^Müller"}})
    study = client.post("/tools/lookup", content=str(parent.StudyInstanceUID)).json()[0]["ID"]
    body = {"Parent": study, "Tags": {"ImageComments": "日本"}, "Content": [png(GREY), png(GREY)]}
    series = client.post("/tools/create-dicom", json=body).json()
    for instance in client.get(f"{series['Path']}/instances").json():
        file = client.get(f"/instances/{instance['ID']}/file").content
        ds = pydicom.dcmread(io.BytesIO(file))
        assert (ds.PatientName, ds.ImageComments) == ("Jürgen^Müller", "日本")
        assert ds.SpecificCharacterSet == "ISO_IR 192"


def test_a_series(client: Client) -> None:
    second = {"Content": png(RGB), "Tags": {"ImageComments": "second"}}
    body = {"Tags": {"PatientID": "S", "ImageComments": "all"}, "Content": [png(GREY), second]}
    answer = client.post("/tools/create-dicom", json=body).json()
    assert answer["Path"] == f"/series/{answer['ID']}"
    assert answer["Status"] == "Success"
    assert client.get(answer["Path"]).json()["Status"] == "Complete"
    found = {}
    for instance in client.get(f"{answer['Path']}/instances").json():
        file = client.get(f"/instances/{instance['ID']}/file").content
        ds = pydicom.dcmread(io.BytesIO(file))
        found[int(ds.InstanceNumber)] = ds
    assert [found[1].ImageComments, found[2].ImageComments] == ["all", "second"]
    assert found[1].SeriesInstanceUID == found[2].SeriesInstanceUID
    assert found[1].ImagesInAcquisition == 2
    assert found[2].ImageIndex == 2


def test_private_tags(client: Client) -> None:
    ds = create(client, {"Tags": {"0009,1001": "hello"}, "PrivateCreator": "ITHIL"})
    assert ds.private_block(0x0009, "ITHIL")[0x01].value == b"hello\0"
    ds = create(client, {"Tags": {"0009,0010": "OTHER", "0009,1001": uri("application/octet-stream", b"ab")}})
    assert ds.private_block(0x0009, "OTHER")[0x01].value == b"ab"


def test_binary_values(client: Client) -> None:
    value = uri("application/octet-stream", b"\1\2\3\4")
    tags = {"RedPaletteColorLookupTableData": value, "PatientComments": value}
    ds = create(client, {"Tags": tags})
    assert ds.RedPaletteColorLookupTableData == b"\1\2\3\4"
    assert ds.PatientComments == value
    raw = create(client, {"Tags": tags, "InterpretBinaryTags": False})
    assert raw.RedPaletteColorLookupTableData.rstrip(b"\0") == value.encode()


def test_sequences_and_numbers(client: Client) -> None:
    tags = {
        "ReferencedStudySequence": [{"ReferencedSOPClassUID": "1.2.3", "ReferencedSOPInstanceUID": "1.2"}],
        "PixelSpacing": "1\\2",
        "FrameIncrementPointer": "0018,1063",
        "0002,0010": "1.2.3",
        "0010,0000": "7",
    }
    ds = create(client, {"Tags": tags})
    assert ds.ReferencedStudySequence[0].ReferencedSOPInstanceUID == "1.2"
    assert ds.PixelSpacing == [1, 2]
    assert ds.FrameIncrementPointer == 0x00181063
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


def test_the_form_of_old_clients(client: Client) -> None:
    ds = create(client, {"PatientName": "V1", "StudyInstanceUID": "1.2.3", "PixelData": png(GREY)})
    assert (ds.PatientName, ds.StudyInstanceUID) == ("V1", "1.2.3")
    assert np.array_equal(ds.pixel_array, GREY)
    assert "StudyDate" not in ds
    assert create(client, {"PixelData": uri("application/pdf", PDF)}).EncapsulatedDocument.startswith(PDF)
    assert create(client, {}).SOPInstanceUID


def test_not_on_a_read_only_archive(make_client: MakeClient) -> None:
    make_client()
    reader = make_client(read_only=True)
    assert reader.post("/tools/create-dicom", json={"Tags": {}}).status_code in (404, 405)


def test_create_dicom_refuses_a_nul(client: Client) -> None:
    answer = client.post("/tools/create-dicom", json={"Tags": {"PatientName": "A\0B"}})
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (400, codes.BAD_FILE_FORMAT)
    assert "holds a NUL" in answer.json()["Details"]

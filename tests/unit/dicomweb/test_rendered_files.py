"""Videos and documents out of their DICOM files."""

from __future__ import annotations

import io

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from tests.unit.application import Client
from tests.unit.dicomweb.images import CDA, PDF, ROOT, STL, document, parts_of, path, store, video

DOCUMENT = f"{path('1.2.3.4.8')}/rendered"
VIDEO = f"{path('1.2.3.4.9')}/rendered"
STREAM = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("sop_class", "media_type"), [(PDF, "application/pdf"), (CDA, "text/xml"), (STL, "model/stl")]
)
@pytest.mark.parametrize("content", [b"%PDF-1.4 even", b"%PDF-1.4 an odd one"[:18], b"%PDF-1.4 an odd one"])
def test_a_document_is_what_was_put_in(
    client: Client, sop_class: str, media_type: str, content: bytes
) -> None:
    store(client, document(sop_class, content, media_type))
    for accept in ("*/*", media_type, ""):
        answer = client.get(DOCUMENT, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
        assert answer.content == content
        assert int(answer.headers["content-length"]) == len(content)


@pytest.mark.parametrize("place", ["/studies/1.2.3", "/studies/1.2.3/series/1.2.3.4"])
def test_a_study_that_is_a_document(client: Client, place: str) -> None:
    store(client, document(PDF, b"%PDF-1.4", "application/pdf"))
    assert client.get(f"{ROOT}{place}/rendered").headers["content-type"] == "application/pdf"


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_other_transfer_syntaxes(client: Client, syntax: str) -> None:
    content = b"%PDF-1.4 an odd one"
    parsed = pydicom.dcmread(io.BytesIO(document(PDF, content, "application/pdf")))
    parsed.file_meta.TransferSyntaxUID = syntax
    target = io.BytesIO()
    pydicom.dcmwrite(
        target, parsed, implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian, enforce_file_format=True,
    )  # fmt: skip
    store(client, target.getvalue())
    answer = client.get(DOCUMENT)
    assert answer.status_code == 200
    assert answer.content == content
    assert client.get(DOCUMENT, headers={"Range": "bytes=1-3"}).content == b"PDF"


def test_a_large_document_behind_a_large_header(client: Client) -> None:
    content = b"%PDF" + bytes(range(256)) * 20_000
    parsed = pydicom.dcmread(io.BytesIO(document(PDF, content, "application/pdf")))
    parsed.add_new(0x00091001, "OB", bytes(600_000))
    parsed.add_new(0x00090010, "LO", "TEST")
    target = io.BytesIO()
    parsed.save_as(target)
    store(client, target.getvalue())
    assert client.get(DOCUMENT).content == content
    part = client.get(DOCUMENT, headers={"Range": "bytes=4000000-4000009"})
    assert (part.status_code, part.content) == (206, content[4_000_000:4_000_010])


def test_a_part_of_a_document(client: Client) -> None:
    store(client, document(PDF, b"%PDF-1.4 0123456789", "application/pdf"))
    whole = client.get(DOCUMENT)
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get(DOCUMENT, headers={"Range": "bytes=9-12", "If-Range": whole.headers["etag"]})
    assert (part.status_code, part.content) == (206, b"0123")
    assert part.headers["content-range"] == "bytes 9-12/19"
    assert client.get(DOCUMENT, headers={"Range": "bytes=500-"}).status_code == 416
    same = client.get(DOCUMENT, headers={"If-None-Match": whole.headers["etag"]})
    assert same.status_code == 304


def test_scripts_of_a_document_do_not_run(client: Client) -> None:
    store(client, document(CDA, b"<a/>", "text/xml"))
    assert client.get(DOCUMENT).headers["content-security-policy"] == "sandbox"


def test_a_document_is_no_picture(client: Client) -> None:
    store(client, document(PDF, b"%PDF-1.4", "application/pdf"))
    answer = client.get(DOCUMENT, headers={"Accept": "image/jpeg"})
    assert answer.status_code == 406
    assert "application/pdf" in answer.json()["Details"]
    assert client.get(f"{path('1.2.3.4.8')}/frames/1/rendered").status_code == 406


def test_a_document_without_its_content(client: Client) -> None:
    parsed = pydicom.dcmread(io.BytesIO(document(PDF, b"%PDF", "application/pdf")))
    del parsed.EncapsulatedDocument
    target = io.BytesIO()
    parsed.save_as(target)
    store(client, target.getvalue())
    assert client.get(DOCUMENT).status_code == 406


@pytest.mark.parametrize("fragments", [1, 3])
def test_a_video_is_its_stream(client: Client, fragments: int) -> None:
    store(client, video(STREAM, fragments))
    for accept in ("*/*", "video/mp4", "video/*"):
        answer = client.get(VIDEO, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
        assert answer.content == STREAM
    assert client.get(VIDEO, headers={"Accept": "image/jpeg"}).status_code == 406


@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize(("start", "end"), [(0, 1), (0, 100), (3000, 8000), (10_200, 10_251)])
def test_a_part_of_a_video(client: Client, fragments: int, start: int, end: int) -> None:
    store(client, video(STREAM, fragments))
    answer = client.get(VIDEO, headers={"Range": f"bytes={start}-{end}"})
    assert (answer.status_code, answer.content) == (206, STREAM[start : end + 1])
    assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(STREAM)}"


def test_a_video_in_parts(client: Client) -> None:
    store(client, video(STREAM, 3))
    answer = client.get(VIDEO, headers={"Accept": 'multipart/related; type="video/mp4"'})
    assert parts_of(answer.content, answer.headers["content-type"]) == [("video/mp4", STREAM)]

"""STOW-RS with metadata and bulk data: the files that are composed, and what is refused."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import orjson
import pydicom
import pytest
from pydicom.encaps import generate_frames
from tests.data.real import content_of
from tests.unit.application import Client
from tests.unit.dicomweb.stow_requests import (
    CT_UIDS,
    STUDIES,
    Part,
    body_of,
    content_type,
    count,
    failed,
    items,
    other_failures,
    stored,
    stow,
)

from ithil.dicom import json_model, xml_model
from ithil.dicom.dataset import Dataset, Element, parse

JSON, XML = "application/dicom+json", "application/dicom+xml"
OCTETS = "application/octet-stream"
JPEG_2000 = "pydicom/JPEG2000.dcm"
COLOUR = "pydicom/SC_rgb_jpeg_dcmtk.dcm"
FRAMES = "pydicom-data/color3d_jpeg_baseline.dcm"
PIXEL_DATA = "7FE00010"


def uri(path: tuple[int, ...], _: Element) -> str:
    """A BulkDataURI for a place in a data set."""
    return "bulk/" + "/".join(f"{step:x}" for step in path)


def model(content: bytes, **changes: Any) -> dict[str, Any]:
    """The metadata of a file, its bulk data by URIs. In `changes` None takes an attribute away."""
    document: dict[str, Any] = orjson.loads(json_model.to_json(whole(content), uri))
    for tag in ("0020000D", "0020000E"):  # some files lack them
        document.setdefault(tag, {"vr": "UI", "Value": ["1.2.3.4"]})
    for name, value in changes.items():
        document.pop(name.lstrip("_"), None)
        if value is not None:
            document[name.lstrip("_")] = value
    return document


def whole(content: bytes) -> Dataset:
    return parse(content, stop_at_pixel_data=False)


def metadata(*documents: Any) -> Part:
    return {"Content-Type": JSON}, orjson.dumps(list(documents))


def bulk(location: str, content: bytes, media_type: str = OCTETS) -> Part:
    return {"Content-Type": media_type, "Content-Location": location}, content


def frames_of(content: bytes) -> list[bytes]:
    dataset = pydicom.dcmread(BytesIO(content))
    return list(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1))))


def the_file(client: Client) -> pydicom.Dataset:
    """The only instance that is stored."""
    (public_id,) = client.get("/instances").json()
    return pydicom.dcmread(BytesIO(client.get(f"/instances/{public_id}/file").content))


def bulk_of(content: bytes, *, pixels: bool = True) -> list[Part]:
    """All values that `model` gives URIs, as parts."""
    parts: list[Part] = []

    def take(path: tuple[int, ...], element: Element) -> str:
        if pixels or element.tag != 0x7FE00010:
            parts.append(bulk(uri(path, element), bytes(element.value)))
        return ""

    json_model.to_json(whole(content), take)
    return parts


def without_meta(dataset: pydicom.Dataset) -> Mapping[str, Any]:
    document: Mapping[str, Any] = dataset.to_json_dict()
    return {tag: value for tag, value in document.items() if tag != "00080005"}


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "waveform_ecg.dcm", "test-SR.dcm"])
def test_what_was_taken_apart_is_put_together(client: Client, name: str) -> None:
    content = content_of(f"pydicom/{name}")
    answer = stow(client, metadata(model(content)), *bulk_of(content), of=JSON)
    assert (answer.status_code, len(stored(answer))) == (200, 1)
    found, sent = the_file(client), pydicom.dcmread(BytesIO(content))
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    for dataset in (found, sent):
        dataset.remove_private_tags()  # pydicom takes odd ones for other VRs
        for group in {element.tag.group for element in dataset}:
            dataset.pop((group, 0), None)
    assert without_meta(found) == without_meta(sent)


def test_xml_does_the_same(client: Client, ct: bytes) -> None:
    document = xml_model.to_xml(whole(ct), uri)
    answer = stow(client, ({"Content-Type": XML}, document), *bulk_of(ct), of=XML)
    assert (answer.status_code, stored(answer)) == (200, [CT_UIDS[2]])
    assert the_file(client).PixelData == pydicom.dcmread(BytesIO(ct)).PixelData


def test_several_instances_in_one_document_and_each_with_an_outcome(client: Client, ct: bytes) -> None:
    second = model(ct, _00080018={"vr": "UI", "Value": ["1.2.3"]})
    lying = model(ct, _00080018={"vr": "UI", "Value": ["1.2.4"]}, _00280010={"vr": "US", "Value": ["many"]})
    lost = model(ct, _00080018={"vr": "UI", "Value": ["1.2.5"]})
    lost[PIXEL_DATA]["BulkDataURI"] = "nowhere"
    nameless = model(ct, _00080018=None)
    parts = [
        metadata(model(ct), lying, second, lost, nameless),
        *bulk_of(ct),
        metadata(5),
        ({"Content-Type": JSON}, b"{"),
    ]
    answer = stow(client, *parts, of=JSON)
    assert answer.status_code == 202
    assert stored(answer) == [CT_UIDS[2], "1.2.3"]
    assert failed(answer) == {"1.2.4": 0xC000, "1.2.5": 0xC000}
    assert other_failures(answer) == [0xC000] * 3
    assert count(client) == 2


def test_metadata_alone(client: Client, plan: bytes) -> None:
    document = json_model.to_json(whole(plan))
    answer = client.post(STUDIES, content=document, headers={"Content-Type": JSON})
    assert (answer.status_code, len(stored(answer))) == (200, 1)
    assert the_file(client).Modality == "RTPLAN"


def test_files_may_come_along(client: Client, ct: bytes, mr: bytes) -> None:
    answer = stow(
        client, metadata(model(ct)), ({"Content-Type": "application/dicom"}, mr), *bulk_of(ct), of=JSON
    )
    assert (answer.status_code, len(stored(answer))) == (200, 2)


def test_inline_values(client: Client, ct: bytes) -> None:
    document = orjson.loads(json_model.to_json(whole(ct)))
    assert "InlineBinary" in document[PIXEL_DATA]
    assert stow(client, metadata(document), of=JSON).status_code == 200
    assert the_file(client).PixelData == pydicom.dcmread(BytesIO(ct)).PixelData


@pytest.mark.parametrize(
    ("name", "media_type", "syntax"),
    [
        (JPEG_2000, "image/jp2", "1.2.840.10008.1.2.4.91"),
        (COLOUR, "image/jpeg", "1.2.840.10008.1.2.4.50"),
        (FRAMES, "image/jpeg", "1.2.840.10008.1.2.4.50"),
        ("pydicom/SC_rgb_jls_lossy_line.dcm", "image/jls", "1.2.840.10008.1.2.4.81"),
        ("pydicom-data/JPEG-LL.dcm", "image/jpeg", "1.2.840.10008.1.2.4.70"),
        ("pydicom/MR_small_RLE.dcm", "image/dicom-rle", "1.2.840.10008.1.2.5"),
        ("pydicom/MR_small_jp2klossless.dcm", "image/jp2", "1.2.840.10008.1.2.4.90"),
        (JPEG_2000, f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.91"),
        (JPEG_2000, "image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.90"),
    ],
)
def test_compressed_frames(client: Client, name: str, media_type: str, syntax: str) -> None:
    content = content_of(name)
    frames = frames_of(content)
    place = model(content)[PIXEL_DATA]["BulkDataURI"]
    parts = [bulk(place, frame, media_type) for frame in frames]
    answer = stow(client, metadata(model(content)), *parts, *bulk_of(content, pixels=False), of=JSON)
    assert answer.status_code == 200
    found = the_file(client)
    assert found.file_meta.TransferSyntaxUID == syntax
    (public_id,) = client.get("/instances").json()
    raw = [client.get(f"/instances/{public_id}/frames/{n}/raw").content for n in range(len(frames))]
    assert [each.rstrip(b"\0") for each in raw] == [frame.rstrip(b"\0") for frame in frames]


def test_the_image_is_described_by_its_frames_if_nobody_else_does(client: Client) -> None:
    content = content_of(FRAMES)
    gone = dict.fromkeys(
        (
            "_00280002",
            "_00280004",
            "_00280006",
            "_00280008",
            "_00280010",
            "_00280011",
            "_00280100",
            "_00280101",
        )
    )
    document = model(content, **gone, _00280102=None, _00280103=None)
    parts = [bulk(document[PIXEL_DATA]["BulkDataURI"], frame, "image/jpeg") for frame in frames_of(content)]
    parts += bulk_of(content, pixels=False)
    assert stow(client, metadata(document), *parts, of=JSON).status_code == 200
    found, sent = the_file(client), pydicom.dcmread(BytesIO(content))
    for name in ("Rows", "Columns", "SamplesPerPixel", "BitsStored", "HighBit", "NumberOfFrames"):
        assert found[name].value == sent[name].value
    assert found.PhotometricInterpretation == "YBR_FULL_422"


def test_a_description_that_the_frames_contradict_is_put_right_with_a_warning(client: Client) -> None:
    content = content_of(COLOUR)
    document = model(content, _00280010={"vr": "US", "Value": [5]})
    part = bulk(document[PIXEL_DATA]["BulkDataURI"], frames_of(content)[0], "image/jpeg")
    answer = stow(client, metadata(document), part, of=JSON)
    (item,) = items(answer, "00081199")
    assert answer.status_code == 202
    assert item["00081196"]["Value"] == [0xB000]
    assert [each["00720026"]["Value"] for each in item["00741048"]["Value"]] == [["00280010"]]
    assert the_file(client).Rows == pydicom.dcmread(BytesIO(content)).Rows


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        (OCTETS, b"too short"),
        (OCTETS, b""),
        ("image/png", b"\x89PNG" + bytes(50_000)),
        ("image/jpeg", bytes(50_000)),
        ("image/jpeg; transfer-syntax=1.2.3.4", bytes(50_000)),
        (f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.2", bytes(50_000)),
    ],
)
def test_pixel_data_that_cannot_be(client: Client, ct: bytes, media_type: str, content: bytes) -> None:
    document = model(ct)
    part = bulk(document[PIXEL_DATA]["BulkDataURI"], content, media_type)
    answer = stow(client, metadata(document), part, *bulk_of(ct, pixels=False), of=JSON)
    assert (answer.status_code, count(client)) == (409, 0)
    assert failed(answer) == {CT_UIDS[2]: 0xC000}


def test_parts_that_cannot_be_one_image(client: Client) -> None:
    content = content_of(FRAMES)
    document = model(content)
    place = document[PIXEL_DATA]["BulkDataURI"]
    frames = frames_of(content)
    jpeg = [bulk(place, frame, "image/jpeg") for frame in frames]
    for parts in (
        jpeg[:-1],
        [*jpeg[:-1], bulk(place, frames[0], "image/jp2")],
        [bulk(place, bytes(10_000_000)), bulk(place, bytes(10_000_000))],
    ):
        answer = stow(client, metadata(document), *parts, of=JSON)
        assert (answer.status_code, count(client)) == (409, 0)


def test_bulk_data_without_metadata(client: Client) -> None:
    answer = stow(client, bulk("x", b"y"), of=JSON)
    assert (answer.status_code, other_failures(answer)) == (409, [0xC000])


def test_a_body_that_breaks_off_composes_nothing(client: Client, ct: bytes) -> None:
    content = body_of([metadata(model(ct)), *bulk_of(ct)])[:-30]
    answer = client.post(STUDIES, content=content, headers={"Content-Type": content_type(JSON)})
    assert (answer.status_code, count(client)) == (400, 0)


def test_all_must_be_of_the_study_in_the_path(client: Client, plan: bytes) -> None:
    document = metadata(orjson.loads(json_model.to_json(whole(plan))))
    answer = stow(client, document, of=JSON, url=f"{STUDIES}/1.2.3")
    assert (answer.status_code, list(failed(answer).values())) == (409, [0x0110])


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[1]",
        b"[]",
        b"[" * 100_000,
        b'<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>',
        orjson.dumps({"00081140": {"vr": "SQ", "Value": [{"00081140": {"vr": "SQ"}}]}}),
    ],
)
@pytest.mark.parametrize("kind", [JSON, XML])
def test_documents_that_are_none(client: Client, document: bytes, kind: str) -> None:
    answer = stow(client, ({"Content-Type": kind}, document), of=kind)
    assert answer.status_code in (400, 409)
    assert count(client) == 0


def test_text_of_any_script_comes_back(client: Client, plan: bytes) -> None:
    document = model(
        plan, _00100010={"vr": "PN", "Value": [{"Alphabetic": "Ä^Ö", "Ideographic": "山田^太郎"}]}
    )
    assert stow(client, metadata(document), of=JSON).status_code == 200
    found = the_file(client)
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert str(found.PatientName) == "Ä^Ö=山田^太郎"


def test_a_nested_value_by_uri(client: Client, plan: bytes) -> None:
    icon = {"7FE00010": {"vr": "OW", "BulkDataURI": "icon"}, "00280010": {"vr": "US", "Value": [2]}}
    document = model(plan, _00880200={"vr": "SQ", "Value": [icon]})
    assert stow(client, metadata(document), bulk("icon", b"\1\2\3\4"), of=JSON).status_code == 200
    assert the_file(client).IconImageSequence[0].PixelData == b"\1\2\3\4"


def test_a_document_by_uri(client: Client, plan: bytes) -> None:
    pdf = b"%PDF-1.4 " + bytes(100_001)
    document = model(
        plan,
        _00080016={"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.104.1"]},
        _00420011={"vr": "OB", "BulkDataURI": "file.pdf"},
    )
    assert (
        stow(client, metadata(document), bulk("file.pdf", pdf, "application/pdf"), of=JSON).status_code == 200
    )
    assert the_file(client).EncapsulatedDocument == pdf


def test_base64_of_fragments(client: Client) -> None:
    """The metadata of a compressed instance with all of its values inside, which names its transfer syntax."""
    content = content_of(JPEG_2000)
    document = orjson.loads(json_model.to_json(whole(content)))
    document["00020010"] = {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.91"]}
    assert base64.b64decode(document[PIXEL_DATA]["InlineBinary"]).startswith(b"\xfe\xff\x00\xe0")
    assert stow(client, metadata(document), of=JSON).status_code == 200
    found = the_file(client)
    assert list(generate_frames(found.PixelData, number_of_frames=1)) == frames_of(content)

"""Scenarios of making DICOM instances, and of storing and reading them in another transfer syntax."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
from PIL import Image

from ithil.dicom.identifiers import public_ids
from tests.conformance.line import Ask, Difference, Scenario

_CT = "pydicom/CT_small.dcm"
_CT_INSTANCE = "f689ddd2-662f8fe1-8b18180d-ec2a2cee-937917af"
_STATED = {
    **dict.fromkeys(("InstanceCreationDate", "StudyDate", "SeriesDate"), "20200102"),
    **dict.fromkeys(("AcquisitionDate", "ContentDate"), "20200102"),
    **dict.fromkeys(("InstanceCreationTime", "StudyTime", "SeriesTime"), "101112"),
    **dict.fromkeys(("AcquisitionTime", "ContentTime"), "101112"),
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
    "PatientID": "C1",
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.3.4",
}


def _uri(mime_type: str, content: bytes) -> str:
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"


def _png(*shape: int, deep: bool = False) -> str:
    values = np.arange(np.prod(shape), dtype=np.uint16 if deep else np.uint8).reshape(shape)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return _uri("image/png", file.getvalue())


def _body(uid: str, content: Any = None, **tags: Any) -> str:
    body: dict[str, Any] = {"Tags": {**_STATED, "SOPInstanceUID": uid, **tags}, "Force": True}
    return json.dumps(body if content is None else body | {"Content": content})


def _made(uid: str) -> str:
    return public_ids("C1", "1.2.3", "1.2.3.4", uid)[3]


def _line(note: str, body: Any, ours: tuple[Difference, ...] = ()) -> Ask:
    text = body if isinstance(body, str) else json.dumps(body)
    return Ask("POST", "/tools/create-dicom", text, note=note, ours=ours)


_PICTURES = {
    "1.2.3.4.1": ("grey of 8 bits", _png(5, 6)),
    "1.2.3.4.2": ("grey of 16 bits", _png(5, 6, deep=True)),
    "1.2.3.4.3": ("RGB", _png(5, 6, 3)),
    "1.2.3.4.4": ("RGB with alpha", _png(5, 6, 4)),
}
_DETAILS = Difference("body.Details", "Details are in words of our own, and never quote a value.")
_DETAILS_ONLY = (_DETAILS,)
_REFUSED = "What is no picture of the type it claims is the client's mistake: 400 and not 500."
_NEWER = "Supported as in Orthanc 1.13; Orthanc 1.10 does not know it."
_CODE_400 = (
    Difference("status", _REFUSED),
    Difference("body.*", _REFUSED),
)
_PATIENT = "An instance cannot be put into the study of one patient and belong to another."
_PAYLOAD = "The element of the array that is wrong is named by its own code: 2022 or 2023."

_NO_PIXELS = "A file without pixel data stays as it is, as in Orthanc 1.13; Orthanc 1.10 only names it anew."

CREATING = Scenario(
    "creating instances",
    (
        *(_line(note, _body(uid, content)) for uid, (note, content) in _PICTURES.items()),
        *(Ask("GET", f"/instances/{_made(uid)}/tags") for uid in _PICTURES),
        *(Ask("GET", f"/instances/{_made(uid)}/content/7fe0-0010/0") for uid in _PICTURES),
        _line("PDF", _body("1.2.3.4.5", _uri("application/pdf", b"%PDF-1.4 hello"), Modality="DOC")),
        Ask("GET", f"/instances/{_made('1.2.3.4.5')}/content/0042-0011"),
        _line("tags alone", _body("1.2.3.4.6", PatientComments="data:text/plain;base64,aGVsbG8=")),
        Ask("GET", f"/instances/{_made('1.2.3.4.6')}/tags"),
        _line("a sequence", _body("1.2.3.4.7", ReferencedStudySequence=[{"ReferencedSOPClassUID": "1.2"}])),
        Ask("GET", f"/instances/{_made('1.2.3.4.7')}/tags"),
        _line("Latin characters", _body("1.2.3.4.8", PatientName="Jürgen")),
        Ask("GET", f"/instances/{_made('1.2.3.4.8')}/tags"),
        _line("UTF-8", _body("1.2.3.4.9", PatientName="Jürgen", SpecificCharacterSet="ISO_IR 192")),
        Ask("GET", f"/instances/{_made('1.2.3.4.9')}/tags"),
        Ask("GET", "/instances?expand", unordered=True, compare="status"),
        Ask("GET", "/statistics", compare="status"),
    ),
)

CREATING_REFUSED = Scenario(
    "instances that are not created",
    (
        _line("no JSON", "junk", _DETAILS_ONLY),
        _line("no object", [], _DETAILS_ONLY),
        _line("Tags is no object", {"Tags": []}, _DETAILS_ONLY),
        _line("unknown tag", {"Tags": {"Nope": "x"}}),
        _line("a number for a text", {"Tags": {"PatientName": 5}}, _DETAILS_ONLY),
        _line("no number", {"Tags": {"Rows": "abc"}}, _DETAILS_ONLY),
        _line("pixel data as a tag", {"Tags": {"PixelData": "x"}}),
        _line("an identifier without Force", {"Tags": {"StudyInstanceUID": "1.2"}}),
        _line("Force is no boolean", {"Tags": {}, "Force": "yes"}, _DETAILS_ONLY),
        _line("an unknown parent", {"Tags": {}, "Parent": "nope"}),
        _line("an instance as parent", {"Tags": {}, "Parent": _CT_INSTANCE}),
        _line("no data URI", {"Tags": {}, "Content": "hello"}, _DETAILS_ONLY),
        _line("a number as content", {"Tags": {}, "Content": 5}),
        _line("junk for a PNG", {"Tags": {}, "Content": _uri("image/png", b"junk")}, _DETAILS_ONLY),
        _line("junk for a PDF", {"Tags": {}, "Content": _uri("application/pdf", b"junk")}),
        _line("a PNG for a JPEG", {"Tags": {}, "Content": _png(5, 6).replace("png", "jpeg", 1)}, _CODE_400),
        _line("GIF", {"Tags": {}, "Content": _uri("image/gif", b"GIF89a")}, _CODE_400),
        _line(
            "an instance of a series without content",
            {"Tags": {}, "Content": [{"Tags": {}}]},
            (Difference("status", _PAYLOAD), Difference("body.*", _PAYLOAD)),
        ),
        _line("old form: unknown tag", {"Foo": "x"}),
    ),
    files=(_CT,),
)

INGEST_TRANSCODING = Scenario(
    "ingest transcoding",
    (
        Ask("GET", "/instances/{instance:CT_small}/metadata/TransferSyntax"),
        Ask("GET", "/instances/{instance:MR_small_RLE}/metadata/TransferSyntax"),
        Ask(
            "GET",
            "/instances/{instance:rtplan}/metadata/TransferSyntax",
            ours=(Difference("body", _NO_PIXELS), Difference("header.etag", _NO_PIXELS)),
        ),
        Ask("GET", "/instances/{instance:CT_small}/tags", compare="status"),
        Ask("GET", "/instances/{instance:CT_small}/file", compare="status"),
    ),
    files=(_CT, "pydicom/MR_small_RLE.dcm", "pydicom/rtplan.dcm"),
    configuration={"IngestTranscoding": "1.2.840.10008.1.2.4.70"},
)

READING_TRANSCODED = Scenario(
    "files as documents and transcoded",
    (
        Ask(
            "GET",
            "/instances/{instance:CT_small}/file",
            headers={"Accept": "application/dicom+json"},
            compare="status",
            note="JSON",
        ),
        Ask(
            "GET",
            "/instances/{instance:CT_small}/file",
            headers={"Accept": "application/dicom+xml"},
            compare="status",
            note="XML",
        ),
        Ask(
            "GET",
            "/instances/{instance:CT_small}/file?transcode=1.2.840.10008.1.2.4.80",
            ours=(Difference("body", _NEWER),),
        ),
        Ask(
            "GET",
            "/instances/{instance:CT_small}/file?transcode=nope",
            ours=(
                Difference("status", _NEWER, 400, 200),
                Difference("body*", _NEWER),
                Difference("header.*", _NEWER),
            ),
        ),
    ),
    files=(_CT,),
)

CREATIONS = (CREATING, CREATING_REFUSED, INGEST_TRANSCODING, READING_TRANSCODED)

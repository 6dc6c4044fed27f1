"""WADO-RS: frames byte for byte, whole instances, and what each refuses."""

from __future__ import annotations

import io
from functools import cache

import pydicom

from tests.conformance.line import ABSENT, Ask, Difference, Scenario
from tests.data.real import all_files, content_of

NATIVE = ("CT_small", "ExplVR_BigEnd", "gdcm-US-ALOKA-16_big", "rtdose_1frame")
RLE = ("MR_small_RLE", "emri_small_RLE")
LOSSLESS = ("JPEG-LL",)
LOSSY = ("SC_rgb_jpeg_dcmtk", "JPEG-lossy")
JPEG_2000 = ("693_J2KR",)
_NAMES = {*NATIVE, *RLE, *LOSSLESS, *LOSSY, *JPEG_2000, "rtplan"}
FILES = tuple(name for name in all_files() if name.rpartition("/")[2].removesuffix(".dcm") in _NAMES)

_OCTETS = 'multipart/related; type="application/octet-stream"'
_AS_STORED = f"{_OCTETS}; transfer-syntax=*"
_DICOM = 'multipart/related; type="application/dicom"'

_TYPE = Difference(
    "header.content-type",
    "The type of the parts stands without their parameters, which each part has.",
)
_PART = Difference(
    "body.*.content-type",
    "Parts say their transfer syntax without quotes and have the type that was asked for.",
)
_DICOM_PART = (
    Difference("header.etag", "Answers have an entity tag.", theirs=ABSENT),
    Difference(
        "body.*.content-type", "Parts say in which transfer syntax they are.", theirs="application/dicom"
    ),
    Difference("body.*.content-location", "Parts say where they can be had alone.", theirs=ABSENT),
)
_TAG = Difference(
    "header.etag", "Answers have an entity tag, so that they are not sent again for nothing.", theirs=ABSENT
)
_SAME_FRAME = (_TYPE, _PART, _TAG)
_HEADER = Difference("body.*.content", "The header of a transcoded file is written by other means.")
_STAYS = Difference(
    "body.*.content",
    "What is stored with loss comes as it is stored where no transfer syntax is named (PS3.18 8.7.3.5.2).",
)


def _differs(reason: str, status: int) -> tuple[Difference, ...]:
    return (
        Difference("status", reason, ours=status),
        Difference("header.*", reason),
        Difference("body*", reason),
    )


_ALL_FRAMES = (
    Difference("header.*", "Without a list all frames come."),
    Difference("body*", "Without a list all frames come, from the first; Orthanc begins with the second."),
)
_NOT_ACCEPTABLE = _differs("406 with what there is, as PS3.18 8.7.5 says.", 406)
_ALONE = _differs("One frame or instance comes alone for who does not ask for parts (PS3.18 8.7.3).", 200)
_MORE_CODINGS = _differs("More codings are written and read: JPEG 2000, HTJ2K, RLE.", 200)
_NO_FRAMES = _differs("An instance without pixel data has no frames.", 404)
_ANY_TYPE = _differs('`type="*/*"`, as dicomweb-client sends it, takes what there is.', 200)
_LENIENT = _differs("What clients write with blanks or in lists is understood.", 200)
_BIG_ENDIAN = _differs("Frames stored in big endian come in little endian (PS3.18 8.7.3).", 200)
_IMPLICIT = Difference(
    "body.*.content-type",
    "Native frames are the same in both little endian transfer syntaxes, and have one name.",
    ours="application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1",
    theirs="application/octet-stream; transfer-syntax=1.2.840.10008.1.2",
)
_NATIVE_AS_STORED = {
    "ExplVR_BigEnd": _BIG_ENDIAN,
    "gdcm-US-ALOKA-16_big": _BIG_ENDIAN,
    "rtdose_1frame": (_TYPE, _TAG, _IMPLICIT),
}
_UNKNOWN = (Difference("body.Details", "Ithil says in its own words what is wrong with a request."),)


@cache
def _path(name: str) -> str:
    file = next(one for one in FILES if one.endswith(f"/{name}.dcm"))
    ds = pydicom.dcmread(io.BytesIO(content_of(file)), stop_before_pixels=True, force=True)
    return f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def _ask(path: str, accept: str | None, ours: tuple[Difference, ...] = (), note: str = "") -> Ask:
    headers = {} if accept is None else {"Accept": accept}
    return Ask("GET", path, headers=headers, ours=ours, note=note or (accept or "no Accept"))


def _frames() -> list[Ask]:
    lines = []
    for name in NATIVE:
        path = f"{_path(name)}/frames/1"
        lines += [_ask(path, accept, (_TYPE, _TAG)) for accept in (None, "*/*", _OCTETS)]
        lines.append(_ask(path, _AS_STORED, _NATIVE_AS_STORED.get(name, (_TYPE, _TAG))))
    for name in (*RLE, *LOSSLESS):
        lines += [_ask(f"{_path(name)}/frames/1", accept, (_TYPE, _TAG)) for accept in ("*/*", _OCTETS)]
        lines.append(_ask(f"{_path(name)}/frames/1", _AS_STORED, _SAME_FRAME))
    lines += [_ask(f"{_path(name)}/frames/1", _AS_STORED, _SAME_FRAME) for name in (*LOSSY, *JPEG_2000)]
    lines += [_ask(f"{_path(name)}/frames/1", "*/*", (*_SAME_FRAME, _STAYS)) for name in LOSSY]
    lines += [_ask(f"{_path(name)}/frames/1", _OCTETS, _MORE_CODINGS) for name in JPEG_2000]
    two = _path("emri_small_RLE")
    for numbers in ("1,2", "10,1", "2%2C2"):
        lines.append(_ask(f"{two}/frames/{numbers}", _AS_STORED, _SAME_FRAME))
    lines.append(_ask(f"{two}/frames", _AS_STORED, _ALL_FRAMES))
    one = _path("CT_small")
    lines += [_ask(f"{one}/frames/1", accept, _ALONE) for accept in ("application/octet-stream", "image/jls")]
    lines += [
        _ask(f"{one}/frames/1", 'multipart/related; type="*/*"', _ANY_TYPE),
        _ask(f"{one}/frames/1", f"text/html, {_OCTETS}", _LENIENT),
        _ask(f"{one}/frames/1", "text/html", _NOT_ACCEPTABLE),
        _ask(f"{one}/frames/1", f"{_OCTETS.replace('octet-stream', 'dicom')}", _NOT_ACCEPTABLE),
        _ask(
            f"{one}/frames/1", 'multipart/related; type="image/jpeg"; transfer-syntax=1.2.3', _NOT_ACCEPTABLE
        ),
        _ask(f"{one}/frames/1", 'multipart/related; type="image/jphc"', _MORE_CODINGS),
    ]
    lines += [_ask(f"{one}/frames/{number}", "*/*", _UNKNOWN) for number in ("0", "2", "-1", "x", "1,2", ",")]
    lines.append(_ask(f"{one}/frames/1,%201", "*/*", _LENIENT))
    lines.append(_ask(f"{_path('rtplan')}/frames/1", "*/*", _NO_FRAMES))
    lines.append(_ask("/dicom-web/studies/1/series/2/instances/3/frames/1", "*/*", _UNKNOWN))
    return lines


def _instances() -> list[Ask]:
    lines = []
    for name in ("CT_small", "MR_small_RLE", "SC_rgb_jpeg_dcmtk", "rtplan"):
        path = _path(name)
        for place in (path, path.partition("/instances")[0], path.partition("/series")[0]):
            lines.append(_ask(place, f"{_DICOM}; transfer-syntax=*", _DICOM_PART))
            lines.append(
                _ask(place, 'multipart/related;type="application/dicom";transfer-syntax=*', _DICOM_PART)
            )
    one = _path("CT_small")
    lines += [_ask(one, accept, _DICOM_PART) for accept in (None, "*/*", _DICOM, "multipart/related")]
    lines.append(_ask(_path("MR_small_RLE"), _DICOM, (*_DICOM_PART, _HEADER)))
    lines.append(_ask(_path("SC_rgb_jpeg_dcmtk"), _DICOM, (*_DICOM_PART, _STAYS)))
    lines += [_ask(one, accept, _ALONE) for accept in ("application/dicom", "application/zip")]
    lines += [
        _ask(one, f"{_DICOM}; transfer-syntax=1.2.840.10008.1.2.4.90", _MORE_CODINGS),
        _ask(one, f"{_DICOM}; transfer-syntax=1.2.3", _NOT_ACCEPTABLE),
        _ask(one, "text/html", _NOT_ACCEPTABLE),
        _ask(one, _OCTETS, _NOT_ACCEPTABLE),
        _ask(one, "image/jpeg, */*;q=0.1", _LENIENT),
        _ask("/dicom-web/studies/1", "*/*", _UNKNOWN),
        _ask("/dicom-web/studies/1/series/2", "*/*", _UNKNOWN),
        _ask("/dicom-web/studies/1/series/2/instances/3", "*/*", _UNKNOWN),
    ]
    return lines


WADO = Scenario(
    "WADO-RS",
    (*_frames(), *_instances()),
    files=FILES,
    configuration={
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        "DicomWeb": {"Enable": True},
    },
)

"""Uploads through the REST API: every real file, and everything that is not one."""

from __future__ import annotations

import gzip
import io
import zipfile
from functools import cache, partial

from tests.conformance.line import Ask, Difference, Scenario
from tests.data.real import all_files, content_of

_GZIP = {"Content-Encoding": "gzip"}
_FORM = {"Content-Type": "multipart/form-data; boundary=XX"}
_GARBAGE_IS_400 = (
    Difference(
        "status", "A body that is not what it says is the client's error, not the server's.", ours=400
    ),
    Difference("body*", "A body that is not what it says is the client's error, not the server's."),
)


@cache
def _ct() -> bytes:
    return content_of("pydicom/CT_small.dcm")


@cache
def _mr() -> bytes:
    return content_of("pydicom/MR_small.dcm")


def _zip(*members: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return target.getvalue()


def _form(*parts: bytes) -> bytes:
    head = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.dcm"\r\n\r\n'
    return b"".join(head + part + b"\r\n" for part in parts) + b"--XX--\r\n"


_UN_IS_TEXT = (
    Difference(
        "body.*", "Identifiers of VR UN are read as their dictionary VR; Orthanc takes them for binary."
    ),
)
_IMPLICIT_IS_READ = (
    Difference(
        "status", "A data set in implicit VR where its header says explicit is read all the same.", 200
    ),
    Difference("body.*", "A data set in implicit VR where its header says explicit is read all the same."),
)
_ALREADY_STORED = (
    Difference("body.Status", "The same instance as SC_rgb_jpeg, which Orthanc refuses.", "AlreadyStored"),
)
_BETTER = {
    "pydicom-data/explicit_VR-UN.dcm": _UN_IS_TEXT,
    "pydicom/rtdose_rle.dcm": _UN_IS_TEXT,
    "pydicom/rtdose_rle_1frame.dcm": _UN_IS_TEXT,
    "pydicom/SC_rgb_jpeg.dcm": _IMPLICIT_IS_READ,
    "pydicom/SC_rgb_jpeg_dcmd.dcm": _ALREADY_STORED,
}
_NO_DICOM = (
    Difference(
        "status", "Bytes that are no DICOM at all are a bad file, not one that lacks a tag.", ours=400
    ),
    Difference("body.*", "Bytes that are no DICOM at all are a bad file, not one that lacks a tag."),
)

FILES = Scenario(
    "every real file",
    tuple(
        Ask("POST", "/instances", partial(content_of, name), note=name, ours=_BETTER.get(name, ()))
        for name in all_files()
    ),
)

BODIES = Scenario(
    "bodies of every kind",
    (
        Ask("POST", "/instances", _ct, note="first"),
        Ask("POST", "/instances", _ct, note="again"),
        Ask("POST", "/instances", lambda: _ct()[:100], note="cut at 100"),
        Ask("POST", "/instances", lambda: _ct()[:1000], note="cut at 1000"),
        Ask("POST", "/instances", lambda: _ct()[:10000], note="cut in the pixels"),
        Ask("POST", "/instances", lambda: _ct()[:-1], note="cut by one byte"),
        Ask("POST", "/instances", b"", note="empty"),
        Ask("POST", "/instances", b"hello", note="text"),
        Ask("POST", "/instances", bytes(range(256)) * 8, note="all bytes"),
        Ask("POST", "/instances", bytes(2000), note="zeros", ours=_NO_DICOM),
        Ask("POST", "/instances", bytes(128) + b"DICM", note="preamble only"),
        Ask("POST", "/instances", lambda: gzip.compress(_mr()), headers=_GZIP, note="gzip"),
        Ask("POST", "/instances", lambda: gzip.compress(_ct()), note="gzip that does not say so"),
        Ask("POST", "/instances", lambda: gzip.compress(_ct())[:500], headers=_GZIP, note="gzip, cut"),
        Ask("POST", "/instances", b"garbage", headers=_GZIP, note="gzip, garbage", ours=_GARBAGE_IS_400),
        Ask("POST", "/instances", _ct, headers={"Content-Encoding": "br"}, note="brotli that is none"),
        Ask(
            "POST", "/instances", _ct, headers={"Content-Type": "application/json"}, note="JSON that is none"
        ),
        Ask("POST", "/instances", lambda: _zip(("a.dcm", _ct()), ("b/c", _mr())), note="ZIP"),
        Ask("POST", "/instances", lambda: _zip(("a.txt", b"x"), ("d", b""), ("c", _mr())), note="ZIP, mixed"),
        Ask("POST", "/instances", lambda: _zip(("a.txt", b"x")), note="ZIP without DICOM"),
        Ask(
            "POST", "/instances", lambda: _zip(("DICOMDIR", _dicomdir()), ("a", _ct())), note="ZIP, DICOMDIR"
        ),
        Ask("POST", "/instances", lambda: _zip(("a", _ct()[:1000]), ("b", _ct())), note="ZIP, cut member"),
        Ask("POST", "/instances", lambda: _zip(("a", _no_uids()), ("b", _ct())), note="ZIP, no UIDs"),
        Ask("POST", "/instances", lambda: _zip(("a.zip", _zip(("b", _ct())))), note="ZIP in a ZIP"),
        Ask("POST", "/instances", lambda: _zip(("../../a", _ct())), note="ZIP, path upwards"),
        Ask("POST", "/instances", _zip, note="ZIP, empty"),
        Ask("POST", "/instances", lambda: _zip(("a", _ct()))[:300], note="ZIP, cut"),
        Ask("POST", "/instances", lambda: _form(_ct(), _mr()), headers=_FORM, note="form"),
        Ask("POST", "/instances", lambda: _form(b"junk"), headers=_FORM, note="form, junk"),
        Ask("POST", "/instances", b"--XX--\r\n", headers=_FORM, note="form, empty"),
        Ask("POST", "/tools/lookup", lambda: _form(b"1CT1"), headers=_FORM, note="form"),
        Ask("PUT", "/instances", _ct),
        Ask("GET", "/statistics"),
        Ask("GET", "/changes"),
    ),
)


def _dicomdir() -> bytes:
    return content_of("pydicom/dicomdirtests/DICOMDIR")


def _no_uids() -> bytes:
    return content_of("pydicom/priv_SQ.dcm")


UPLOADING = (FILES, BODIES)

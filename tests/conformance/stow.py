"""STOW-RS: what both store, how they tell it, and what each makes of bodies that are none."""

from __future__ import annotations

from functools import cache, partial

from tests.conformance.line import ABSENT, Ask, Difference, Scenario
from tests.data.real import content_of

_STUDIES = "/dicom-web/studies"
_CT = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
_ct = partial(content_of, "pydicom/CT_small.dcm")
_mr = partial(content_of, "pydicom/MR_small.dcm")
_TYPE = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=abc', "Host": "archive"}

_CHARSET = Difference("body.00080005.Value.0", "JSON is in UTF-8.", ours="ISO_IR 192", theirs="ISO_IR 100")
_NO_FAILURES = Difference(
    "body.00081198",
    "The sequence of failures is there if there are any, as PS3.18 and newer versions of the plugin have it.",
    ours=ABSENT,
    theirs={"vr": "SQ"},
)
_TYPE_OF_ERRORS = Difference(
    "header.content-type",
    "The response says of what type it is, also where instances failed.",
    ours="application/dicom+json",
    theirs=ABSENT,
)
_OTHER = Difference(
    "body.0008119A",
    "What is no DICOM file is told among the other failures (PS3.18 table I.1-1).",
    theirs=ABSENT,
)
_GOOD = (_CHARSET, _NO_FAILURES)
_BAD = "PS3.18 10.5.3: some instances failed, 202; all of them failed, 409."
_NOTHING = "A body in which there is nothing to store is a bad request."
_CUT = "A part that is cut off is a failure; Orthanc passes it over in silence."
_MORE = "PS3.18 has this type; Orthanc takes multipart bodies of DICOM files alone."
_XML = Difference("body", "The same in the Native DICOM Model, with less white space.")


def _body(*parts: bytes, kind: str = "application/dicom", end: bytes = b"\r\n--abc--") -> bytes:
    head = f"\r\n--abc\r\nContent-Type: {kind}\r\n\r\n".encode()
    return b"".join(head + part for part in parts) + end


@cache
def _two() -> bytes:
    return _body(_ct(), _mr())


def _refused(status: int, reason: str) -> tuple[Difference, ...]:
    return (
        Difference("status", reason, ours=status),
        Difference("header.content-type", reason),
        Difference("body*", reason),
    )


STOW = Scenario(
    "dicomweb stow",
    (
        Ask("POST", _STUDIES, lambda: _body(_ct()), _TYPE, ours=_GOOD, note="one"),
        Ask("POST", _STUDIES, lambda: _body(_ct()), _TYPE, ours=_GOOD, note="already stored"),
        Ask("POST", _STUDIES, _two, _TYPE, ours=_GOOD, note="two studies"),
        Ask("GET", "/instances", unordered=True),
        Ask("GET", "/instances/f689ddd2-662f8fe1-8b18180d-ec2a2cee-937917af/file"),
        Ask(
            "POST",
            _STUDIES,
            _two,
            _TYPE | {"Accept": "application/dicom+xml"},
            ours=(_XML,),
            note="answered in XML",
        ),
        Ask(
            "POST",
            _STUDIES,
            _two,
            _TYPE | {"Accept": "text/plain"},
            ours=_GOOD,
            note="of a type that is not made",
        ),
        Ask(
            "POST",
            f"{_STUDIES}/{_CT}",
            lambda: _body(_ct()),
            _TYPE,
            ours=_GOOD,
            note="into its study",
        ),
        Ask(
            "POST",
            f"{_STUDIES}/1.2.3",
            _two,
            _TYPE,
            ours=(_CHARSET, _TYPE_OF_ERRORS),
            note="into another study",
        ),
        Ask(
            "POST",
            f"{_STUDIES}/{_CT}",
            _two,
            _TYPE,
            ours=(
                _CHARSET,
                Difference("status", "PS3.18 10.5.3: some instances failed.", ours=202, theirs=409),
                _TYPE_OF_ERRORS,
            ),
            note="one into another study",
        ),
        Ask(
            "POST",
            _STUDIES,
            lambda: _body(_ct(), b"garbage"),
            _TYPE,
            ours=(
                *_GOOD,
                _OTHER,
                _TYPE_OF_ERRORS,
                Difference("status", _BAD, ours=202, theirs=400),
            ),
            note="one is garbage",
        ),
        Ask(
            "POST",
            _STUDIES,
            lambda: _body(b"garbage"),
            _TYPE,
            ours=(*_GOOD, _OTHER, _TYPE_OF_ERRORS, Difference("status", _BAD, ours=409, theirs=400)),
            note="all is garbage",
        ),
        Ask(
            "POST",
            _STUDIES,
            lambda: _two()[:-2000],
            _TYPE,
            ours=(
                *_GOOD,
                Difference("status", _CUT, ours=202, theirs=200),
                Difference("body.0008119A", _CUT),
            ),
            note="cut off",
        ),
        Ask("POST", _STUDIES, b"--abc--", _TYPE, ours=_refused(400, _NOTHING), note="no parts"),
        Ask("POST", _STUDIES, b"", _TYPE, ours=_refused(400, _NOTHING), note="no body"),
        Ask(
            "POST",
            _STUDIES,
            lambda: _body(_ct(), kind="text/plain"),
            _TYPE,
            ours=(*_GOOD, _OTHER, Difference("status", _BAD, ours=409, theirs=200)),
            note="a part of another type",
        ),
        Ask(
            "POST",
            _STUDIES,
            _two,
            _TYPE | {"Content-Type": "multipart/related; type=text/plain; boundary=abc"},
            note="of another type",
        ),
        Ask("POST", _STUDIES, _two, {"Content-Type": "text/plain"}, note="no multipart"),
        Ask(
            "POST",
            _STUDIES,
            _two,
            _TYPE | {"Content-Type": "multipart/related; type=application/dicom"},
            ours=_refused(400, "Without its boundary the body cannot be read, whatever its type."),
            note="no boundary",
        ),
        Ask(
            "POST",
            _STUDIES,
            _two,
            _TYPE | {"Content-Type": "multipart/related; boundary=abc"},
            ours=_refused(200, "The parts say of what type they are."),
            note="no type",
        ),
        Ask(
            "POST",
            _STUDIES,
            _ct,
            {"Content-Type": "application/dicom", "Host": "archive"},
            ours=_refused(200, _MORE),
            note="a file alone",
        ),
        Ask("GET", "/statistics"),
        Ask(
            "DELETE",
            f"{_STUDIES}/{_CT}",
            ours=(
                Difference("status", "The plugin has no such route.", ours=204, theirs=405),
                Difference("header.allow", "It has."),
            ),
        ),
    ),
    configuration={
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        "DicomWeb": {"Enable": True},
    },
)
